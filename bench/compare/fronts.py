"""Pareto fronts over a rate, and groups of like bitrate."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bench.compare.differences import TOLERANCE

SHARE = 0.2


@dataclass(frozen=True)
class Point:
    """A run at its rate. dominated_by: runs at no higher rate that are claimed to be better; a run
    with none is on the front."""

    label: str
    rate: float
    value: float
    dominated_by: tuple[str, ...]


def front(
    rates: Mapping[str, float], values: Mapping[str, float], better: Collection[tuple[str, str]]
) -> list[Point]:
    """Points by rising rate. better: (a, b) where a is claimed to be better than b.

    A point is dominated only by one that costs no more and is significantly better: what the data
    cannot tell apart stays on the front.
    """
    points = []
    for label in sorted((name for name in rates if name in values), key=lambda n: (rates[n], n)):
        above = tuple(
            other
            for other in rates
            if (other, label) in better and rates[other] <= rates[label] * (1 + TOLERANCE)
        )
        points.append(Point(label, rates[label], values[label], above))
    return points


def matched(rates: Mapping[str, float], share: float = SHARE) -> list[tuple[str, ...]]:
    """Largest groups of two or more whose rates all lie within ±`share` of their middle.

    The middle is half-way between the group's lowest and highest rate, so the highest is at most
    (1 + share)/(1 − share) times the lowest. By rising rate; a run may be in two groups.
    """
    order = sorted(rates, key=lambda name: (rates[name], name))
    most = (1 + share) / (1 - share) * (1 + TOLERANCE)
    groups: list[tuple[str, ...]] = []
    end = 0
    for start, label in enumerate(order):
        last = end
        while end < len(order) and rates[order[end]] <= most * rates[label]:
            end += 1
        if end > last and end - start > 1:  # else it lies inside the group before
            groups.append(tuple(order[start:end]))
    return groups
