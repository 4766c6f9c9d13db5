"""How often each key occurs, kept sparse, so that a vocabulary of millions costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """keys: int64 [M], rising, those that occur; counts: int64 [M], each 1 or more."""

    keys: Ids
    counts: Ids

    @classmethod
    def of(cls, values: Ids) -> Counts:
        """Counts of int64 [N]."""
        keys, counts = np.unique(values, return_counts=True)
        return cls(keys.astype(np.int64), counts.astype(np.int64))

    @property
    def total(self) -> int:
        return int(self.counts.sum())

    def __len__(self) -> int:
        return len(self.keys)

    def without(self, part: Counts) -> Counts:
        """What is left when `part`, which is contained here, is taken away."""
        left = self.counts.copy()
        left[np.searchsorted(self.keys, part.keys)] -= part.counts
        return Counts(self.keys[left > 0], left[left > 0])

    def over(self, divisor: int) -> Counts:
        """Counts of key // divisor: of the first member of a pair that is stored as one number."""
        return _summed(self.keys // divisor, self.counts)

    def modulo(self, divisor: int) -> Counts:
        """Counts of key % divisor."""
        return _summed(self.keys % divisor, self.counts)


def merged(parts: Sequence[Counts]) -> Counts:
    """The sum of several."""
    if not parts:
        return Counts.of(np.zeros(0, dtype=np.int64))
    return _summed(
        np.concatenate([p.keys for p in parts]), np.concatenate([p.counts for p in parts])
    )


def _summed(keys: Ids, counts: Ids) -> Counts:
    found, index = np.unique(keys, return_inverse=True)
    sums = np.zeros(len(found), dtype=np.int64)
    np.add.at(sums, index, counts)
    return Counts(found, sums)


def pairs(ids: Ids, vocabulary: int) -> Ids:
    """int64 [N] → [N − 1], each id and the next as one number: id · V + next."""
    return ids[:-1] * vocabulary + ids[1:]
