"""Figures of what the tracks told in `details.json`, each where it is there.

- tokens: `curves`, name → stream → [[x, y], ...];
- probe: the learning curve of each task's linear head, and its figure on growing prefixes of the
  codebooks (arms `books:<n>`);
- lm: bits a second of each model against the speech that it was trained on.

The file may be older or newer than this code: what does not have that shape is left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.probing.arms import BOOKS, TOKENS
from bench.report.figures import SERIES, Plot, make_figure
from bench.report.plots import MARKERS, plain_log

MOST_SERIES = len(SERIES)
AXES = {
    "used_of_ids": ("ids seen", "different ids used"),
    "share_of_rank": ("rank of the id", "share of all ids"),
}
"""Axes of the curves whose names are known; others are called x and by their own name."""
WIDE = 50  # a ratio of largest to smallest from which an axis is logarithmic
SIZE = "linear"  # the head whose curves are drawn

Point = tuple[float, float, float, float]  # x, y, and the interval of y (y, y where there is none)
Series = dict[str, list[Point]]


@dataclass(frozen=True)
class Panel:
    """One pair of axes. total: how many series there were before some were left out."""

    title: str
    y_name: str
    series: Series
    total: int

    @classmethod
    def of(cls, title: str, y_name: str, series: Series) -> Panel | None:
        """At most `MOST_SERIES` of the series that have points, taken evenly."""
        known = [name for name, points in series.items() if points]
        if not known:
            return None
        step = max(1.0, (len(known) - 1) / (MOST_SERIES - 1))
        chosen = {min(len(known) - 1, round(n * step)) for n in range(MOST_SERIES)}
        kept = {name: series[name] for n, name in enumerate(known) if n in chosen}
        return cls(title, y_name, kept, len(known))


def detail_plots(details: dict[str, Any], streams: int) -> list[Plot]:
    """One figure for each kind of curve. streams: how many codebooks there are in all."""
    found: list[Plot] = []
    for name, series in _items(_inner(details, "tokens", "curves")):
        x_name, y_name = AXES.get(name, ("x", name))
        panel = Panel.of("", y_name, {k: _pairs(v) for k, v in _items(series)})
        found += _plot(f"tokens_{name}", f"Tokens: {name}", x_name, [panel])
    tasks = [(task, _inner(told, SIZE)) for task, told in _items(details.get("probe"))]
    learnt = [panel for task, told in tasks for panel in _learning(task, told)]
    found += _plot(
        "probe_learning", "Probes: learning curves", "share of the training data", learnt
    )
    books = [panel for task, told in tasks for panel in _codebooks(task, told, streams)]
    found += _plot("probe_codebooks", "Probes: by codebooks", "first codebooks", books)
    models = _inner(details, "lm", "lm")
    seconds = _numbers(_inner(models, "train_seconds"))
    series = {
        name: _zip(seconds, _numbers(_inner(told, "bits_a_second")))
        for name, told in _items(_inner(models, "models"))
    }
    panel = Panel.of("", "bits a second", series)
    return found + _plot("lm_learning", "Language models: bits a second", "training, s", [panel])


# --------------------------------------------------------------------------------------- reading
def _inner(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _items(value: Any) -> list[tuple[str, Any]]:
    found = value.items() if isinstance(value, dict) else ()
    return [(str(k).encode("utf-8", "replace").decode(), v) for k, v in found]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _numbers(value: Any) -> list[float]:
    return [float(x) for x in value if _number(x)] if isinstance(value, list) else []


def _zip(across: list[float], up: list[float]) -> list[Point]:
    return [(x, y, y, y) for x, y in zip(across, up, strict=False)]


def _pairs(value: Any) -> list[Point]:
    points = [_numbers(entry) for entry in value] if isinstance(value, list) else []
    return [(p[0], p[1], p[1], p[1]) for p in points if len(p) == 2]


def _estimate(x: Any, told: Any) -> Iterator[Point]:
    """A point from {"value": y, "ci95": [low, high] or null}."""
    y, bounds = _inner(told, "value"), _numbers(_inner(told, "ci95"))
    if _number(x) and _number(y):
        low, high = bounds if len(bounds) == 2 else (y, y)
        yield float(x), float(y), low, high


def _learning(task: str, told: Any) -> Iterator[Panel | None]:
    shares = _inner(told, "learning_curve", "shares")
    rows = [item for item in _items(_inner(told, "learning_curve")) if item[0] != "shares"]
    for row, entries in rows[:1]:
        if isinstance(shares, list) and isinstance(entries, list):
            points = [p for x, e in zip(shares, entries, strict=False) for p in _estimate(x, e)]
            yield Panel.of(task, row, {row: points})


def _codebooks(task: str, told: Any, streams: int) -> Iterator[Panel | None]:
    for row, entry in _items(_inner(told, "rows"))[:1]:
        arms = dict(_items(_inner(entry, "arms")))
        nested = {
            int(name.partition(":")[2]): arm
            for name, arm in arms.items()
            if re.fullmatch(rf"{re.escape(BOOKS)}:\d{{1,4}}", name)
        }
        if nested:
            nested[streams] = arms.get(TOKENS)
            points = [p for n in sorted(nested) for p in _estimate(n, nested[n])]
            yield Panel.of(task, row, {row: points})


# --------------------------------------------------------------------------------------- drawing
def _plot(name: str, title: str, x_name: str, given: list[Panel | None]) -> list[Plot]:
    panels = [panel for panel in given if panel is not None]
    if not panels:
        return []
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    drawn = make_figure(3.4 if rows == 1 else 2.3 * rows + 0.3)
    grid = drawn.subplots(rows, columns, squeeze=False).flat
    for axes, panel in zip(grid, panels, strict=False):
        _draw(axes, panel, x_name)
    for axes in list(grid)[len(panels) :]:
        axes.set_axis_off()
    if len(panels) == 1 and len(panels[0].series) > 1:
        drawn.legend(loc="outside upper center", ncols=3, fontsize=9)
    cut = [f" {len(p.series)} of {p.total} series, taken evenly." for p in panels
           if len(p.series) < p.total]  # fmt: skip
    return [
        Plot(
            name,
            title.replace("_", " "),
            f"First and last point against {x_name}: {'; '.join(map(_ends, panels))}.",
            f"From details.json. Upright lines: 95 % intervals, where there are any.{''.join(cut)}",
            drawn,
        )
    ]


def _draw(axes: Any, panel: Panel, x_name: str) -> None:
    for n, (label, points) in enumerate(panel.series.items()):
        colour, marker = SERIES[n % len(SERIES)], MARKERS[n % len(MARKERS)]
        axes.plot([p[0] for p in points], [p[1] for p in points], color=colour, marker=marker,
                  markersize=4, label=label)  # fmt: skip
        for x, _, low, high in points:
            axes.plot((x, x), (low, high), color=colour, linewidth=1)
    points = [p for one in panel.series.values() for p in one]
    for scale, axis, column in ((axes.set_xscale, axes.xaxis, 0), (axes.set_yscale, axes.yaxis, 1)):
        values = [p[column] for p in points]
        if min(values) > 0 and max(values) / min(values) > WIDE:
            scale("log")
            plain_log(axis)
    axes.set_xlabel(x_name)
    axes.set_ylabel(panel.y_name)
    axes.set_title(panel.title, fontsize=10, loc="left")


def _ends(panel: Panel) -> str:
    where = f"{panel.title}, " if panel.title else ""
    return "; ".join(
        f"{where}{label}: {_plain(points[0][1])} at {_plain(points[0][0])}, "
        f"{_plain(points[-1][1])} at {_plain(points[-1][0])}"
        for label, points in panel.series.items()
    )


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
