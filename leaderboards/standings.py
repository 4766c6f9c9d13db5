"""From accepted entries to what the site shows: figures, rank intervals and Pareto fronts.

Figures are those of `result.json`, which `bench leaderboard verify` has computed again. Ranks are
computed here, from the sums of the utterances that all ranked entries scored, as in
`bench compare`: paired differences of all pairs, corrected by Holm within an axis.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import pandas as pd

from bench.compare.axes import AXES, axis_of
from bench.compare.differences import Estimates, Floats, claims, of_sums
from bench.compare.verification import of_trials
from bench.contracts import MetricRow
from bench.leaderboards.board import Board
from bench.leaderboards.entry import Entry
from bench.leaderboards.verification import Verification
from bench.results import Row

Key = tuple[str, str]
MAX_FAILURES = 0.02  # share of a row's utterances; above it the row is not ranked
VERIFIED, SELF, WITHDRAWN = "verified", "self-reported", "withdrawn"


@dataclass(frozen=True)
class Line:
    """One entry in a table. unranked: why it has no ranks at all, or None."""

    entry: Entry
    slug: str
    badge: str
    unranked: str | None
    verification: Verification | None = None

    @property
    def variant(self) -> str:
        return self.entry.result.tokenizer.variant

    def row(self, key: Key) -> Row | None:
        return self.entry.result.tracks.get(key[0], {}).get(key[1])

    def value(self, key: Key) -> float | None:
        row = self.row(key)
        return None if row is None else row.value


@dataclass
class Column:
    """One row of the results over all entries. slugs: the ranked ones, in the order of `low` and
    `high` (rank interval), and of the pairs of `sign` and `half`: 1, −1 or 0 where first is
    claimed better, worse, or neither; half-width of the difference's simultaneous interval, in
    the row's unit."""

    key: Key
    row: MetricRow
    declared: bool
    slugs: list[str] = field(default_factory=list)
    low: list[int] = field(default_factory=list)
    high: list[int] = field(default_factory=list)
    sign: list[int] = field(default_factory=list)
    half: list[float | None] = field(default_factory=list)

    def rank(self, slug: str) -> tuple[int, int] | None:
        if slug not in self.slugs:
            return None
        at = self.slugs.index(slug)
        return self.low[at], self.high[at]

    def better(self) -> set[tuple[str, str]]:
        """(a, b) where a is claimed to be better than b."""
        first, second = np.triu_indices(len(self.slugs), 1)
        won = set()
        for sign, i, j in zip(self.sign, first.tolist(), second.tolist(), strict=True):
            if sign:
                a, b = self.slugs[i], self.slugs[j]
                won.add((a, b) if sign > 0 else (b, a))
        return won


@dataclass
class Standings:
    board: Board
    lines: list[Line]
    columns: dict[Key, Column]

    def tracks(self) -> list[str]:
        return list(dict.fromkeys(track for track, _ in self.columns))


def slug_of(place: str) -> str:
    """A file's name for an entry, unlike any other's."""
    _, variant, revision = place.split("/")
    plain = re.sub(r"[^A-Za-z0-9]+", "-", f"{variant}-{revision}").strip("-")[:60]
    return f"{plain}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"


def lines_of(
    entries: Sequence[Entry], verified: Mapping[str, Verification], board: Board
) -> list[Line]:
    """One line an entry, by name; the newest revision of a variant alone has ranks."""
    newest: dict[str, tuple[int, str]] = {}
    for entry in entries:
        if entry.withdrawal is None:
            variant = entry.result.tokenizer.variant
            number = int(entry.revision.partition("+")[2] or 1)
            newest[variant] = max(newest.get(variant, (0, "")), (number, entry.place))
    made = []
    for entry in sorted(entries, key=lambda e: e.place):
        checked = verified.get(entry.place)
        badge = VERIFIED if checked else SELF
        unranked = None
        if entry.withdrawal is not None:
            badge, unranked = WITHDRAWN, f"withdrawn: {entry.withdrawal.reason}"
        elif newest[entry.result.tokenizer.variant][1] != entry.place:
            unranked = "a later entry of the same variant takes its place"
        elif entry.result.tokenizer.family == "reference":
            unranked = "a reference: shown to compare with, not ranked"
        elif entry.card.explanations and not checked:
            unranked = "it explains figures that seem implausible, and waits for a re-run"
        made.append(Line(entry, slug_of(entry.place), badge, unranked, checked))
    return made


def standings(
    entries: Sequence[Entry], verified: Mapping[str, Verification], board: Board
) -> Standings:
    """Everything that a board's pages show. Deterministic."""
    lines = lines_of(entries, verified, board)
    parts = {line.slug: _parts(line.entry) for line in lines}
    columns: dict[Key, Column] = {}
    order = {axis.name: at for at, axis in enumerate(AXES)}
    tracks = list(dict.fromkeys(track for track, _ in board.rows))
    for key in sorted(board.rows, key=lambda k: (tracks.index(k[0]), order[axis_of(k)])):
        known = board.rows[key]
        # Times and memory are of one machine: an order of entries by them would say nothing.
        shown = known.row.shown and known.row.repeatable
        if shown and any(line.value(key) is not None for line in lines):
            scored = any(key in parts[line.slug] for line in lines)
            columns[key] = Column(key, known.row, declared=not scored)
    for axis in AXES:
        family = [c for c in columns.values() if axis_of(c.key) == axis.name and not c.declared]
        _rank(family, lines, parts, board)
    return Standings(board, lines, columns)


def _parts(entry: Entry) -> dict[Key, pd.DataFrame]:
    scores = entry.scores.to_pandas()
    scores["unit"] = scores["utterance"] + "\0" + scores["enrolment"].fillna("").astype(str)
    return {
        (str(t), str(m)): p.set_index("unit") for (t, m), p in scores.groupby(["track", "metric"])
    }


def _ranked(line: Line, key: Key, board: Board) -> bool:
    """The line's figure may be compared: current versions, and hardly any failure."""
    row = line.row(key)
    if line.unranked or row is None or row.value is None:
        return False
    if row.failures > MAX_FAILURES * (row.failures + row.n):
        return False
    metric = board.rows[key].metric
    environment = line.entry.result.environment
    if metric is None:
        accepted = board.policy.tracks.get(key[0], [])
        told = environment.get("tracks", {}).get(key[0])
        return told is None or told in accepted[:1]
    if environment["metrics"].get(metric.name) not in board.policy.metrics[metric.name][:1]:
        return False
    return all(
        environment["judges"].get(judge) in board.policy.judges.get(judge, [])[:1]
        for judge in metric.judges
    )


def _rank(
    family: Sequence[Column],
    lines: Sequence[Line],
    parts: Mapping[str, Mapping[Key, pd.DataFrame]],
    board: Board,
) -> None:
    """Fill in ranks and pairs of the columns of one axis."""
    estimates = []
    for column in family:
        column.slugs = [
            line.slug
            for line in lines
            if _ranked(line, column.key, board) and column.key in parts[line.slug]
        ]
        chosen = [parts[slug][column.key] for slug in column.slugs]
        estimates.append(_estimates(chosen, board) if len(chosen) > 1 else None)
    told = [(c, e) for c, e in zip(family, estimates, strict=True) if e is not None]
    for (column, estimate), claim in zip(told, claims([e for _, e in told]), strict=True):
        count = len(column.slugs)
        first, second = np.triu_indices(count, 1)
        sign = claim.sign * (1 if column.row.higher_is_better else -1)
        won = np.bincount(first[sign > 0], minlength=count) + np.bincount(
            second[sign < 0], minlength=count
        )
        beaten = np.bincount(second[sign > 0], minlength=count) + np.bincount(
            first[sign < 0], minlength=count
        )
        column.low, column.high = (1 + beaten).tolist(), (count - won).tolist()
        column.sign = sign.tolist()
        spread = np.maximum(claim.high - estimate.differences, estimate.differences - claim.low)
        column.half = [_rounded(v * column.row.scale) for v in spread.tolist()]
    for column in family:
        if len(column.slugs) == 1:
            column.low, column.high = [1], [1]


def _rounded(value: float) -> float | None:
    return float(f"{value:.4g}") if np.isfinite(value) else None


def _estimates(chosen: Sequence[pd.DataFrame], board: Board) -> Estimates:
    """Paired on the utterances (or trials) that all have."""
    common = chosen[0].index
    if not all(part.index.equals(common) for part in chosen):
        common = reduce(
            lambda a, b: a.intersection(b), (part.index for part in chosen)
        ).sort_values()
        chosen = [part.loc[common] for part in chosen]

    def sums(name: str) -> Floats:
        return np.stack([part[name].to_numpy(dtype=np.float64) for part in chosen])

    first = chosen[0]
    if first["target"].notna().any():
        _, people = np.unique(
            np.concatenate([first["enrolment_speaker"], first["speaker"]]), return_inverse=True
        )
        return of_trials(
            sums("numerator"),
            first["target"].to_numpy(dtype=bool),
            people[: len(first)].astype(np.int64),
            people[len(first) :].astype(np.int64),
            seed=board.policy.seed,
        )
    return of_sums(sums("numerator"), sums("denominator"), first["speaker"].tolist())
