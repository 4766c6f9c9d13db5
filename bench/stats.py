"""Intervals: speaker-clustered t for ratios of sums, paired differences, Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MIN_EFFECTIVE_CLUSTERS = 5.0


@dataclass(frozen=True)
class Interval:
    """A value, its 95 % bounds, and what was taken as independent ("speaker" or "utterance")."""

    value: float
    low: float
    high: float
    clusters: int
    unit: str


def ratio_interval(
    numerators: Floats, denominators: Floats, clusters: npt.NDArray[np.int64], level: float = 0.95
) -> tuple[float, float, float]:
    """r = ΣA/ΣN over C clusters with its t interval, C − 1 degrees of freedom.

    e_c = A_c − r·N_c, se = sqrt(C/(C−1)·Σe_c²)/ΣN (linearised ratio estimator; Cochran, Sampling
    Techniques, 3rd ed., 1977, section 6). One cluster alone has no spread: (r, NaN, NaN).
    """
    from scipy.stats import t as student

    total = denominators.sum()
    if total <= 0:
        return (float("nan"),) * 3
    value = float(numerators.sum() / total)
    _, index = np.unique(clusters, return_inverse=True)
    count = int(index.max()) + 1
    if count < 2:
        return value, float("nan"), float("nan")
    residuals = np.bincount(index, numerators - value * denominators, minlength=count)
    error = np.sqrt(count / (count - 1) * np.square(residuals).sum()) / total
    half = float(student.ppf(0.5 + level / 2, count - 1) * error)
    return value, value - half, value + half


def choose_clusters(
    speakers: Sequence[str], denominators: Floats
) -> tuple[npt.NDArray[np.int64], str]:
    """Cluster labels and their unit: speakers where there are enough of them, else utterances.

    Enough: Kish's effective number of speakers, (ΣN_c)²/ΣN_c², is at least 5. With one speaker,
    or one that outweighs the rest, a t interval over speakers means nothing; clustering on
    utterances then describes these speakers only, and the result says so.
    """
    _, index = np.unique(np.asarray(speakers), return_inverse=True)
    sizes = np.bincount(index, denominators)
    square = np.square(sizes).sum()
    if square > 0 and sizes.sum() ** 2 / square >= MIN_EFFECTIVE_CLUSTERS:
        return index.astype(np.int64), "speaker"
    return np.arange(len(index), dtype=np.int64), "utterance"


def interval(
    numerators: Floats, denominators: Floats, speakers: Sequence[str], level: float = 0.95
) -> Interval:
    """The ratio of sums with the interval that its speakers allow."""
    labels, unit = choose_clusters(speakers, denominators)
    value, low, high = ratio_interval(numerators, denominators, labels, level)
    return Interval(value, low, high, int(labels.max(initial=-1)) + 1, unit)


def paired_interval(
    a: tuple[Floats, Floats], b: tuple[Floats, Floats], speakers: Sequence[str], level: float = 0.95
) -> Interval:
    """rB − rA on the same utterances, from (numerators, denominators) of each.

    The two linearised residuals of a cluster are subtracted before squaring, so what both share
    (a hard sentence, a hard speaker) cancels. With equal denominators this is the design's
    A_c = B's errors minus A's.
    """
    from scipy.stats import t as student

    labels, unit = choose_clusters(speakers, a[1])
    count = int(labels.max(initial=-1)) + 1
    total_a, total_b = a[1].sum(), b[1].sum()
    if total_a <= 0 or total_b <= 0:
        return Interval(float("nan"), float("nan"), float("nan"), count, unit)
    ratio_a, ratio_b = a[0].sum() / total_a, b[0].sum() / total_b
    value = float(ratio_b - ratio_a)
    if count < 2:
        return Interval(value, float("nan"), float("nan"), count, unit)
    residuals = (b[0] - ratio_b * b[1]) / total_b - (a[0] - ratio_a * a[1]) / total_a
    sums = np.bincount(labels, residuals, minlength=count)
    error = np.sqrt(count / (count - 1) * np.square(sums).sum())
    half = float(student.ppf(0.5 + level / 2, count - 1) * error)
    return Interval(value, value - half, value + half, count, unit)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values (Holm 1979), in the order given."""
    order = np.argsort(p_values)
    adjusted = np.empty(len(p_values))
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return [float(p) for p in adjusted]
