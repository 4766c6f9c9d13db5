"""Entropy of ids, what it says of the vocabulary, and both at a fixed number of ids.

All entropies are in bits. The plug-in estimate is too small by about (M − 1)/(2N) nats where M of
the V ids occurred among N; that much is added (Miller 1955; Madow: the Miller–Madow correction),
and the result is kept within [0, log2 V], the entropies that there are.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bench.tokenstats.counts import Counts

DRAWS = 8  # samples from which an entropy at a budget is averaged


def plug_in(counts: npt.NDArray[np.int64]) -> float:
    """−Σ p log2 p of counts [M]; 0 where there are none."""
    total = counts.sum()
    if total == 0:
        return 0.0
    share = counts[counts > 0] / total
    return float(-(share * np.log2(share)).sum()) + 0.0


def entropy(counts: Counts, vocabulary: int) -> float:
    """Entropy of order 0, Miller–Madow corrected, in [0, log2 V]; NaN where nothing occurred."""
    if counts.total == 0:
        return math.nan
    correction = (len(counts) - 1) / (2 * counts.total * math.log(2))
    return _within(plug_in(counts.counts) + correction, vocabulary)


def conditional_entropy(pairs: Counts, vocabulary: int) -> float:
    """H(id | the id before it) from counts of `pairs`, in [0, log2 V]; NaN without any.

    H(pair) − H(first), each Miller–Madow corrected. With few ids for a vocabulary of V² pairs it
    is far too small, correction or not: see `unseen`.
    """
    if pairs.total == 0:
        return math.nan
    first = pairs.over(vocabulary)
    correction = (len(pairs) - len(first)) / (2 * pairs.total * math.log(2))
    return _within(plug_in(pairs.counts) - plug_in(first.counts) + correction, vocabulary)


def _within(bits: float, vocabulary: int) -> float:
    return min(max(bits, 0.0), math.log2(vocabulary))


def unseen(counts: Counts) -> float:
    """Good and Turing's estimate of the chance that the next one is new: the share of those that
    occurred once (Good 1953). NaN without any."""
    return float((counts.counts == 1).sum() / counts.total) if counts.total else math.nan


def distinct_at(counts: Counts, budget: int) -> float:
    """Different ids to be expected among `budget` of the N drawn without replacement.

    Σ 1 − C(N − n, budget)/C(N, budget), the rarefaction curve (Hurlbert 1971); exact, no drawing.
    NaN where N < budget.
    """
    total = counts.total
    if total < budget:
        return math.nan
    sizes, times = np.unique(counts.counts, return_counts=True)
    base = _log_choose(total, budget)
    absent = [
        math.exp(_log_choose(total - n, budget) - base) if total - n >= budget else 0.0
        for n in sizes.tolist()
    ]
    return float(np.dot(times, 1.0 - np.array(absent)))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def entropy_at(counts: Counts, vocabulary: int, budget: int, seed: int) -> float:
    """Mean `entropy` of `DRAWS` seeded samples of `budget` ids, drawn without replacement.

    NaN where fewer ids occurred.
    """
    if counts.total < budget:
        return math.nan
    rng = np.random.default_rng(seed)
    drawn = rng.multivariate_hypergeometric(counts.counts, budget, size=DRAWS, method="marginals")
    made = [entropy(Counts(counts.keys[d > 0], d[d > 0]), vocabulary) for d in drawn]
    return float(np.mean(made))


def zipf_exponent(counts: Counts, least: int = 5, ranks: int = 8) -> float:
    """s of frequency ∝ rank^−s: least squares on log frequency against log rank (Zipf 1949).

    Over the ids that occurred `least` times or more, rarer ones being noise; NaN where those are
    fewer than `ranks`. Natural language has about 1 for words, an even code 0.
    """
    frequent = np.sort(counts.counts[counts.counts >= least])[::-1]
    if len(frequent) < ranks:
        return math.nan
    x, y = np.log(np.arange(1, len(frequent) + 1)), np.log(frequent)
    x = x - x.mean()
    return float(-(x * (y - y.mean())).sum() / (x * x).sum()) + 0.0
