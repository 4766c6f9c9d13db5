"""Packs utterances of different lengths one after another, so that no step computes on padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.probing.contract import Ids
from bench.probing.inputs import Layout


@dataclass(frozen=True)
class Pack:
    """Utterances of one step of one model. frames: int64 [N], −1 where empty. items, starts,
    counts: int64 [S], which utterances, where they begin in N, and how many frames each has."""

    frames: Ids
    items: Ids
    starts: Ids
    counts: Ids


def pack(layout: Layout, items: Sequence[int], firsts: Ids, counts: Ids, size: int) -> Pack:
    """`counts[s]` frames of each item from its frame `firsts[s]` on, in `size` places."""
    frames = np.full(size, -1, dtype=np.int64)
    starts = np.zeros(len(items), dtype=np.int64)
    place = 0
    for s, item in enumerate(items):
        begin, count = layout.starts[item] + firsts[s], int(counts[s])
        frames[place : place + count] = np.arange(begin, begin + count)
        starts[s] = place
        place += layout.room(count)
    return Pack(frames, np.asarray(items, dtype=np.int64), starts, np.asarray(counts))


class Order:
    """One model's training data in its own order, over and over, `size` places a step.

    crop: longest piece (frames) that is taken of an utterance, at random, or None for all of it.
    """

    def __init__(
        self, layout: Layout, items: Ids, size: int, seed: int, crop: int | None, most: int
    ) -> None:
        self._layout, self._items, self._size = layout, items, size
        self._crop, self._most = crop, most
        self._rng = np.random.default_rng([seed, 1])
        self._queue: list[int] = []

    def _next(self) -> int:
        if not self._queue:
            self._queue = self._rng.permutation(self._items).tolist()
        return self._queue[-1]

    def step(self) -> Pack:
        """Whole utterances or pieces, as many as fit but no more than the model has."""
        chosen: list[int] = []
        firsts: list[int] = []
        counts: list[int] = []
        used = 0
        while len(chosen) < min(self._most, len(self._items)):
            item = self._next()
            whole = int(self._layout.counts[item])
            count = whole if self._crop is None else min(whole, self._crop)
            if used + self._layout.room(count) > self._size:
                break
            self._queue.pop()
            used += self._layout.room(count)
            chosen.append(item)
            firsts.append(int(self._rng.integers(whole - count + 1)))
            counts.append(count)
        return pack(self._layout, chosen, np.array(firsts), np.array(counts), self._size)


def in_order(layout: Layout, items: Ids, size: int, longest: int) -> list[Pack]:
    """All items once, from the first frame on and at most `longest` frames of each."""
    packs: list[Pack] = []
    chosen: list[int] = []
    used = 0
    counts = np.minimum(layout.counts, longest)

    def close() -> None:
        each = np.array(chosen, dtype=np.int64)
        packs.append(pack(layout, chosen, np.zeros(len(each), dtype=np.int64), counts[each], size))

    for item in items.tolist():
        need = layout.room(int(counts[item]))
        if chosen and used + need > size:
            close()
            chosen, used = [], 0
        chosen.append(item)
        used += need
    if chosen:
        close()
    return packs
