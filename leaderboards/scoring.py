"""Checks of `scores.parquet`: who is scored, in what range; and every aggregate computed again."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from bench.leaderboards.board import RATES, Board, Known
from bench.leaderboards.entry import RESULT, SCORES, Entry
from bench.leaderboards.identity import Found
from bench.leaderboards.rates_check import few
from bench.results import Row
from bench.scores import Spec, aggregate

TOLERANCE = 1e-6
SLACK = 1e-6  # above a bound, for a metric's own rounding
_SUMS = ("numerator", "denominator", "reference_numerator", "reference_denominator")


def groups(entry: Entry) -> dict[tuple[str, str], pd.DataFrame]:
    """(track, row) → its part of the scores."""
    scores = entry.scores.to_pandas()
    return {(str(t), str(m)): part for (t, m), part in scores.groupby(["track", "metric"])}


def check_rows(entry: Entry, board: Board) -> Found:
    """The result's rows are rows there are, with their units and directions, none missing."""
    tracks = entry.result.tracks
    for track, rows in tracks.items():
        for name, row in rows.items():
            known = board.rows.get((track, name))
            if known is None or not known.row.shown:
                yield RESULT, f"tracks.{track!a}.{name!a} is no row of this board"
            elif row.unit != known.row.unit:
                yield RESULT, f"{name} is in {row.unit!a}, not in '{known.row.unit}'"
            elif row.higher_is_better != known.row.higher_is_better:
                better = "higher" if known.row.higher_is_better else "lower"
                yield RESULT, f"{name}.higher_is_better is wrong: {better} is better"
            else:
                yield from _in_range(name, row, known)
    for (track, name), known in board.rows.items():
        if board.required(known):
            found = tracks.get(track, {}).get(name)
            if found is None or found.value is None:
                yield RESULT, f"{track}.{name} is missing or empty; the board needs it"


def _in_range(name: str, row: Row, known: Known) -> Found:
    low, high = (b * known.row.scale for b in known.row.bounds)
    for what, value in (("value", row.value), ("reference", row.reference)):
        if value is not None and not low - SLACK <= value <= high + SLACK * max(1.0, abs(high)):
            yield RESULT, f"{name}.{what} is {value:g}, outside {low:g} to {high:g}"
    if row.ci95 is not None and row.value is not None:
        if not row.ci95[0] - TOLERANCE * (1 + abs(row.value)) <= row.value:
            yield RESULT, f"{name}.ci95 begins above the value"
        if not row.value <= row.ci95[1] + TOLERANCE * (1 + abs(row.value)):
            yield RESULT, f"{name}.ci95 ends below the value"


def check_scores(entry: Entry, board: Board) -> Found:
    """Every score is of an utterance that the row scores, once, as the suite has it, in range."""
    for (track, name), part in groups(entry).items():
        known = board.rows.get((track, name))
        if known is None:
            yield SCORES, f"it scores {track!a}.{name!a}, which is no row of this board"
            continue
        problem = _numbers(part, known) or _people(part, board)
        if problem:
            yield SCORES, f"{name}: {problem}"
            continue
        yield from _complete(entry, board, known, part)


def _numbers(part: pd.DataFrame, known: Known) -> str | None:
    own = part[["numerator", "denominator"]].to_numpy(dtype=float)
    base = part[["reference_numerator", "reference_denominator"]].to_numpy(dtype=float)
    if not np.isfinite(own).all():
        return "a sum is missing, NaN or infinite"
    given = part[["reference_numerator", "reference_denominator"]].notna().to_numpy()
    if given.any() and not (given.all() and np.isfinite(base).all()):
        return "a sum of the original is missing, NaN or infinite"
    if known.metric is None and given.any():
        return "it has sums of the original, which this row does not know"
    if known.trials is not None:
        low, high = -1.0, 1.0  # a trial's score is a cosine, not yet the row
    else:
        low, high = known.row.bounds
    for sums, who in ((own, ""), (base, " of the original")):
        if not given.any() and who:
            break
        if (sums[:, 1] < 0).any():
            return f"a denominator{who} is negative"
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(sums[:, 1] > 0, sums[:, 0] / sums[:, 1], np.nan)
        wrong = (ratio < low - SLACK) | (ratio > high + SLACK)
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            return (
                f"{few([str(part['utterance'].iloc[at])])}{who} has {ratio[at]:g}, "
                f"outside {low:g} to {high:g}"
            )
    return None


def _people(part: pd.DataFrame, board: Board) -> str | None:
    utterances = board.facts.utterances
    strange = sorted({str(n) for n in part["utterance"] if n not in utterances})
    if strange:
        return f"utterances are not of the suite: {few(strange)}"
    for row in part[["utterance", "corpus", "language", "speaker"]].itertuples():
        real = utterances[row.utterance]
        if (row.corpus, row.language, row.speaker) != (real.corpus, real.language, real.speaker):
            return f"corpus, language or speaker of {few([real.id])} is not the suite's"
    return None


def _complete(entry: Entry, board: Board, known: Known, part: pd.DataFrame) -> Found:
    name, facts = known.row.name, board.facts
    if known.trials is not None:
        yield from _trials(entry, board, known, part)
        return
    if part["enrolment"].notna().any() or part["target"].notna().any():
        yield SCORES, f"{name}: it has trials, which this row does not know"
        return
    present = part["utterance"].tolist()
    twice = [n for n, count in Counter(present).items() if count > 1]
    if twice:
        yield SCORES, f"{name}: utterances are scored twice: {few(twice)}"
    expected = set(known.expected(facts))
    beyond = sorted(set(present) - expected)
    if beyond:
        yield SCORES, f"{name}: utterances are not of its task: {few(beyond)}"
    if known.metric is None and name not in RATES:
        return  # which utterances such a row scores depends on the tokens
    missing = sorted(expected - set(present) - _told(entry, known))
    if missing:
        yield SCORES, f"{name}: utterances are missing and no failure tells why: {few(missing)}"


def _told(entry: Entry, known: Known) -> set[str]:
    """Utterances of which a failure says that this row cannot have them."""
    stages = {"load", "encode"}
    if known.metric is not None:
        stages |= {"decode", f"metric:{known.metric.name}"}
        stages |= {f"judge:{judge}" for judge in known.metric.judges}
    return {f.utterance for f in entry.result.failures if f.stage in stages}


def _trials(entry: Entry, board: Board, known: Known, part: pd.DataFrame) -> Found:
    assert known.metric is not None
    name = known.row.name
    speakers = {u.id: u.speaker for u in board.facts.utterances.values()}
    wanted = {
        (t.enrol, t.test, bool(t.target))
        for t in known.trials(board.facts.of_task(known.metric.task))
    }
    found = list(zip(part["enrolment"], part["utterance"], part["target"], strict=True))
    if len(set(found)) != len(found):
        yield SCORES, f"{name}: a trial stands twice"
    if set(found) - wanted:
        yield SCORES, f"{name}: it has trials that the suite does not make"
    told = _told(entry, known)
    missing = [t for t in wanted - set(found) if t[0] not in told and t[1] not in told]
    if missing:
        yield SCORES, f"{name}: {len(missing)} trials are missing and no failure tells why"
    if any(
        speakers.get(e) != s
        for e, s in zip(part["enrolment"], part["enrolment_speaker"], strict=True)
    ):
        yield SCORES, f"{name}: an enrolment has another speaker than the suite's"


def check_aggregates(entry: Entry, board: Board) -> Found:
    """Every figure of `result.json` that sums divide into, computed from `scores.parquet`."""
    scored = groups(entry)
    for track, rows in entry.result.tracks.items():
        for name, row in rows.items():
            known = board.rows.get((track, name))
            if known is None:
                continue
            part = scored.get((track, name))
            if part is None:
                if row.value is not None and (known.metric is not None or name in RATES):
                    yield RESULT, f"{name} is {row.value:g}, but nothing was scored"
                continue
            yield from _compare(name, row, _again(row, known, part, board, entry.result.seed))


def recomputable(entry: Entry, track: str, name: str) -> bool:
    """The entry's own scores hold the sums of this row."""
    import pyarrow.compute as pc

    both = pc.and_(pc.equal(entry.scores["track"], track), pc.equal(entry.scores["metric"], name))
    return bool(pc.any(both).as_py())


def _again(row: Row, known: Known, part: pd.DataFrame, board: Board, seed: int) -> Row:
    expected = row.failures + row.n
    if known.metric is not None:
        names = known.expected(board.facts)
        expected = len(names)
        if known.trials is not None:
            expected = len(known.trials(board.facts.of_task(known.metric.task)))
    elif known.row.name in RATES:
        expected = len(board.facts.utterances)
    note = row.note if known.metric is None else None
    made = aggregate(part, [Spec(known.track, known.row, expected, note)], seed)
    return made[known.track][known.row.name]


def _compare(name: str, claimed: Row, made: Row) -> Found:
    size = max(abs(v) for v in (made.value, *(made.ci95 or ()), 1e-9) if v is not None)
    for field in Row.model_fields:
        have, want = getattr(claimed, field), getattr(made, field)
        if field == "note" and made.value is None:
            continue  # why there is no figure, in words
        if not _same(have, want, size):
            yield RESULT, f"{name}.{field} is {_told_as(have)}; the scores make {_told_as(want)}"


def _same(a: Any, b: Any, size: float) -> bool:
    if isinstance(a, float | int) and isinstance(b, float | int) and not isinstance(a, bool):
        return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE * size)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return all(_same(x, y, size) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def _told_as(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_told_as(v) for v in value)}]"
    return f"{value:.6g}" if isinstance(value, float) else ascii(value)[:80]
