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
    import torch
    import torch.nn.functional as F

    models, places, classes = output.shape
    steps = output.reshape(models, places // STEP, STEP, classes).mean(2)
    present = (batch.present & (batch.lengths > 0)).reshape(-1)
    found = output.new_zeros(present.shape[0])
    if not bool(present.any()):
        return found.reshape(batch.present.shape) + 0 * output.sum()
    counts = (batch.counts // STEP).reshape(-1)[present]
    first = (batch.starts // STEP).reshape(-1)[present]
    owner = torch.arange(models, device=output.device)[:, None].expand_as(batch.starts)
    owner = owner.reshape(-1)[present]
    at = first[:, None] + torch.arange(int(counts.max()), device=output.device)
    picked = steps[owner[:, None], at.clamp_max(steps.shape[1] - 1)]  # [B, T, C]
    lengths = batch.lengths.reshape(-1)[present]
    targets = batch.sequences.reshape(-1, batch.sequences.shape[-1])[present][
        :, : int(lengths.max())
    ]
    nats = F.ctc_loss(
        picked.log_softmax(-1).transpose(0, 1), targets, counts, lengths, BLANK, reduction="none"
    )
    made = found.masked_scatter(present, nats)
    return made.reshape(batch.present.shape)


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
