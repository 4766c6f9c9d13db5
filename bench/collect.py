"""From what the stages measured to score records, failures and the rows that are expected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.codec import reason_of
from bench.contracts import Judged, Judgement, Metric, Utterance
from bench.errors import ContractError, ItemFailure
from bench.plan import RESYNTHESIS
from bench.results import Failure
from bench.run import ORIGINAL, Measured
from bench.scores import Spec, record
from bench.tracks.contract import Track, TrackResult
from bench.workers import checked

Record = dict[str, Any]


def collect(measured: Measured) -> tuple[list[Record], list[Failure], list[Spec]]:
    """Score records, listed failures, and one Spec for each row of the table."""
    records: list[Record] = []
    failures = list(_stage_failures(measured))
    specs: list[Spec] = []
    if "resynthesis" in measured.plan.tracks:
        for metric in measured.plan.metrics:
            made, failed = _metric(measured, metric)
            records += made
            failures += failed
            specs += _specs(measured, metric)
    for track in measured.plan.token_tracks:
        result = measured.results[track.name]
        records += _track_records(track, result)
        failures += result.failures
        specs += [
            Spec(track.name, row, result.expected[row.name], result.notes.get(row.name))
            for row in track.rows
            if row.name in result.expected
        ]
    failures.sort(key=lambda f: (f.track, f.stage, f.utterance, f.reason))
    return records, failures, specs


def _stage_failures(measured: Measured) -> Iterator[Failure]:
    def failure(index: int, stage: str, reason: str) -> Failure:
        return Failure(
            track="all" if stage in ("load", "encode") else "resynthesis",
            utterance=measured.utterance(index).id,
            stage=stage,
            reason=reason,
        )

    for index, reason in measured.originals.failures.items():
        yield failure(index, "load", reason)
    for index, (stage, reason) in measured.codec.failures.items():
        yield failure(index, stage, reason)
    for split in measured.context.others():
        lost = [("load", i, r) for i, r in split.originals.failures.items()]
        lost += [(stage, i, r) for i, (stage, r) in split.codec.failures.items()]
        for stage, index, reason in lost:
            utterance = split.suite.items[index].utterance.id
            told = f"{stage}:{split.name}"
            yield Failure(track="all", utterance=utterance, stage=told, reason=reason)
    for name, judging in measured.judging.items():
        for (side, index), outcome in judging.outcomes.items():
            if isinstance(outcome, str):
                yield failure(index, f"judge:{name}", f"{side}: {outcome}")


def _expected(measured: Measured, metric: Metric) -> list[int]:
    return [i for i, item in enumerate(measured.suite.items) if metric.info.task in item.tasks]


def _metric(measured: Measured, metric: Metric) -> tuple[list[Record], list[Failure]]:
    if any(name in measured.plan.absent for name in metric.info.judges):
        return [], []
    if hasattr(metric, "trials"):
        return _trials(measured, metric)
    records: list[Record] = []
    failures: list[Failure] = []
    for index in _expected(measured, metric):
        utterance = measured.utterance(index)
        try:
            sums = _sums(measured, metric, index)
        except ItemFailure as failure:
            failures.append(_failure(metric, utterance, str(failure)))
            continue
        if sums is None:
            continue
        for row in metric.info.rows:
            if not measured.plan.chosen(row.name):
                continue
            if row.name not in sums:
                failures.append(_failure(metric, utterance, f"metric gave no '{row.name}'"))
                continue
            own, base = sums[row.name]
            records.append(
                record(
                    "resynthesis",
                    row.name,
                    utterance,
                    numerator=own[0],
                    denominator=own[1],
                    reference_numerator=base[0] if base else None,
                    reference_denominator=base[1] if base else None,
                )
            )
    return records, failures


def _failure(metric: Metric, utterance: Utterance, reason: str) -> Failure:
    stage = f"metric:{metric.info.name}"
    return Failure(track="resynthesis", utterance=utterance.id, stage=stage, reason=reason)


Pair = tuple[tuple[float, float], tuple[float, float] | None]


def _sums(measured: Measured, metric: Metric, index: int) -> dict[str, Pair] | None:
    """Row → (resynthesis, reference); None where an earlier stage's failure is already listed."""
    if metric.info.needs_audio:
        key = (metric.info.name, index)
        if key in measured.comparing.failures:
            raise ItemFailure(measured.comparing.failures[key])
        if key not in measured.comparing.sums:
            return None
        identity = {row.name: row.identity for row in metric.info.rows}
        return {
            name: ((s.numerator, s.denominator), _perfect(identity.get(name), s.denominator))
            for name, s in measured.comparing.sums[key].items()
        }
    original = _judged(measured, metric, ORIGINAL, index)
    resynthesis = _judged(measured, metric, RESYNTHESIS, index)
    if original is None or resynthesis is None:
        return None
    utterance = measured.utterance(index)
    try:
        own = checked(metric.score(utterance, original, resynthesis))
        base = checked(metric.score(utterance, original, original))
        return {
            name: ((float(v[0]), float(v[1])), (float(base[name][0]), float(base[name][1])))
            for name, v in own.items()
        }
    except ItemFailure:
        raise
    except Exception as error:  # a plugin's bug is this utterance's failure, not the run's end
        raise ContractError(reason_of(error)) from error


def _perfect(identity: float | None, denominator: float) -> tuple[float, float] | None:
    return None if identity is None else (identity * denominator, denominator)


def _judged(measured: Measured, metric: Metric, side: str, index: int) -> Judged | None:
    outputs: dict[str, Judgement] = {}
    for name in metric.info.judges:
        outcome = measured.judging[name].outcomes.get((side, index))
        if outcome is None or isinstance(outcome, str):
            return None
        outputs[name] = outcome
    return Judged(outputs=outputs)


def _trials(measured: Measured, metric: Any) -> tuple[list[Record], list[Failure]]:
    """Verification: original enrolment against the resynthesis (and, for reference, original)."""
    index_of = {measured.utterance(i).id: i for i in _expected(measured, metric)}
    row = metric.info.rows[0]
    if not measured.plan.chosen(row.name):
        return [], []
    records = []
    failed: dict[str, Failure] = {}
    for trial in metric.trials([measured.utterance(i) for i in index_of.values()]):
        enrol = _judged(measured, metric, ORIGINAL, index_of[trial.enrol])
        original = _judged(measured, metric, ORIGINAL, index_of[trial.test])
        resynthesis = _judged(measured, metric, RESYNTHESIS, index_of[trial.test])
        if enrol is None or original is None or resynthesis is None:
            continue
        utterance = measured.utterance(index_of[trial.test])
        try:
            own, base = metric.similarity(enrol, resynthesis), metric.similarity(enrol, original)
        except ItemFailure as failure:
            failed[utterance.id] = _failure(metric, utterance, str(failure))
            continue
        records.append(
            record(
                "resynthesis",
                row.name,
                utterance,
                enrolment=trial.enrol,
                target=trial.target,
                denominator=1.0,
                enrolment_speaker=measured.utterance(index_of[trial.enrol]).speaker,
                numerator=own,
                reference_numerator=base,
                reference_denominator=1.0,
            )
        )
    return records, list(failed.values())


def _specs(measured: Measured, metric: Metric) -> list[Spec]:
    expected = len(_expected(measured, metric))
    if hasattr(metric, "trials"):
        found = _expected(measured, metric)
        expected = len(metric.trials([measured.utterance(i) for i in found]))
    lacks = [measured.plan.absent[j] for j in metric.info.judges if j in measured.plan.absent]
    note = lacks[0] if lacks else None
    return [
        Spec("resynthesis", row, expected, note)
        for row in metric.info.rows
        if measured.plan.chosen(row.name)
    ]


def _track_records(track: Track, result: TrackResult) -> list[Record]:
    return [
        record(
            track.name,
            made.row,
            made.utterance,
            numerator=made.sums.numerator,
            denominator=made.sums.denominator,
        )
        for made in result.records
    ]
