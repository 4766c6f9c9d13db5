"""From what models said to a figure with its interval over seeds and speakers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.contracts import MetricRow
from bench.probing.contract import Ids, Probe, Values
from bench.tracks.contract import TokenItem
from bench.tracks.rows import Groups, groups_of

Table = npt.NDArray[np.float64]
COLLAPSED = 0.1  # of a share (or R²), at least, below the median of the seeds


@dataclass(frozen=True)
class Estimate:
    """A figure, unscaled. seeds: the figure of each seed. ci95: None where there is no spread."""

    value: float
    ci95: tuple[float, float] | None
    seeds: tuple[float, ...]

    def told(self, scale: float = 1.0) -> dict[str, object]:
        """For a file, in the row's unit; None for what is not finite."""
        bounds = None if self.ci95 is None else [finite(scale * x) for x in self.ci95]
        return {"value": finite(scale * self.value), "ci95": bounds,
                "seeds": [finite(scale * x) for x in self.seeds]}  # fmt: skip


def finite(value: float, digits: int = 6) -> float | None:
    return round(float(value), digits) if math.isfinite(value) else None


@dataclass(frozen=True)
class Scored:
    """Items that a row is of: their numbers, and who is left out together."""

    items: Ids
    groups: Groups
    total: int

    @classmethod
    def of(cls, probe: Probe, row: str, values: Values, items: Sequence[TokenItem]) -> Scored:
        keys = probe.uses.get(row, ("item",))
        found = np.unique(np.concatenate([values[key] for key in keys])).astype(np.int64)
        return cls(found, groups_of([items[i] for i in found]), len(items))

    def keeps(self) -> list[npt.NDArray[np.bool_]]:
        """All items; then without each group."""
        made = []
        for group in [None, *range(self.groups.count)]:
            keep = np.zeros(self.total, dtype=bool)
            keep[self.items if group is None else self.items[self.groups.labels != group]] = True
            made.append(keep)
        return made


def table(probe: Probe, row: str, seeds: Sequence[Values], scored: Scored) -> Table:
    """The row's figure [seeds, 1 + G]: of all, and without each group."""
    keeps = scored.keeps()
    return np.array([[probe.figures(values, keep)[row] for keep in keeps] for values in seeds])


def estimate(made: Table, row: MetricRow | None = None, level: float = 0.95) -> Estimate:
    """The mean over seeds with an interval over seeds and groups of speakers.

    The two sources of chance add up: se² = (G − 1)/G · Σ(θ_g − mean θ)² (delete-a-group
    jackknife of the mean over seeds) + s²/S over the seeds. t with the degrees of freedom of
    Satterthwaite 1946. row: its bounds cut the interval. No interval under two groups.
    """
    from scipy.stats import t as student

    means = made.mean(axis=0)
    value, without = float(means[0]), means[1:]
    seeds = tuple(float(x) for x in made[:, 0])
    groups, count = len(without), len(made)
    if groups < 2 or not np.isfinite(made).all():
        return Estimate(value, None, seeds)
    between = (groups - 1) / groups * float(np.square(without - without.mean()).sum())
    parts = [(between, groups - 1)]
    if count > 1:
        parts.append((float(made[:, 0].var(ddof=1)) / count, count - 1))
    total = sum(v for v, _ in parts)
    weight = sum(v * v / d for v, d in parts)
    freedom = total * total / weight if weight > 0 else groups - 1
    half = float(student.ppf(0.5 + level / 2, freedom)) * math.sqrt(total)
    low, high = row.bounds if row else (-math.inf, math.inf)
    return Estimate(value, (max(value - half, low), min(value + half, high)), seeds)


def collapsed(seeds: Sequence[float], row: MetricRow, validation: Sequence[float]) -> list[int]:
    """Numbers of seeds whose training failed: no finite validation loss, or a figure worse than
    the seeds' median by 0.1 and by five times their robust spread (1.4826 · MAD)."""
    values = np.array(seeds)
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    worse = middle - values if row.higher_is_better else values - middle
    bad = (worse > max(COLLAPSED, 5 * spread)) | ~np.isfinite(np.array(validation))
    return [int(n) for n in np.flatnonzero(bad)]
