"""The tables of a report: what its template prints, as text and as figures to sort by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.breakdown import broken_down
from bench.contracts import MetricRow
from bench.report.choose import RATES, Score, breakable
from bench.report.plots import with_unit
from bench.report.runs import Run
from bench.results import Row
from bench.show import figure, span

MOST_FAILURES = 50
MOST_GROUPS = 200


@dataclass(frozen=True)
class Cell:
    """text as shown; sort: what a column is sorted by, None where there is no figure."""

    text: str
    sort: float | None = None


@dataclass(frozen=True)
class Headline:
    """One figure of the summary with what it means against the original."""

    metric: str
    unit: str
    value: str
    interval: str
    verdict: str
    description: str


@dataclass(frozen=True)
class MetricLine:
    """One row of a track's table."""

    metric: str
    unit: str
    better: str
    description: str
    cells: tuple[Cell, ...]
    note: str


@dataclass(frozen=True)
class Breakdown:
    """A table of parts: columns are metrics, lines are (group, cells)."""

    by: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, tuple[Cell, ...]], ...]
    left_out: int
    parts: Mapping[str, Mapping[str, Row]]

    def of(self, metric: str) -> dict[str, Row]:
        """Group → row, for the groups that have one."""
        return {group: rows[metric] for group, rows in self.parts.items() if metric in rows}


METRIC_COLUMNS = (
    "value", "95 % interval", "original", "difference", "difference, 95 %", "n", "failed",
)  # fmt: skip


def verdict(row: Row) -> str:
    """What the paired difference from the original allows to be said."""
    if row.difference is None:
        return ""
    if row.difference_ci95 is None:
        return "Too few utterances to compare with the original."
    low, high = row.difference_ci95
    told = f"{with_unit(row.difference, row.unit)} ({span((low, high), row.unit)})"
    if low <= 0 <= high:
        return f"No difference from the original beyond the interval: {told}."
    better = (row.difference > 0) == row.higher_is_better
    return f"{'Better' if better else 'Worse'} than the original: {told}."


def headlines(run: Run, names: Sequence[str], known: Mapping[str, MetricRow]) -> list[Headline]:
    """The leading figures and the rates."""
    made = []
    for name in (*names, *RATES):
        row = run.row(name)
        if row is not None:
            made.append(
                Headline(
                    name,
                    row.unit,
                    figure(row.value, row.unit),
                    span(row.ci95, row.unit),
                    verdict(row),
                    known[name].description if name in known else "",
                )
            )
    return made


def metric_lines(rows: Mapping[str, Row], known: Mapping[str, MetricRow]) -> list[MetricLine]:
    """Every row of one track."""
    made = []
    for name, row in rows.items():
        bounds, apart = row.ci95, row.difference_ci95
        n = f"{row.n}{'*' if row.clusters == 'utterance' and row.n else ''}"
        cells = (
            Cell(figure(row.value, row.unit), row.value),
            Cell(span(bounds, row.unit), bounds[0] if bounds else None),
            Cell(figure(row.reference, row.unit), row.reference),
            Cell(figure(row.difference, row.unit), row.difference),
            Cell(span(apart, row.unit), apart[0] if apart else None),
            Cell(n, row.n),
            Cell(str(row.failures), row.failures),
        )
        better = "higher" if row.higher_is_better else "lower"
        about = f"{known[name].description} Source: {known[name].source}." if name in known else ""
        made.append(MetricLine(name, row.unit, better, about, cells, row.note or ""))
    return made


def breakdowns(run: Run, names: Sequence[str]) -> list[Breakdown]:
    """The leading metrics by language, corpus and speaker, where there are two or more of them."""
    wanted = breakable(run, names)
    made = []
    for by in ("language", "corpus", "speaker"):
        if not wanted or run.scores[by].nunique() < 2:
            continue
        parts = broken_down(run.result, run.file("scores"), by, wanted)
        parts = {group: rows for group, rows in parts.items() if rows}
        columns = tuple(n for n in wanted if any(n in rows for rows in parts.values()))
        lines = tuple(
            (group, tuple(_part(rows.get(name)) for name in columns))
            for group, rows in list(parts.items())[:MOST_GROUPS]
        )
        made.append(Breakdown(by, columns, lines, len(parts) - len(lines), parts))
    return made


def _part(row: Row | None) -> Cell:
    if row is None or row.value is None:
        return Cell("–")
    interval = f" ({span(row.ci95, row.unit)})" if row.ci95 else ""
    return Cell(f"{figure(row.value, row.unit)}{interval}, n {row.n}", row.value)


def score_lines(
    runs: Sequence[Run],
    scores: Sequence[Mapping[str, Mapping[str, Score]]],
    names: Sequence[str],
    utterance: str,
) -> list[tuple[str, tuple[str, ...]]]:
    """(metric, values): of one utterance, on the original and of every run."""
    lines = []
    for name in names:
        row = runs[0].row(name)
        own = scores[0].get(name, {}).get(utterance)
        if row is None or own is None:
            continue
        values = [found.get(name, {}).get(utterance) for found in scores]
        shown = [figure(own.reference, row.unit)]
        shown += [figure(None if v is None else v.value, row.unit) for v in values]
        lines.append((f"{name}{', ' + row.unit if row.unit else ''}", tuple(shown)))
    return lines
