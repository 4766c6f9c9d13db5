"""How ids and phones go together, frame by frame.

Phone purity, cluster purity and PNMI are those of HuBERT (Hsu et al. 2021, arXiv:2106.07447,
section IV-E). A joint count stores phone · V + id.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bench.tokenstats.counts import Counts, Ids
from bench.tokenstats.entropy import plug_in

Times = npt.NDArray[np.float64]


def at_times(times: Times, starts: Times, ends: Times, labels: Ids) -> Ids:
    """Label of the span [start, end) in which each time lies, −1 where it lies in none.

    times: seconds [T]; starts, ends, labels: [S], in order of start.
    """
    if not len(starts):
        return np.full(len(times), -1, dtype=np.int64)
    index = np.searchsorted(starts, times, side="right") - 1
    inside = (index >= 0) & (times < ends[np.maximum(index, 0)])
    return np.where(inside, labels[np.maximum(index, 0)], -1).astype(np.int64)


def phone_purity(joint: Counts, vocabulary: int) -> float:
    """Σ over ids of the count of its commonest phone, over all frames; in (0, 1], NaN for none."""
    return _purity(joint.keys % vocabulary, joint.counts)


def cluster_purity(joint: Counts, vocabulary: int) -> float:
    """Σ over phones of the count of its commonest id, over all frames; in (0, 1], NaN for none."""
    return _purity(joint.keys // vocabulary, joint.counts)


def _purity(groups: Ids, counts: Ids) -> float:
    if not len(groups):
        return math.nan
    found, index = np.unique(groups, return_inverse=True)
    largest = np.zeros(len(found), dtype=np.int64)
    np.maximum.at(largest, index, counts)
    return float(largest.sum() / counts.sum())


def mutual_information(joint: Counts, vocabulary: int) -> float:
    """I(phone; id) in bits, plug-in."""
    phones, ids = joint.over(vocabulary), joint.modulo(vocabulary)
    found = plug_in(phones.counts) + plug_in(ids.counts) - plug_in(joint.counts)
    return max(found, 0.0)


def pnmi(joint: Counts, vocabulary: int) -> float:
    """I(phone; id)/H(phone), plug-in as in HuBERT, in [0, 1]; NaN where H(phone) is 0."""
    base = plug_in(joint.over(vocabulary).counts)
    return mutual_information(joint, vocabulary) / base if base > 0 else math.nan


def beyond_chance(value: float, chance: float) -> float:
    """(value − chance)/(1 − chance): 0 for what unrelated ids give, 1 for a perfect code.

    The adjustment for chance of Vinh et al. 2010 (JMLR 11) with the largest possible value 1.
    NaN where chance alone is perfect.
    """
    return (value - chance) / (1 - chance) if chance < 1 else math.nan


def rotations(count: int, seed: int, draws: int) -> list[int]:
    """Seeded offsets by which `count` ids are turned against their phones.

    A turned sequence keeps the runs of its ids, so that what is left of the relation is due to
    few frames and many ids alone; ids in random order would look better than they are.
    """
    rng = np.random.default_rng(seed)
    far = count // 8
    return [int(rng.integers(far, max(count - far, far + 1))) for _ in range(draws)]


def joint(phones: Ids, ids: Ids, vocabulary: int) -> Ids:
    """Keys of frames [T]: phone · V + id."""
    return phones * vocabulary + ids


# --------------------------------------------------------------------------------- boundaries
def hits(reference: Times, found: Times, tolerance: float) -> int:
    """Boundaries (seconds, rising) that meet within `tolerance`, each used once.

    In order, the earliest possible partner first, which is a largest matching on a line.
    """
    met = i = j = 0
    wanted, there = reference.tolist(), found.tolist()
    while i < len(wanted) and j < len(there):
        if abs(wanted[i] - there[j]) <= tolerance + 1e-9:
            met, i, j = met + 1, i + 1, j + 1
        elif wanted[i] < there[j]:
            i += 1
        else:
            j += 1
    return met


def r_value(met: float, found: float, reference: float) -> float:
    """Räsänen et al. 2009: 1 where found and reference boundaries agree; too many are punished.

    1 − (|r1| + |r2|)/2 with hit rate HR = met/reference, over-segmentation OS = found/reference
    − 1, r1 = √((1 − HR)² + OS²), r2 = (HR − 1 − OS)/√2. At most 1, may be far below 0. NaN
    without reference boundaries.
    """
    if not reference:
        return math.nan
    rate, over = met / reference, found / reference - 1
    first, second = math.hypot(1 - rate, over), (rate - 1 - over) / math.sqrt(2)
    return 1 - (abs(first) + abs(second)) / 2


def inner(starts: Sequence[float], ends: Sequence[float]) -> Times:
    """Boundaries between spans and at the outer ends of gaps, without the first start and the
    last end: seconds, rising, each once."""
    points: Times = np.unique(np.round(np.array([*starts, *ends], dtype=np.float64), 6))
    inside: Times = points[1:-1]
    return inside
