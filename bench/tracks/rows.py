"""Rows that a track makes itself: figures of a whole corpus with a jackknife over its speakers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.contracts import MetricRow
from bench.results import Row
from bench.stats import choose_clusters
from bench.tokenstats.counts import Ids
from bench.tokenstats.jackknife import grouped, jackknife
from bench.tracks.contract import TokenItem


@dataclass(frozen=True)
class Groups:
    """Which utterances are left out together. labels: group of each item, int64 [N] in [0, G);
    unit: "speaker" or "utterance", what was taken as independent; clusters: how many of it."""

    labels: Ids
    unit: str
    clusters: int

    @property
    def count(self) -> int:
        return int(self.labels.max(initial=-1)) + 1


def groups_of(items: Sequence[TokenItem]) -> Groups:
    """Speakers where there are enough of them (see bench.stats), else utterances; at most 20
    groups, filled by hash."""
    if not items:
        return Groups(np.zeros(0, dtype=np.int64), "utterance", 0)
    speakers = [item.utterance.speaker for item in items]
    _, unit = choose_clusters(speakers, np.array([item.seconds for item in items]))
    names = speakers if unit == "speaker" else [item.utterance.id for item in items]
    return Groups(grouped(names), unit, len(set(names)))


def whole(
    row: MetricRow,
    of: Callable[[int | None], float],
    groups: Groups,
    *,
    n: int,
    expected: int,
    note: str | None = None,
    lack: str | None = None,
) -> Row:
    """The row of `of(None)`, with an interval from `of(g)`, the figure without group g.

    n: utterances (or trials) that it is of, of `expected`. note: what a reader must know. A
    figure that is NaN gives a row without value, and `lack` says why.
    """
    value = of(None)
    bounds = None
    if math.isfinite(value) and groups.count > 1:
        bounds = jackknife(value, [of(group) for group in range(groups.count)])
    low, high = row.bounds
    if bounds is not None:
        bounds = (max(bounds[0], low) * row.scale, min(bounds[1], high) * row.scale)
    there = math.isfinite(value)
    return Row(
        value=value * row.scale if there else None,
        ci95=bounds,
        n=n if there else 0,
        unit=row.unit,
        higher_is_better=row.higher_is_better,
        reference=None,
        difference=None,
        difference_ci95=None,
        clusters=groups.unit,
        n_clusters=groups.clusters,
        failures=max(0, expected - n),
        note=note if there else lack,
    )


def named(
    of: Callable[[int | None], Mapping[str, float]], row: MetricRow
) -> Callable[[int | None], float]:
    """For `whole`: one row's figure of a function that gives several."""
    return lambda group: of(group)[row.name]


def absent(row: MetricRow, lack: str, expected: int = 0) -> Row:
    """A row that has no value here, and why."""
    none = Groups(np.zeros(0, dtype=np.int64), "utterance", 0)
    return whole(row, lambda _: math.nan, none, n=0, expected=expected, lack=lack)
