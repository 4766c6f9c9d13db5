"""Paired differences of all pairs of runs, and which of them a family's Holm correction claims.

Shapes: R runs, U utterances (or trials), P = R·(R − 1)/2 pairs in the order of `pairs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.stats import choose_clusters, holm

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

LEVEL = 0.95
TOLERANCE = 1e-9  # relative; closer figures differ by rounding only


@dataclass(frozen=True)
class Estimates:
    """One metric of R runs on the same utterances, unscaled.

    values, errors: [R] figure and standard error. differences, pair_errors: [P] first − second;
    NaN where there is nothing to test. evidence: [P] independent units in which the two differ.
    freedom: degrees of freedom of the t distribution. clusters, unit: how many of what was taken
    as independent ("speaker" or "utterance"). n: utterances (or trials).
    """

    values: Floats
    errors: Floats
    differences: Floats
    pair_errors: Floats
    evidence: Ids
    freedom: float
    clusters: int
    unit: str
    n: int

    def intervals(self) -> tuple[Floats, Floats]:
        """95 % bounds [R] of each figure alone."""
        half = _beyond((1 - LEVEL) / 2, self.freedom) * self.errors
        return self.values - half, self.values + half


@dataclass(frozen=True)
class Claims:
    """What one metric's pairs come to within their family.

    low, high: [P] bounds of first − second, simultaneous over the family, unscaled. p: [P]
    Holm-adjusted. sign: int64 [P], 1 or −1 where first − second is claimed to have that sign, 0
    where nothing is claimed.
    """

    low: Floats
    high: Floats
    p: Floats
    sign: Ids


def pairs(runs: int) -> tuple[Ids, Ids]:
    """First and second run [P] of every pair."""
    first, second = np.triu_indices(runs, 1)
    return first.astype(np.int64), second.astype(np.int64)


def of_sums(numerators: Floats, denominators: Floats, speakers: Sequence[str]) -> Estimates:
    """Ratios of sums [R, U] with the errors of `bench.stats.paired_interval`, for every pair.

    speakers: [U]. Clusters are chosen once for all runs, by their mean denominators, so that
    every pair is judged alike.
    """
    labels, unit = choose_clusters(speakers, denominators.mean(axis=0))
    runs, count = len(numerators), int(labels.max(initial=-1)) + 1
    totals = denominators.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(totals > 0, numerators.sum(axis=1) / totals, np.nan)
        residuals = (numerators - values[:, None] * denominators) / totals[:, None]
        widen = np.sqrt(count / (count - 1)) if count > 1 else np.nan
    sums = np.array([np.bincount(labels, row, minlength=count) for row in residuals])
    sums = sums.reshape(runs, count)
    none = np.zeros(0)
    differences, errors, evidence = [none], [none], [none]
    for run in range(runs - 1):
        rest = slice(run + 1, None)
        left = numerators[run] * denominators[rest]
        right = numerators[rest] * denominators[run]
        unlike = np.abs(left - right) > TOLERANCE * np.maximum(np.abs(left), np.abs(right))
        differences.append(values[run] - values[rest])
        errors.append(widen * np.sqrt(np.square(sums[run] - sums[rest]).sum(axis=1)))
        evidence.append(unlike.sum(axis=1))
    return Estimates(
        values=values,
        errors=widen * np.sqrt(np.square(sums).sum(axis=1)),
        differences=_rounded(np.concatenate(differences), values),
        pair_errors=np.concatenate(errors),
        evidence=np.concatenate(evidence).astype(np.int64),
        freedom=float(max(count - 1, 1)),
        clusters=count,
        unit=unit,
        n=numerators.shape[1],
    )


def _rounded(differences: Floats, values: Floats) -> Floats:
    """Differences [P] of values [R], with those that are rounding alone set to 0."""
    first, second = pairs(len(values))
    size = np.maximum(np.abs(values[first]), np.abs(values[second]))
    return np.where(np.abs(differences) <= TOLERANCE * size, 0.0, differences)


def claims(family: Sequence[Estimates]) -> list[Claims]:
    """Holm's correction over all pairs of all metrics of `family`; one Claims for each metric.

    A claim is a difference whose adjusted p is at most 0.05: the chance that a family makes any
    false one is at most 5 %. The bounds are Bonferroni's (each of m differences at 1 − 0.05/m):
    together they hold 95 %, which intervals at Holm's own steps would not. Where Holm claims what
    these bounds do not exclude, the bound that passed 0 is 0: only the sign is claimed.
    """
    spread = [_effective_errors(made) for made in family]
    p_values = [_p(made, errors) for made, errors in zip(family, spread, strict=True)]
    flat = np.concatenate(p_values) if p_values else np.zeros(0)
    tested = np.isfinite(flat)
    adjusted = np.full(len(flat), np.nan)
    adjusted[tested] = holm(flat[tested].tolist())
    count = max(int(tested.sum()), 1)
    result, start = [], 0
    for made, errors in zip(family, spread, strict=True):
        p = adjusted[start : start + len(errors)]
        start += len(errors)
        sign = np.where(p <= 1 - LEVEL, np.sign(made.differences), 0).astype(np.int64)
        half = _beyond((1 - LEVEL) / (2 * count), made.freedom) * errors
        low, high = made.differences - half, made.differences + half
        low, high = (
            np.where(sign > 0, np.maximum(low, 0), low),
            np.where(sign < 0, np.minimum(high, 0), high),
        )
        result.append(Claims(low, high, p, sign))
    return result


def _effective_errors(made: Estimates) -> Floats:
    """Standard errors [P], widened where few utterances differ.

    A t test of sparse counts promises too much: three utterances that all differ one way can have
    any p. Flipping the signs of D differences at random gives at least 2^(1−D) (the smallest p of
    a sign-flip test), so the error is taken large enough for p not to be smaller.
    """
    least = 2.0 ** (1.0 - np.maximum(made.evidence, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.abs(made.differences) / _beyond(least / 2, made.freedom)
    return np.where(made.evidence > 1, np.fmax(made.pair_errors, needed), made.pair_errors)


def _beyond(share: npt.ArrayLike, freedom: float) -> Floats:
    """The t above which `share` of the distribution lies (`scipy.stats.t.isf`, far quicker)."""
    from scipy.special import stdtrit

    return np.asarray(-stdtrit(freedom, np.asarray(share, dtype=np.float64)))


def _p(made: Estimates, errors: Floats) -> Floats:
    """Two-sided p [P]; NaN where there is no error to judge by."""
    from scipy.special import stdtr

    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stdtr(made.freedom, -np.abs(made.differences) / errors)
    p = np.where(made.differences == 0, 1.0, p)
    return np.where(np.isfinite(made.differences) & np.isfinite(errors), p, np.nan)
