"""Interpolated modified Kneser-Ney n-grams over ids, in numpy.

Chen & Goodman, "An empirical study of smoothing techniques for language modeling", TR-10-98,
Harvard, 1998, section 3. With N windows of n ids, training and scoring sort a few arrays [N]:
half a million ids take seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.contracts import Ids
from bench.errors import UserError

Floats = npt.NDArray[np.float64]
MAX_ORDER = 5
BEFORE = -1  # an id of the context that lies before the start of the utterance
# Where the counts of counts do not allow an estimate, as KenLM's --discount_fallback.
FALLBACK = (0.5, 1.0, 1.5)


@dataclass(frozen=True)
class _Level:
    """The n-grams of one order. Keys are sorted, so a row number is found by binary search.

    contexts: parent context · base + (id one further back + 1); types: context · V + target;
    alpha: discounted share of each type in its context; gamma: share left to the order below.
    """

    contexts: Ids
    types: Ids
    alpha: Floats
    gamma: Floats


class KneserNey:
    """P(target | up to order − 1 ids), each order interpolated with the one below, down to 1/V.

    The highest order counts occurrences, the others the different ids seen before (continuation
    counts). Each order has three discounts, for counts of 1, 2, and 3 or more, estimated from its
    counts of counts. Sums to 1 over [0, V) for every context.
    """

    def __init__(self, order: int, vocabulary: int, discounts: Sequence[float] | None = None):
        """discounts: one fixed discount an order, unigram first (plain Kneser-Ney), each in
        [0, 1]; estimated if None."""
        if not 1 <= order <= MAX_ORDER:
            raise UserError(f"an n-gram of order {order}; give 1 to {MAX_ORDER}")
        if vocabulary < 1:
            raise UserError(f"an n-gram over {vocabulary} ids; give 1 or more")
        if discounts is not None and (
            len(discounts) != order or not all(0 <= d <= 1 for d in discounts)
        ):
            raise UserError(f"discounts {list(discounts)}; give {order} numbers from 0 to 1")
        self.order, self.vocabulary, self._given = order, vocabulary, discounts
        self._levels: list[_Level] = []
        self._base = 1

    def fit(self, windows: Ids) -> KneserNey:
        """Count `windows` [N, order]: in each row the target last, before it its context.

        Context ids are ≥ 0, or BEFORE; targets lie in [0, V).
        """
        self._check(windows)
        self._base = int(windows.max(initial=0)) + 2
        targets = windows[:, -1]
        at = np.zeros(len(windows), dtype=np.int64)  # row → its context at this order
        contexts = [np.unique(at)]
        for m in range(2, self.order + 1):
            keys, at = np.unique(
                at * self._base + windows[:, self.order - m] + 1, return_inverse=True
            )
            contexts.append(keys)
        types, counts = np.unique(at * self.vocabulary + targets, return_counts=True)
        levels = []
        for m in range(self.order, 0, -1):
            levels.append(self._level(m, contexts[m - 1], types, counts))
            if m > 1:  # each type counts once for the type that lacks its furthest id
                parents = contexts[m - 1][types // self.vocabulary] // self._base
                shorter = parents * self.vocabulary + types % self.vocabulary
                types, counts = np.unique(shorter, return_counts=True)
        self._levels = levels[::-1]
        return self

    def _level(self, m: int, contexts: Ids, types: Ids, counts: Ids) -> _Level:
        given = self._given[m - 1] if self._given is not None else None
        discounts = np.array(estimate(counts) if given is None else (given,) * 3)
        taken = discounts[np.minimum(counts, 3) - 1] if len(counts) else np.empty(0)
        of = types // self.vocabulary
        totals = np.bincount(of, counts, minlength=len(contexts))
        left = np.bincount(of, taken, minlength=len(contexts))
        return _Level(contexts, types, (counts - taken) / totals[of], left / totals)

    def probabilities(self, windows: Ids) -> Floats:
        """P of each row's target [N], for `windows` [N, order] as in `fit`."""
        self._check(windows)
        out = np.full(len(windows), 1.0 / self.vocabulary)
        rows = np.arange(len(windows))  # those whose context was seen so far
        at = np.zeros(len(windows), dtype=np.int64)
        for m, level in enumerate(self._levels, start=1):
            if m > 1:
                further = windows[rows, self.order - m] + 1
                keys = at * self._base + further
                at, seen = _find(level.contexts, keys)
                seen &= further < self._base  # else its key would be another context's
                rows, at = rows[seen], at[seen]
            elif not len(level.contexts):
                break
            kind, seen = _find(level.types, at * self.vocabulary + windows[rows, -1])
            out[rows] *= level.gamma[at]
            out[rows[seen]] += level.alpha[kind[seen]]
        return out

    def bits(self, windows: Ids) -> Floats:
        """−log2 P of each row's target [N]; infinite only where a fixed discount of 0 says so."""
        with np.errstate(divide="ignore"):
            return -np.log2(self.probabilities(windows))

    def _check(self, windows: Ids) -> None:
        if windows.ndim != 2 or windows.shape[1] != self.order:
            raise UserError(f"windows of an n-gram are [N, {self.order}], not {windows.shape}")
        if len(windows) and windows.min() < BEFORE:
            raise UserError("the context of an n-gram has ids of 0 or more, or BEFORE")
        targets = windows[:, -1]
        if len(targets) and not (targets.min() >= 0 and targets.max() < self.vocabulary):
            raise UserError(f"a target lies outside [0, {self.vocabulary})")


def estimate(counts: Ids) -> tuple[float, float, float]:
    """Discounts for counts of 1, 2 and ≥ 3 from the counts of counts (Chen & Goodman, eq. 26).

    FALLBACK where one of n1 … n4 is 0 or a discount would not be positive.
    """
    n1, n2, n3, n4 = (int((counts == c).sum()) for c in (1, 2, 3, 4))
    if not (n1 and n2 and n3 and n4):
        return FALLBACK
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return found if min(found) > 0 else FALLBACK


def _find(keys: Ids, wanted: Ids) -> tuple[Ids, npt.NDArray[np.bool_]]:
    """Row of each wanted key in sorted `keys` (0 where it is not there), and whether it is."""
    if not len(keys):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=bool)
    row = np.searchsorted(keys, wanted)
    row[row == len(keys)] = 0
    return row, keys[row] == wanted


def windows(sequence: Ids, order: int) -> Ids:
    """Each id of `sequence` [N] after the order − 1 before it: [N, order]."""
    if not len(sequence):
        return np.empty((0, order), dtype=np.int64)
    padded = np.concatenate([np.full(order - 1, BEFORE, dtype=np.int64), sequence])
    return np.lib.stride_tricks.sliding_window_view(padded, order)
