"""N-grams over the ids of a layout, and the references that need no model.

A predictor's `bits(items)` is float64 [items, K]: −log2 likelihood of each stream of each item.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Protocol

import numpy as np

from bench.contracts import Ids, Stream
from bench.errors import UserError
from bench.layouts import EMPTY, Flatten, Layout, TemporalDepth
from bench.layouts.rows import Rows
from bench.lm.ngram import BEFORE, Floats, KneserNey, windows

Item = Sequence[Ids]  # the K streams of one utterance


class Predictor(Protocol):
    """A trained model of ids."""

    def bits(self, items: Sequence[Item]) -> Floats:
        """Bits of each stream of each item [items, K]."""
        ...


def uniform(streams: Sequence[Stream], items: Sequence[Item]) -> Floats:
    """N_k · log2 V_k [items, K]: what ids cost without any model."""
    width = np.log2([s.vocabulary for s in streams])
    return np.array([[len(ids) for ids in item] for item in items]).reshape(-1, len(width)) * width


class LaidNGram:
    """An n-gram of each stream whose context is what the layout has made before.

    Contexts hold the order − 1 ids that come last before the target in the layout: flatten goes
    back id by id; delay and parallel go back row by row, in a row from the stream itself to its
    neighbours; temporal + depth first goes back through the ids of its own row. A target is one of
    its stream's V_k ids: the layout says whose turn it is. With order 1 it is the unigram.
    """

    def __init__(self, layout: Layout, order: int = 3) -> None:
        if not isinstance(layout, Flatten | Rows):
            raise UserError(
                f"no n-gram over layout {layout.name}: it has several models; use flatten, delay, "
                "parallel, temporal+depth or text-aligned"
            )
        self.layout, self.order = layout, order
        self._models = [KneserNey(order, s.vocabulary) for s in layout.streams]

    def fit(self, items: Sequence[Item]) -> LaidNGram:
        """Count the training utterances."""
        laid = [self._windows(item) for item in items]
        for k, model in enumerate(self._models):
            parts = [w[k] for w in laid]
            model.fit(np.concatenate([np.empty((0, self.order), dtype=np.int64), *parts]))
        return self

    def bits(self, items: Sequence[Item]) -> Floats:
        """Bits of each stream of each item [items, K]."""
        laid = [self._windows(item) for item in items]
        out = np.zeros((len(items), len(self._models)))
        for k, model in enumerate(self._models):
            parts = [w[k] for w in laid]
            if not parts:
                continue
            owner = np.repeat(np.arange(len(items)), [len(p) for p in parts])
            found = model.bits(np.concatenate(parts))
            out[:, k] = np.bincount(owner, found, minlength=len(items))
        return out

    def _windows(self, item: Item) -> list[Ids]:
        """Of each stream, its ids after their contexts: K arrays [N_k, order]."""
        (part,) = self.layout.encode(item).parts
        (places,) = self.layout.places([len(ids) for ids in item])
        if isinstance(self.layout, Flatten):
            rows, owner = windows(part.ids[:, 0], self.order), places.stream[:, 0]
            found = [rows[owner == k].copy() for k in range(len(item))]
            for made, ids in zip(found, item, strict=True):
                made[:, -1] = ids  # a target is an id of its stream, not of the joint vocabulary
            return found
        grid = np.where(places.stream == EMPTY, BEFORE, part.ids)
        return [self._row_windows(grid, k) for k in range(len(item))]

    def _row_windows(self, grid: Ids, k: int) -> Ids:
        rows = np.flatnonzero(grid[:, k] != BEFORE)
        made = np.full((len(rows), self.order), BEFORE, dtype=np.int64)
        made[:, -1] = grid[rows, k]
        for n, (back, column) in enumerate(self._contexts(k), start=2):
            there = rows >= back
            made[there, -n] = grid[rows[there] - back, column]
        return made

    def _contexts(self, k: int) -> list[tuple[int, int]]:
        """(rows back, column) of the order − 1 ids before stream k's, the last made first."""
        own = [(0, j) for j in range(k - 1, -1, -1)]
        near = sorted(range(len(self._models)), key=lambda j: (abs(j - k), j > k))
        past = [(back, j) for back, j in product(range(1, self.order), near)]
        depth = isinstance(self.layout, TemporalDepth)
        return ((own if depth else []) + past)[: self.order - 1]
