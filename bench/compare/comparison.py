"""From runs to everything that `bench compare` says, as data; the outputs only lay it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bench.compare import axes as known
from bench.compare.axes import BITRATE, TOKEN_RATE, Axis
from bench.compare.differences import Claims, claims, pairs
from bench.compare.fronts import front, matched
from bench.compare.gather import Gathered, gather
from bench.compare.inputs import Run
from bench.compare.model import (
    About,
    AxisPart,
    Bounds,
    Comparison,
    Difference,
    Figure,
    Front,
    Member,
    MetricPart,
    Stated,
)
from bench.compare.profiles import Profile
from bench.compare.table import Key, Names, plain
from bench.contracts import MetricRow

Rates = dict[str, float]


def compare_runs(
    runs: Sequence[Run],
    names: Names,
    chosen: tuple[Axis, ...],
    profile: Profile | None,
    notes: Sequence[str],
) -> Comparison:
    """All figures, recomputed from the scores. Deterministic.

    chosen: axes to tell of; the families of the others are not made. profile: orders the axes.
    notes: what is known of the runs already.
    """
    result = runs[0].result
    scored = {key for run in runs for key in run.scores}
    tracks = {track for track, _ in scored}.union(*(run.result.tracks for run in runs))
    rows = dict(known.known_rows(tracks))
    wanted = {axis.name for axis in chosen}
    gathered = {
        key: gather(key, row, runs, names, result.seed)
        for key, row in rows.items()
        if key in scored
        and row.repeatable  # times and memory are of one machine
        and (known.axis_of(key) in wanted or key in (BITRATE, TOKEN_RATE))
    }
    axes = [
        _axis(axis, gathered, rows, runs, profile)
        for axis in (profile.ordered(chosen) if profile else chosen)
    ]
    bitrates, token_rates = (_values(gathered.get(key), runs) for key in (BITRATE, TOKEN_RATE))
    return Comparison(
        suite=plain(result.suite.name),
        version=plain(result.suite.version),
        digest=plain(result.suite.digest),
        seed=result.seed,
        results=[_about(run, bitrates, token_rates) for run in runs],
        axes=[part for part in axes if part.metrics or part.stated or part.name != "other"],
        profile=plain(profile.name) if profile else None,
        meaning=plain(profile.meaning) if profile else None,
        fronts=[*_fronts(axes, "bitrate", bitrates), *_fronts(axes, "token_rate", token_rates)],
        groups=[_group(group, bitrates, axes) for group in matched(bitrates)],
        notes=[*notes, *_notes(scored, rows, runs, bitrates)],
    )


def _values(metric: Gathered | None, runs: Sequence[Run]) -> Rates:
    """Label → figure as shown, for the runs that have one."""
    if metric is None:
        return {}
    return {
        runs[run].label: float(value) * metric.row.scale
        for run, value in zip(metric.runs, metric.estimates.values, strict=True)
        if np.isfinite(value)
    }


def _about(run: Run, bitrates: Rates, token_rates: Rates) -> About:
    tokenizer = run.result.tokenizer
    return About(
        label=run.label,
        name=plain(tokenizer.name),
        family=tokenizer.family,
        weights=plain(tokenizer.weights),
        folder=plain(run.folder),
        bitrate=bitrates.get(run.label),
        token_rate=token_rates.get(run.label),
    )


# ---------------------------------------------------------------------------------------- axes
def _axis(
    axis: Axis,
    gathered: Mapping[Key, Gathered],
    rows: Mapping[Key, MetricRow],
    runs: Sequence[Run],
    profile: Profile | None,
) -> AxisPart:
    family = [made for key, made in gathered.items() if known.axis_of(key) == axis.name]
    claimed = claims([made.estimates for made in family])
    metrics = {
        made.key[1]: _metric(made, claim, runs) for made, claim in zip(family, claimed, strict=True)
    }
    counts = {name: len(part.figures) for name, part in metrics.items() if part.figures}
    lead = known.lead_of(axis, counts, len(runs))
    figures = metrics[lead].figures if lead else {}
    return AxisPart(
        name=axis.name,
        title=axis.title,
        meaning=axis.meaning,
        weight=profile.weights.get(axis.name) if profile else None,
        lead=lead,
        tests=sum(int(np.isfinite(claim.p).sum()) for claim in claimed),
        top=[label for label, figure in figures.items() if figure.rank[0] == 1],
        metrics=metrics,
        stated=[
            stated
            for key, row in rows.items()
            if known.axis_of(key) == axis.name and key not in gathered
            for stated in [_stated(key, row, runs)]
            if stated.values and row.repeatable
        ],
    )


def _metric(made: Gathered, claim: Claims, runs: Sequence[Run]) -> MetricPart:
    labels = [runs[number].label for number in made.runs]
    scale, estimates = made.row.scale, made.estimates
    differences = []
    for at, (i, j) in enumerate(zip(*pairs(len(labels)), strict=True)):
        if not np.isfinite(estimates.differences[at]):
            continue
        sign = int(claim.sign[at]) * (1 if made.row.higher_is_better else -1)
        differences.append(
            Difference(
                a=labels[i],
                b=labels[j],
                value=float(estimates.differences[at]) * scale,
                ci95=_bounds(claim.low[at], claim.high[at], scale),
                p=float(claim.p[at]) if np.isfinite(claim.p[at]) else None,
                better={1: labels[i], -1: labels[j]}.get(sign),
            )
        )
    lows, highs = estimates.intervals()
    least, most = made.row.bounds
    valid = [at for at, value in enumerate(estimates.values) if np.isfinite(value)]
    won = [(d.better, d.b if d.better == d.a else d.a) for d in differences if d.better]
    figures = {
        labels[at]: Figure(
            value=float(estimates.values[at]) * scale,
            ci95=_bounds(max(lows[at], least), min(highs[at], most), scale),
            rank=rank(labels[at], won, len(valid)),
        )
        for at in valid
    }
    return MetricPart(
        track=made.key[0],
        name=made.key[1],
        measure=made.row.unit,
        higher_is_better=made.row.higher_is_better,
        n=estimates.n,
        total=made.total,
        clusters=estimates.clusters,
        unit=estimates.unit,
        reference=None if made.reference is None else made.reference * scale,
        figures=figures,
        differences=differences,
        missing=made.missing,
        lacking=[run.label for run in runs if run.label not in figures],
        note=made.note,
    )


def rank(label: str, won: Sequence[tuple[str, str]], count: int) -> tuple[int, int]:
    """Rank interval among `count` runs: 1 + how many are claimed better, to how many are not
    claimed worse, itself included. won: (better, worse) of every claim."""
    above = sum(worse == label for _, worse in won)
    below = sum(better == label for better, _ in won)
    return 1 + above, count - below


def _bounds(low: float, high: float, scale: float) -> Bounds | None:
    if not (np.isfinite(low) and np.isfinite(high)):
        return None
    return float(low) * scale, float(high) * scale


def _stated(key: Key, row: MetricRow, runs: Sequence[Run]) -> Stated:
    track, name = key
    found = {run.label: run.result.tracks.get(track, {}).get(name) for run in runs}
    values = {label: r.value for label, r in found.items() if r is not None and r.value is not None}
    return Stated(track, name, row.unit, row.higher_is_better, values)


# ------------------------------------------------------------------------- fronts, groups, notes
def _won(axis: AxisPart) -> list[tuple[str, str]]:
    """(better, worse) of every claim of the axis's lead metric."""
    differences = axis.metrics[axis.lead].differences if axis.lead else []
    return [(d.better, d.b if d.better == d.a else d.a) for d in differences if d.better]


def _fronts(axes: Sequence[AxisPart], rate: str, rates: Rates) -> Iterator[Front]:
    for axis in axes:
        if axis.lead and axis.name not in ("efficiency", "other"):
            figures = axis.metrics[axis.lead].figures
            values = {label: figure.value for label, figure in figures.items()}
            points = front(rates, values, _won(axis))
            if len(points) > 1:
                yield Front(axis.name, axis.lead, rate, points)


def _group(group: Sequence[str], bitrates: Rates, axes: Sequence[AxisPart]) -> list[Member]:
    """Ranks again, among the runs of one group, from the claims made of all."""
    members = []
    for label in group:
        ranks = {}
        for axis in axes:
            having = {*group} & {*(axis.metrics[axis.lead].figures if axis.lead else {})}
            if label in having and axis.name != "efficiency":
                won = [(a, b) for a, b in _won(axis) if a in having and b in having]
                ranks[axis.name] = rank(label, won, len(having))
        members.append(Member(label, bitrates[label], ranks))
    return members


def _notes(
    scored: set[Key], rows: Mapping[Key, MetricRow], runs: Sequence[Run], bitrates: Rates
) -> Iterator[str]:
    shown = {
        (track, name)
        for run in runs
        for track, found in run.result.tracks.items()
        for name in found
    }
    foreign = sorted({plain(name) for track, name in scored & shown - {*rows}})
    if foreign:
        yield f"not compared, as no installed metric is called so: {', '.join(foreign)}"
    without = [run.label for run in runs if run.label not in bitrates]
    if without:
        yield (
            f"without a rate, so in no front and no group: {', '.join(without)} "
            "(they were measured without the track tokens)"
        )
