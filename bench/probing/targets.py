"""Targets of all items and label sets as tensors, from which a step picks its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bench.probing.contract import Batch, Labels
from bench.probing.heads import Packed
from bench.probing.inputs import Layout
from bench.probing.packing import Pack


class Tables:
    """Targets of all items and label sets as tensors, to be picked from."""

    def __init__(self, labels: Sequence[Labels], layout: Layout, device: str) -> None:
        self.device = device
        self.utterance = torch.from_numpy(np.stack([x.utterance for x in labels])).to(device)
        frames = np.full((len(labels), layout.frames + 1), -1, dtype=np.int64)
        items = len(layout.counts)
        longest = max([len(s) for x in labels for s in x.sequences or ()], default=0)
        sequences = np.zeros((len(labels), items, max(longest, 1)), dtype=np.int64)
        lengths = np.zeros((len(labels), items), dtype=np.int64)
        for n, x in enumerate(labels):
            for i, f in enumerate(x.frames or ()):
                frames[n, layout.starts[i] : layout.starts[i] + len(f)] = f
            for i, s in enumerate(x.sequences or ()):
                sequences[n, i, : len(s)] = s + 1
                lengths[n, i] = len(s)
        self.frames = torch.from_numpy(frames).to(device)
        self.sequences = torch.from_numpy(sequences).to(device)
        self.lengths = torch.from_numpy(lengths).to(device)

    def step(self, packs: Sequence[Pack], sets: Tensor) -> tuple[Packed, Batch]:
        """The inputs and targets of one step of models with label sets `sets` [M]."""
        most = max(len(p.items) for p in packs)

        def padded(name: str) -> Tensor:
            made = np.zeros((len(packs), most), dtype=np.int64)
            for row, p in zip(made, packs, strict=True):
                row[: len(p.items)] = getattr(p, name)
            return torch.from_numpy(made).to(self.device)

        frames = torch.from_numpy(np.stack([p.frames for p in packs])).to(self.device)
        items, starts, counts = (padded(n) for n in ("items", "starts", "counts"))
        held = torch.tensor([len(p.items) for p in packs], device=self.device)
        present = torch.arange(most, device=self.device)[None] < held[:, None]
        which = sets[:, None]
        return Packed(frames, starts, counts), Batch(
            self.utterance[which, items],
            self.frames[which, frames],
            self.sequences[which, items],
            self.lengths[which, items] * present,
            starts,
            counts,
            present,
        )
