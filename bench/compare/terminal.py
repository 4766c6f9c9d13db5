"""A comparison on a terminal, within 100 columns."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.compare import words
from bench.compare.model import AxisPart, Comparison, Difference, MetricPart
from bench.compare.plain_forms import closing
from bench.show import WIDTH, figure

FEW = 6  # results up to which every pair is printed unasked
NAME = 26  # columns of a label; a longer one takes several lines


def show(comparison: Comparison, *, everything: bool = False) -> None:
    """Print ranks, figures and differences of lead metrics, fronts and groups; all metrics and all
    pairs with `everything`."""
    console = Console(highlight=False)
    console.width = min(WIDTH, console.width) if console.is_terminal else WIDTH
    console.print(_ranks(comparison))
    for line in _legend(comparison):
        console.print(line, markup=False, style="dim")
    for axis in words.with_data(comparison):
        for part in _parts(axis, everything=everything):
            console.print()
            console.print(_figures(axis, part))
            console.print(f"{words.basis(part)}.\n", markup=False, style="dim")
            every = everything or len(comparison.results) <= FEW
            _differences(part, console, every=every)
    _fronts(comparison, console)
    _groups(comparison, console)


def _table(title: str) -> Table:
    return Table(
        title=escape(title),
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def _ranks(comparison: Comparison) -> Table:
    count = len(comparison.results)
    title = f"{count} results on {comparison.suite} {comparison.version}: ranks by axis"
    if comparison.profile:
        title += f", ordered for {comparison.profile}"
    table = _table(title)
    table.add_column("", max_width=NAME, overflow="fold")
    axes = words.with_data(comparison)
    for axis in axes:
        table.add_column(f"{axis.title}\n[dim]{axis.lead}[/dim]", min_width=5, overflow="fold")
    for about in comparison.results:
        cells = [words.rank(axis.metrics[axis.lead or ""].figures.get(about.label), mark=True)
                 for axis in axes]  # fmt: skip
        table.add_row(escape(about.label), *cells)
    return table


def _legend(comparison: Comparison) -> Iterator[str]:
    if comparison.meaning:
        yield f"{comparison.profile}: {comparison.meaning}."
        for axis in words.with_data(comparison):
            weight = "not weighed" if axis.weight is None else f"weight {axis.weight:g}"
            yield f"  {axis.name} ({weight}) on top: {', '.join(axis.top)}"
    yield from closing(comparison)


def _parts(axis: AxisPart, *, everything: bool) -> list[MetricPart]:
    if everything:
        return [part for part in axis.metrics.values() if part.figures]
    part = words.lead(axis)
    return [part] if part else []


def _figures(axis: AxisPart, part: MetricPart) -> Table:
    table = _table(f"{axis.name}: {words.metric(part)}")
    table.add_column("", max_width=NAME + 20, overflow="fold")
    for name in ("value", "95 % interval", "rank"):
        table.add_column(name, justify="right", no_wrap=True)
    for label, found in words.ordered(part):
        table.add_row(escape(label), words.value(found.value, part),
                      words.interval(found.ci95, part), words.rank(found))  # fmt: skip
    if part.reference is not None:
        table.add_row("original", words.value(part.reference, part), "", "", style="dim")
    return table


def _differences(part: MetricPart, console: Console, *, every: bool) -> None:
    if len(part.figures) < 2:
        return
    first = words.ordered(part)[0][0]
    chosen = [d for d in part.differences if every or first in (d.a, d.b)]
    title = "differences of all pairs" if every else f"differences from {first} (--all for all)"
    table = _table(title)
    table.title_style = ""
    table.add_column("", max_width=56, overflow="fold")
    table.add_column("difference", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    table.add_column("p", justify="right", no_wrap=True)
    for difference in chosen:
        better, worse, sign = _turned(difference)
        how = "better than" if difference.better else "and"
        ends = difference.ci95 if difference.ci95 is None or sign > 0 else (
            -difference.ci95[1], -difference.ci95[0])  # fmt: skip
        table.add_row(
            escape(f"{better} {how} {worse}"),
            words.value(sign * difference.value, part) + (" *" if difference.better else "  "),
            words.interval(ends, part) or "–",
            words.p(difference.p),
        )
    console.print(table)


def _turned(difference: Difference) -> tuple[str, str, int]:
    """The better one first, where there is one, and the sign that this gives the difference."""
    if difference.better == difference.b:
        return difference.b, difference.a, -1
    return difference.a, difference.b, 1


def _fronts(comparison: Comparison, console: Console) -> None:
    if not comparison.fronts:
        return
    console.print("\n[bold]Pareto fronts[/bold]: none at that rate or below is claimed better")
    for found in comparison.fronts:
        unit = words.unit(found.rate)
        on = [p for p in found.points if not p.dominated_by]
        told = ", ".join(f"{p.label} ({figure(p.rate, unit)} {unit})" for p in on)
        console.print(f"  {found.axis} ({found.metric}) over {found.rate}: {told}",
                      markup=False)  # fmt: skip


def _groups(comparison: Comparison, console: Console) -> None:
    console.print("\n[bold]Like bitrate[/bold] (within ±20 % of the group's middle)")
    if not comparison.groups:
        console.print("  no two results are this close")
    for group in comparison.groups:
        console.print()
        table = _table("")
        table.title = None
        table.add_column("", max_width=NAME + 14, overflow="fold")
        table.add_column("bit/s", justify="right")
        axes = [a for a in comparison.axes if any(a.name in m.ranks for m in group)]
        for axis in axes:
            table.add_column(axis.title)
        for member in group:
            cells = [words.place(member.ranks.get(axis.name)) for axis in axes]
            table.add_row(escape(member.label), figure(member.bitrate, "bit/s"), *cells)
        console.print(table)
