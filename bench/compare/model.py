"""What a comparison holds; `bench.compare.comparison` makes it, the outputs lay it out.

Text that comes from a result's files is already plain (no control characters), not yet escaped.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.compare.fronts import Point

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Figure:
    """A run's figure with the 95 % interval of it alone, and its rank interval."""

    value: float
    ci95: Bounds | None
    rank: tuple[int, int]


@dataclass(frozen=True)
class Difference:
    """a − b. ci95: simultaneous over the axis; p: Holm-adjusted over it, None where nothing could
    be tested. better: a or b where that is claimed, else None."""

    a: str
    b: str
    value: float
    ci95: Bounds | None
    p: float | None
    better: str | None


@dataclass(frozen=True)
class MetricPart:
    """One metric. n: utterances (or trials) that all runs in `figures` scored, of `total` that any
    did; missing: label → those it lacks. lacking: runs without any score. clusters: how many of
    `unit` were taken as independent. reference: the originals' figure."""

    track: str
    name: str
    measure: str
    higher_is_better: bool
    n: int
    total: int
    clusters: int
    unit: str
    reference: float | None
    figures: dict[str, Figure]
    differences: list[Difference]
    missing: dict[str, list[str]]
    lacking: list[str]
    note: str | None


@dataclass(frozen=True)
class Stated:
    """A row of a whole corpus, without scores of utterances: as the runs state it, untested."""

    track: str
    name: str
    measure: str
    higher_is_better: bool
    values: dict[str, float]


@dataclass(frozen=True)
class AxisPart:
    """One axis. weight: of the profile. lead: the metric that stands for it. tests: differences in
    its family. top: runs that none is claimed to be better than, by the lead metric."""

    name: str
    title: str
    meaning: str
    weight: float | None
    lead: str | None
    tests: int
    top: list[str]
    metrics: dict[str, MetricPart]
    stated: list[Stated]


@dataclass(frozen=True)
class Front:
    axis: str
    metric: str
    rate: str
    points: list[Point]


@dataclass(frozen=True)
class Member:
    """A run in a group of like bitrate. ranks: axis → rank interval within the group."""

    label: str
    bitrate: float
    ranks: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class About:
    label: str
    name: str
    family: str
    weights: str
    folder: str
    bitrate: float | None
    token_rate: float | None


@dataclass(frozen=True)
class Comparison:
    suite: str
    version: str
    digest: str
    seed: int
    results: list[About]
    axes: list[AxisPart]
    profile: str | None
    meaning: str | None
    fronts: list[Front]
    groups: list[list[Member]]
    notes: list[str] = field(default_factory=list)
