"""Phones of the alignment: frame by frame, and as a sequence by CTC."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bench.probing import sequence
from bench.probing.contract import (
    FRAMES_A_SECOND,
    Batch,
    Capacity,
    Ids,
    Labels,
    Losses,
    Outputs,
    Shape,
    Unusable,
    Values,
)
from bench.probing.inputs import Layout
from bench.probing.kinds import row
from bench.suites.spans import Span
from bench.tracks.contract import TokenItem

if TYPE_CHECKING:
    from torch import Tensor

SILENT = {"SIL", "sil", "sp", "spn", ""}


def _at(spans: Sequence[Span], frames: int) -> list[int]:
    """Number of the span in which the middle of each 20 ms frame lies, −1 for none."""
    middle = (np.arange(frames) + 0.5) / FRAMES_A_SECOND
    starts, ends = np.array([s.start for s in spans]), np.array([s.end for s in spans])
    found = np.searchsorted(starts, middle, side="right") - 1
    inside = (found >= 0) & (middle < ends[np.maximum(found, 0)])
    return [int(n) for n in np.where(inside, found, -1)]


class Phone:
    """Outputs: a class a frame, and beside them CTC's; one model for both."""

    task, version, disjoint = "phone", "1", False
    rows = (
        row("phone_accuracy", "%", True, "SUPERB", "frames of 20 ms whose phone is told"),
        row(
            "phone_errors",
            "%",
            False,
            "Graves et al. 2006",
            "phone error rate by CTC, greedy",
            (0.0, float("inf")),
        ),
    )

    uses: Mapping[str, tuple[str, ...]] = {}

    def wants(self, item: TokenItem) -> bool:
        return bool(item.phones)

    def validate(self, items: Sequence[TokenItem], train: Ids) -> Labels:
        """Classes are the phones of the training data, silence among them but in no sequence."""
        classes = tuple(sorted({s.label for i in train for s in items[i].phones or ()}))
        if len(classes) < 2:
            raise Unusable("the training data have fewer than two phones in their alignments")
        frames, sequences, left_out = [], [], {}
        counts = Layout.of([item.seconds for item in items]).counts
        index = {name: n for n, name in enumerate(classes)}
        for i, item in enumerate(items):
            spans = item.phones or ()
            names = [index.get(s.label, -1) for s in spans]
            frames.append(
                np.array([names[n] if n >= 0 else -1 for n in _at(spans, int(counts[i]))])
            )
            spoken = [n for n, s in zip(names, spans, strict=True)
                      if n >= 0 and s.label not in SILENT]  # fmt: skip
            if not sequence.fits(spoken, int(counts[i])):
                spoken, left_out[i] = [], "it has more phones than CTC can place"
            sequences.append(np.array(spoken, dtype=np.int64))
        return Labels(
            sequence.empty(len(items)), classes, tuple(frames), tuple(sequences), left_out
        )

    def control(self, items: Sequence[TokenItem], labels: Labels, seed: int) -> Labels | None:
        """A phone at random for each phone with its two neighbours, wherever the three recur."""
        assert labels.frames is not None
        rng = np.random.default_rng([seed, 2])
        counts = Layout.of([item.seconds for item in items]).counts
        told = np.concatenate(labels.frames)
        told = told[told >= 0]
        types = sorted({t for item in items for t in _triphones(item.phones or ())})
        drawn = dict(zip(types, rng.choice(told, size=len(types)), strict=True))
        frames, sequences = [], []
        for i, item in enumerate(items):
            spans = item.phones or ()
            names = [int(drawn[t]) for t in _triphones(spans)]
            frames.append(
                np.array([names[n] if n >= 0 else -1 for n in _at(spans, int(counts[i]))])
            )
            spoken = [n for n, s in zip(names, spans, strict=True) if s.label not in SILENT]
            fit = sequence.fits(spoken, int(counts[i]))
            sequences.append(np.array(spoken if fit else [], dtype=np.int64))
        return replace(labels, frames=tuple(frames), sequences=tuple(sequences))

    def trivial(self, labels: Labels, train: Ids, test: Ids) -> Values | None:
        """The training data's commonest phone for every frame, and no phone in any sequence."""
        assert labels.frames is not None
        told = np.concatenate([labels.frames[i] for i in train])
        largest = int(np.bincount(told[told >= 0]).argmax())
        said = [np.full(len(labels.frames[i]), largest) for i in test]
        return _counted(labels, test, said, [[] for _ in test])

    def model(self, streams: int, size: Capacity, labels: Labels) -> Shape:
        return Shape("frame", 2 * len(labels.classes) + 1, size)

    def loss(self, output: Tensor, batch: Batch, labels: Labels) -> Losses:
        import torch
        import torch.nn.functional as F

        count = len(labels.classes)
        there = batch.frames >= 0
        nats = F.cross_entropy(
            output[..., :count].transpose(1, 2), batch.frames.clamp_min(0), reduction="none"
        )
        at = torch.arange(output.shape[1], device=output.device)
        first = batch.starts[:, :, None]
        inside = ((at >= first) & (at < first + batch.counts[:, :, None])).float()
        each = torch.bmm(inside, (nats * there)[:, :, None])[:, :, 0]
        symbols = torch.bmm(inside, there.float()[:, :, None])[:, :, 0]
        return Losses(each, symbols, sequence.ctc_loss(output[..., count:], batch))

    def symbols(self, labels: Labels) -> float:
        return math.log2(len(labels.classes))

    def score(self, outputs: Outputs, items: Sequence[TokenItem], labels: Labels) -> Values:
        count = len(labels.classes)
        said = [o[:, :count].argmax(-1) for o in outputs.output]
        return _counted(
            labels, outputs.items, said, [sequence.greedy(o[:, count:]) for o in outputs.output]
        )

    def figures(self, values: Values, keep: npt.NDArray[np.bool_]) -> dict[str, float]:
        kept = keep[values["item"].astype(np.int64)]
        return {
            "phone_accuracy": sequence.share(values["right"][kept], values["frames"][kept]),
            "phone_errors": sequence.share(values["edits"][kept], values["phones"][kept]),
        }


def _triphones(spans: Sequence[Span]) -> list[tuple[str, str, str]]:
    names = ["", *(s.label for s in spans), ""]
    return list(zip(names, names[1:], names[2:], strict=False))


def _counted(
    labels: Labels, items: Ids, frames: Sequence[Ids], sequences: Sequence[Sequence[int]]
) -> Values:
    assert labels.frames is not None and labels.sequences is not None
    made = []
    for item, said, heard in zip(items.tolist(), frames, sequences, strict=True):
        true, spoken = labels.frames[item], labels.sequences[item].tolist()
        there = true >= 0
        edits = sequence.edits(spoken, list(heard)) if spoken else 0
        made.append([item, (said == true)[there].sum(), there.sum(), edits, len(spoken)])
    table = np.array(made, dtype=np.float64).reshape(-1, 5)
    names = ("item", "right", "frames", "edits", "phones")
    return {name: table[:, n] for n, name in enumerate(names)}


def load() -> Phone:
    return Phone()
