"""The result as one table on a terminal, grouped by track, within 100 columns."""

from __future__ import annotations

from collections import Counter

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.results import Result, Row

WIDTH = 100
COMPARED = {"resynthesis": "original", "probe": "log-mel"}
"""What the rows of a track are compared with, where one word tells it."""
DIGITS = {
    "%": 1,
    "bit/s": 0,
    "tokens/s": 1,
    "frames/s": 1,
    "steps/s": 1,
    "frames": 0,
    "ids": 1,
    "cents": 0,
    "dB": 1,
    "MOS": 2,
    "ms/s": 2,
    "ms": 1,
    "ppm": 2,
    "MB": 0,
    "M": 2,
}
"""Digits after the point that a unit deserves; three for any other."""


def figure(value: float | None, unit: str) -> str:
    """A value with the digits that its unit deserves."""
    if value is None:
        return "–"
    digits = DIGITS.get(unit, 3)
    if abs(value) >= 1000:
        digits = 0
    value = round(value, digits) + 0.0  # no "-0.00"
    return f"{value:,.{digits}f}"


def span(bounds: tuple[float, float] | None, unit: str) -> str:
    """An interval, or nothing."""
    if bounds is None:
        return ""
    return f"{figure(bounds[0], unit)} … {figure(bounds[1], unit)}"


def _difference(row: Row) -> str:
    if row.difference is None:
        return ""
    return f"{figure(row.difference, row.unit)} ({span(row.difference_ci95, row.unit)})"


def _beside(result: Result) -> dict[str, Row]:
    """Rows without which those of the track lm say nothing, where the run has them."""
    found = result.tracks.get("resynthesis", {})
    return {f"  {n}": found[n] for n in ("wer", "speaker_similarity") if n in found}


def _table(track: str, console: Console) -> Table:
    """An empty table of a track: of its own, so that its columns are as wide as its rows need."""
    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        width=min(WIDTH, max(console.width, 80)),
    )
    table.add_column(track, no_wrap=True)
    compared = COMPARED.get(track, "reference")
    for name in ("value", "95 % interval", compared, "difference (95 %)", "n"):
        # On a narrow terminal the ranges take two lines; no figure is cut.
        ranges = name in ("95 % interval", "difference (95 %)")
        table.add_column(name, justify="right", no_wrap=not ranges, overflow="fold")
    return table


def show(result: Result, console: Console, folder: str) -> None:
    """Print the table, then the failures by stage and where the files lie."""
    t, s = result.tokenizer, result.suite
    console.print(
        f"[bold]{escape(t.variant)} on {s.name} {s.version}: {s.utterances} utterances, "
        f"{s.seconds / 60:.1f} minutes[/bold]",
        width=min(WIDTH, console.width),
    )
    notes: dict[str, list[str]] = {}
    clustered = Counter[str]()
    for track, rows in result.tracks.items():
        table = _table(track, console)
        beside = _beside(result) if track == "lm" else {}
        for name, row in [*beside.items(), *rows.items()]:
            arrow = "↑" if row.higher_is_better else "↓"
            missed = f" ({row.failures}!)" if row.failures and row.value is not None else ""
            table.add_row(
                f"{name} {arrow} [dim]{row.unit}[/dim]",
                figure(row.value, row.unit),
                span(row.ci95, row.unit),
                figure(row.reference, row.unit),
                _difference(row),
                f"{row.n}{'*' if row.clusters == 'utterance' and row.n else ''}{missed}",
            )
            clustered[row.clusters] += row.n > 0
            if row.note and name not in beside:
                notes.setdefault(row.note, []).append(name)
        console.print(table, crop=False)
    if clustered["utterance"]:
        console.print(
            "* too few speakers for an interval over speakers: it holds for these speakers only"
        )
    if "lm" in result.tracks:
        from bench.tracks.lm_shown import tables

        for layouts in tables(folder):
            console.print(layouts, crop=False)
    for note, names in notes.items():
        console.print(f"{', '.join(names)}: {note}", soft_wrap=True, markup=False)
    if result.failures:
        console.print(f"[yellow]{len(result.failures)} failures[/yellow], listed in result.json:")
        for (stage, reason), count in Counter(
            (f.stage, f.reason) for f in result.failures
        ).most_common(8):
            console.print(f"  {count} × {stage}: {reason}", soft_wrap=True, markup=False)
    spent = result.timing
    console.print(
        f"[dim]{spent['work']:.0f} s of work: encode {spent['encode']:.0f}, "
        f"decode {spent['decode']:.0f}, judges {spent['judges']:.0f}, "
        f"metrics {spent['metrics']:.0f} (side by side). Files in {escape(folder)}[/dim]"
    )
