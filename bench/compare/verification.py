"""Equal error rates of several runs on the same trials, by one paired bootstrap over speakers.

The bootstrap is that of `bench.eer.eer_interval`: a target trial counts as often as its speaker
was drawn, an impostor trial as the product of its two speakers' counts. Here one draw serves all
runs, each run's trials are sorted once, and the draws give a standard error: the tails that a
correction over many comparisons asks for lie beyond any quantile of a few hundred draws.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.compare.differences import Estimates, Floats, Ids, pairs

DRAWS = 300


class SortedTrials:
    """One run's trials by falling score, to ask for equal error rates under many weights.

    scores: [U], higher is more alike; targets: bool [U].
    """

    def __init__(self, scores: Floats, targets: npt.NDArray[np.bool_]) -> None:
        order = np.argsort(-scores, kind="stable")
        ranked, kinds = scores[order], targets[order]
        last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
        self.own, self.foreign = order[kinds], order[~kinds]
        # Targets and impostors at each distinct score or above it.
        self.own_above = np.cumsum(kinds)[last]
        self.foreign_above = last + 1 - self.own_above

    def rate(self, weights: Floats) -> float:
        """`bench.eer.eer` in [0, 1] with weights [U]; NaN without targets or impostors."""
        hits = np.concatenate([[0.0], np.cumsum(weights[self.own])])
        alarms = np.concatenate([[0.0], np.cumsum(weights[self.foreign])])
        if hits[-1] <= 0 or alarms[-1] <= 0:
            return float("nan")

        def gap(at: int) -> tuple[float, float]:
            """False alarms minus misses at the distinct score `at`, and the false alarms."""
            if at < 0:
                return -1.0, 0.0
            hit = float(hits[self.own_above[at]] / hits[-1])
            alarm = float(alarms[self.foreign_above[at]] / alarms[-1])
            return alarm - 1.0 + hit, alarm

        low, high = -1, len(self.own_above) - 1  # the gap rises from −1 to 1 between them
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if gap(middle)[0] >= 0 else (middle, high)
        (before, alarm), (after, next_alarm) = gap(low), gap(high)
        return alarm - before / (after - before) * (next_alarm - alarm)


def of_trials(
    scores: Floats,
    targets: npt.NDArray[np.bool_],
    enrolled: Ids,
    tested: Ids,
    seed: int,
    draws: int = DRAWS,
) -> Estimates:
    """EER of R runs from scores [R, U] of the same trials, with bootstrap errors for every pair.

    targets: [U]. enrolled, tested: speaker number [U] of the two sides of a trial. The t
    distribution has the effective number of speakers (Kish's, by their target trials) − 1 degrees
    of freedom. Without two speakers, targets and impostors nothing is tested: errors are NaN.
    """
    _, index = np.unique(np.concatenate([enrolled, tested]), return_inverse=True)
    enrolled, tested = index[: len(targets)], index[len(targets) :]
    count = int(index.max(initial=-1)) + 1
    runs = [SortedTrials(row, targets) for row in scores]
    values = np.array([run.rate(np.ones(len(targets))) for run in runs])
    rng = np.random.default_rng(seed)
    rows: list[list[float]] = []
    for _ in range(draws if count > 1 and np.isfinite(values).all() else 0):
        times = np.bincount(rng.integers(count, size=count), minlength=count).astype(np.float64)
        weights = np.where(targets, times[tested], times[enrolled] * times[tested])
        rows.append([run.rate(weights) for run in runs])
    table = np.array(rows).reshape(-1, len(runs))
    table = table[np.isfinite(table).all(axis=1)]
    first, second = pairs(len(runs))
    sizes = np.bincount(tested[targets], minlength=1).astype(np.float64)
    effective = float(sizes.sum() ** 2 / max(np.square(sizes).sum(), 1.0))
    return Estimates(
        values=values,
        errors=_spread(table),
        differences=values[first] - values[second],
        pair_errors=_spread(table[:, first] - table[:, second]),
        evidence=np.full(len(first), count, dtype=np.int64),
        freedom=max(effective - 1.0, 1.0),
        clusters=count,
        unit="speaker",
        n=len(targets),
    )


def _spread(table: Floats) -> Floats:
    """Standard deviation of each column; NaN with under two draws."""
    if len(table) < 2:
        return np.full(table.shape[1], np.nan)
    return np.asarray(table.std(axis=0, ddof=1))
