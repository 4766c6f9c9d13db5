"""Probes that read a sequence from frames by connectionist temporal classification (CTC)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench.probing.contract import Batch, Floats, Ids

if TYPE_CHECKING:
    from torch import Tensor

STEP = 2  # frames that share one output of CTC: 25 a second
BLANK = 0


def fits(labels: Sequence[int], frames: int) -> bool:
    """CTC needs a step a label, and one more between equal neighbours."""
    repeated = sum(a == b for a, b in zip(labels[1:], labels, strict=False))
    return len(labels) + repeated <= frames // STEP


def ctc_loss(output: Tensor, batch: Batch) -> Tensor:
    """−ln p(sequence) of each segment [M, S], from outputs [M, N, 1 + classes] (0: blank).

    Graves et al. 2006. Segments that are absent or have no sequence give 0.
    """
    from bench.probing.ctc import nats_of

    models, places, classes = output.shape
    present = batch.present & (batch.lengths > 0)
    found = output.new_zeros(batch.present.shape)
    if not bool(present.any()):
        return found + 0 * output.sum()
    rows = places // STEP
    owner = present.nonzero()[:, 0]
    steps = output.reshape(models * rows, STEP, classes).mean(1).log_softmax(-1).cpu()
    first, counts, targets, lengths = (
        x.cpu().numpy()
        for x in (
            batch.starts[present] // STEP + owner * rows,
            batch.counts[present] // STEP,
            batch.sequences[present],
            batch.lengths[present],
        )
    )
    nats = nats_of(steps, first, counts, targets, lengths).to(output.device)
    return found.masked_scatter(present, nats)


def greedy(output: Floats) -> list[int]:
    """The best path of outputs [frames, 1 + classes], repetitions and blanks removed; numbers of
    classes."""
    steps = len(output) // STEP
    if not steps:
        return []
    best = output[: steps * STEP].reshape(steps, STEP, -1).mean(1).argmax(-1)
    kept = best[np.concatenate([[True], best[1:] != best[:-1]])]
    return [int(c) - 1 for c in kept if c != BLANK]


def edits(one: Sequence[object], other: Sequence[object]) -> int:
    """Levenshtein distance."""
    from rapidfuzz.distance import Levenshtein

    return int(Levenshtein.distance(one, other))


def empty(count: int) -> Floats:
    """Labels of utterances where there are none."""
    return np.zeros((count, 0), dtype=np.float32)


def bits(classes: int) -> float:
    """Of a uniform code over the classes."""
    return math.log2(classes) if classes > 1 else 0.0


def random_words(words: Sequence[str], letters: Sequence[str], seed: int) -> dict[str, str]:
    """Word type → letters at random, as many, the same wherever the word recurs."""
    rng = np.random.default_rng([seed, 2])
    return {word: "".join(rng.choice(list(letters), size=len(word))) for word in sorted(set(words))}


def share(values: Ids | Floats | np.ndarray, total: np.ndarray) -> float:
    """Σvalues/Σtotal, NaN where the total is 0."""
    whole = float(total.sum())
    return float(values.sum()) / whole if whole else math.nan
