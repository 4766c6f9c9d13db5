"""Pareto plots: a metric against a rate, as SVG files that are the same in every build."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.compare.axes import AXES, BITRATE, TOKEN_RATE, axis_of
from bench.compare.fronts import Point, front
from bench.leaderboards.standings import Column, Key, Standings
from bench.show import figure

LIGHT = {"#101820": "#101820", "#0b5cad": "#0b5cad", "#6b7280": "#6b7280", "#fdfdfd": "#fdfdfd"}
DARK = {"#101820": "#e8eaed", "#0b5cad": "#7cb7ff", "#6b7280": "#9aa3ae", "#fdfdfd": "#15181c"}
INK, BLUE, GREY, PAPER = LIGHT
RATES = {BITRATE: "bit/s", TOKEN_RATE: "tokens/s"}
LABELLED = 25  # points of a front that are named in the plot; a caption names them all


@dataclass(frozen=True)
class Plot:
    """name: file without ending. alt: what the plot shows, in words. svg: theme → file."""

    name: str
    title: str
    alt: str
    svg: dict[str, str]


def plots_of(standings: Standings) -> list[Plot]:
    """One plot for the lead metric of each axis that has ranks, over each rate."""
    made = []
    for rate in RATES:
        for axis in AXES:
            if axis.name in ("efficiency", "other"):
                continue
            columns = [c for k, c in standings.columns.items() if axis_of(k) == axis.name]
            column = next(
                (c for lead in axis.leads for c in columns if c.key[1] == lead and c.slugs), None
            )
            if column is not None and rate in standings.columns:
                made.append(_plot(standings, column, rate))
    return made


def _plot(standings: Standings, column: Column, rate: Key) -> Plot:
    lines = {line.slug: line for line in standings.lines}
    rates, values = {}, {}
    for slug in column.slugs:
        at, value = lines[slug].value(rate), lines[slug].value(column.key)
        if at is not None and value is not None and at > 0:
            rates[slug], values[slug] = at, value
    points = front(rates, values, column.better())
    on_front = [p for p in points if not p.dominated_by]
    names = [lines[p.label].variant for p in on_front]
    better = "higher" if column.row.higher_is_better else "lower"
    metric = column.key[1]
    title = f"{metric} ({better} is better) against {RATES[rate]}"
    alt = (
        f"{title}: {len(points)} tokenizers. On the front, where none that costs no more is "
        f"claimed to be better: {', '.join(names[:LABELLED]) or 'none'}"
        f"{' and more' if len(names) > LABELLED else ''}."
    )
    references = [
        (line.variant, at, value)
        for line in standings.lines
        if line.entry.result.tokenizer.family == "reference" and line.entry.withdrawal is None
        for at, value in [(line.value(rate), line.value(column.key))]
        if at and value is not None
    ]
    drawn = _draw(points, names, references, column, rate)
    return Plot(
        f"{metric}-{rate[1]}",
        title,
        alt,
        {"light": drawn, "dark": _recoloured(drawn)},
    )


def _recoloured(svg: str) -> str:
    for light, dark in DARK.items():
        svg = svg.replace(light, dark)
    return svg


def _draw(
    points: Sequence[Point],
    names: Sequence[str],
    references: Sequence[tuple[str, float, float]],
    column: Column,
    rate: Key,
) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        "svg.hashsalt": "bench",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 10,
        "axes.unicode_minus": False,
        "text.parse_math": False,
    }
    with mpl.rc_context(dict(mpl.rcParamsDefault) | settings):
        made = Figure(figsize=(7.2, 4.3), facecolor=PAPER, layout="constrained")
        FigureCanvasSVG(made)
        axes = made.add_subplot(facecolor=PAPER)
        beaten = [p for p in points if p.dominated_by]
        kept = [p for p in points if not p.dominated_by]
        rates = [p.rate for p in points] + [r[1] for r in references]
        middle = math.sqrt(min(rates) * max(rates))
        if references:
            axes.plot(
                [r[1] for r in references], [r[2] for r in references], linestyle="none",
                marker="x", color=GREY, label="reference, not ranked",
            )  # fmt: skip
            for name, at, value in references:
                _name(axes, name, at, value, GREY, middle)
        if beaten:
            axes.plot(
                [p.rate for p in beaten], [p.value for p in beaten], linestyle="none",
                marker="o", markersize=5, markerfacecolor="none", color=GREY, label="dominated",
            )  # fmt: skip
        axes.plot(
            [p.rate for p in kept], [p.value for p in kept], linestyle="none",
            marker="o", markersize=7, color=BLUE, label="on the front",
        )  # fmt: skip
        for point, name in list(zip(kept, names, strict=True))[:LABELLED]:
            _name(axes, name, point.rate, point.value, INK, middle)
        axes.set_xscale("log")
        axes.margins(x=0.12, y=0.12)
        _ticks(axes, rates, rate)
        axes.set_xlabel(RATES[rate], color=INK)
        axes.set_ylabel(" ".join(filter(None, (column.key[1], column.row.unit))), color=INK)
        if not column.row.higher_is_better:
            axes.invert_yaxis()  # better is always up
        axes.tick_params(colors=INK)
        axes.grid(color=GREY, alpha=0.25, linewidth=0.6)
        for spine in axes.spines.values():
            spine.set_color(GREY)
        axes.legend(
            loc="best", fontsize=9, labelcolor=INK, facecolor=PAPER, edgecolor=GREY, framealpha=1
        )
        out = io.StringIO()
        made.savefig(
            out,
            format="svg",
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _name(axes: Any, name: str, x: float, y: float, colour: str, middle: float) -> None:
    """A point's name, on the side where there is room."""
    left = x > middle
    axes.annotate(
        name, (x, y), xytext=(-6 if left else 6, 5), textcoords="offset points", fontsize=8.5,
        ha="right" if left else "left", color=colour,
    )  # fmt: skip


def _ticks(axes: Any, rates: Sequence[float], rate: Key) -> None:
    """Round figures at 1, 2 and 5 of each decade, in plain digits."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = min(rates) / 1.5, max(rates) * 1.5
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 3000 else (1,)
    ticks = [s * 10.0**d for d in decades for s in steps if low <= s * 10.0**d <= high]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: figure(v, RATES[rate])))
