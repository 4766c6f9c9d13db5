"""The track `probe`: what small models read from the ids, without audio; see docs/probes.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from threading import Event

from bench import registry
from bench.contracts import MetricRow
from bench.pools import one_processor_each
from bench.probing.contract import Capacity, Probe, Unusable
from bench.probing.inputs import lack_of
from bench.probing.measure import Found, measure
from bench.results import Failure
from bench.store import Store
from bench.tracks.contract import OWN, TRAIN, VALIDATION, TokenContext, TokenItem, TrackResult
from bench.tracks.probe_inputs import FEATURES, TOKENS, Inputs
from bench.tracks.probe_rows import CAPACITIES, Told, compression_row, named, unusable
from bench.tracks.probe_work import Work, prepared

Unit = tuple[Capacity, str]
"""A capacity and what goes in: "tokens", "mel" or "features"."""


class ProbeTrack:
    name = "probe"
    version = "2"

    @cached_property
    def probes(self) -> dict[str, Probe]:
        """Task → probe, built-in ones and those of other packages."""
        return {name: found.load() for name, found in registry.plugins("probes").items()}

    @cached_property
    def rows(self) -> tuple[MetricRow, ...]:
        """Each probe's figures at both capacities, and its online code."""
        return tuple(
            row
            for probe in self.probes.values()
            for row in (
                *(named(row, size) for size in CAPACITIES for row in probe.rows),
                compression_row(probe),
            )
        )

    def splits(self, wanted: Callable[[str], bool]) -> tuple[str, ...]:
        """Probes are trained on train and chosen on validation."""
        return (TRAIN, VALIDATION) if any(wanted(row.name) for row in self.rows) else ()

    def run(self, context: TokenContext) -> TrackResult:
        """All wanted rows. What was trained is kept on disk by a digest of all that it depends on,
        so that an interrupted run goes on where it stopped."""
        result = TrackResult()
        chosen = {
            task: [size for size in CAPACITIES if _wanted(context, probe, size)]
            for task, probe in self.probes.items()
        }
        if not any(chosen.values()):
            return result
        asked = {task: self.probes[task] for task, sizes in chosen.items() if sizes}
        inputs = Inputs.of(context)
        works = _prepared(context, asked, inputs, result)
        if not works:
            return result
        store = Store(context.cache / "probes" / "trained.sqlite")
        try:
            found = _trained(context, inputs, works, chosen, store)
        finally:
            store.close()
        for task, work in works.items():
            Told(context, work, found[task]).into(result)
        result.details = dict(sorted(result.details.items()))
        return result


def _wanted(context: TokenContext, probe: Probe, size: str) -> bool:
    rows = [named(row, size) for row in probe.rows]
    if size == "linear":
        rows.append(compression_row(probe))
    return any(context.wanted(row.name) for row in rows)


def _items(context: TokenContext, result: TrackResult) -> list[TokenItem]:
    """Items of all splits that have sound ids; the others are listed."""
    made = []
    for split in (OWN, TRAIN, VALIDATION):
        for item in context.items(split):
            lack = lack_of(item.tokens, context.info.streams)
            if lack is None:
                made.append(item)
            else:
                result.failures.append(Failure(
                    track=TRACK.name, utterance=item.utterance.id, stage="probe", reason=lack
                ))  # fmt: skip
    return made


def _prepared(
    context: TokenContext, probes: Mapping[str, Probe], inputs: Inputs, result: TrackResult
) -> dict[str, Work]:
    """Labels and folds of each probe that the suite has data for, and what the probes read."""
    items = _items(context, result)
    works: dict[str, Work] = {}
    for task, probe in probes.items():
        try:
            works[task] = prepared(probe, items, context.seed)
        except Unusable as reason:
            unusable(context, probe, str(reason), result)
    inputs.prepare([item for work in works.values() for item in work.items])
    return works


def _trained(
    context: TokenContext,
    inputs: Inputs,
    works: dict[str, Work],
    chosen: dict[str, list[Capacity]],
    store: Store,
) -> dict[str, dict[Unit, Found]]:
    """Train everything, a few at a time and one processor each, so that sums do not depend on how
    many processors there are."""
    units: list[tuple[str, Unit]] = [
        (task, (size, source))
        for task, work in works.items()
        for size in chosen[task]
        for source in inputs.sources()
    ]
    units.sort(key=lambda unit: -_cost(works[unit[0]], *unit[1]))
    seconds = {task: sum(item.seconds for item in work.items) for task, work in works.items()}
    context.reporter.total("probe", sum(seconds[task] for task, _ in units))
    items = [item for work in works.values() for item in work.items]
    halted = Event()

    def train(task: str, unit: Unit) -> Found:
        size, source = unit
        work = works[task]
        if source == FEATURES:
            features.result()
        made = measure(
            work.setting, size, inputs.source(work, source), store,
            tokens=source == TOKENS, books=inputs.books,
        )  # fmt: skip
        context.reporter.done("probe", seconds[task])
        return made

    found: dict[str, dict[Unit, Found]] = {task: {} for task in works}

    def halt() -> None:
        for event in (halted, *(work.setting.halted for work in works.values())):
            event.set()

    with one_processor_each(context.threads, halt) as pool:
        # First of all, so that what waits for them waits for something that runs.
        features = pool.submit(inputs.prepare_features, items, halted)
        waiting = [(task, unit, pool.submit(train, task, unit)) for task, unit in units]
        for task, unit, future in waiting:
            found[task][unit] = future.result()
    return found


def _cost(work: Work, size: str, source: str) -> float:
    """The longest first, so that no processor waits at the end; in seconds, about, of a codec of
    eight streams on `mini`. Ids have controls, and a table that is larger than a projection."""
    framed = work.setting.labels[0].frames or work.setting.labels[0].sequences
    if size == "network":
        ids, features = (50.0, 20.0) if framed else (23.0, 7.0)
    else:
        ids, features = (27.0, 3.0) if framed else (17.0, 0.5)
    # What waits for features comes after its like.
    return {TOKENS: ids, FEATURES: features - 0.1}.get(source, features)


TRACK = ProbeTrack()
