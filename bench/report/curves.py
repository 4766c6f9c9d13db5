"""Figures of what a track told in `details.json`: curves, and probes on growing codebooks.

Read where a track has them, both optional:

- `curves`: name → series → [[x, y], ...], one figure a name;
- `per_codebook`: probe → [[codebooks, value], ...] or [[codebooks, value, low, high], ...].
"""

from __future__ import annotations

import math
import re
from typing import Any

from bench.report.figures import SERIES, Plot, make_figure
from bench.report.plots import MARKERS, plain_log

MOST_SERIES = len(SERIES)
AXES = {
    "used_of_ids": ("ids seen", "different ids used"),
    "share_of_rank": ("rank of the id", "share of all ids"),
    "learning": ("training examples", "score"),
}
"""Axes of curves whose names are known; others are called x and by their own name."""
WIDE = 50  # a ratio of largest to smallest from which an axis is logarithmic

Points = list[tuple[float, ...]]


def detail_plots(details: dict[str, Any]) -> list[Plot]:
    """One figure for each family of curves that can be read, in the order of the file."""
    plots = []
    for track, told in details.items():
        if not isinstance(told, dict):
            continue
        for name, series in _named(told.get("curves")):
            found = {label: _points(points) for label, points in _named(series)}
            plots.append(_lines(track, name, _some(found), *AXES.get(name, ("x", name))))
        probes = {name: _points(points) for name, points in _named(told.get("per_codebook"))}
        plots.append(_lines(track, "per_codebook", _some(probes), "codebooks", "score"))
    return [plot for plot in plots if plot is not None]


def _named(value: Any) -> list[tuple[str, Any]]:
    return [(str(k), v) for k, v in value.items()] if isinstance(value, dict) else []


def _points(value: Any) -> Points:
    """Those entries that are two or four finite numbers."""
    found: Points = []
    for entry in value if isinstance(value, list) else []:
        if isinstance(entry, list) and len(entry) in (2, 4):
            numbers = [x for x in entry if isinstance(x, int | float) and math.isfinite(x)]
            if len(numbers) == len(entry):
                found.append(tuple(float(x) for x in numbers))
    return found


def _some(series: dict[str, Points]) -> tuple[dict[str, Points], int]:
    """At most `MOST_SERIES` series, taken evenly, and how many there were."""
    known = [name for name, points in series.items() if points]
    step = max(1.0, (len(known) - 1) / (MOST_SERIES - 1))
    chosen = (
        {known[min(len(known) - 1, round(n * step))] for n in range(MOST_SERIES)}
        if known
        else set()
    )
    return {name: series[name] for name in known if name in chosen}, len(known)


def _lines(
    track: str, name: str, some: tuple[dict[str, Points], int], x_name: str, y_name: str
) -> Plot | None:
    series, total = some
    if not series:
        return None
    drawn = make_figure(7.0, 3.6)
    axes = drawn.subplots()
    for n, (label, points) in enumerate(series.items()):
        colour, marker = SERIES[n % len(SERIES)], MARKERS[n % len(MARKERS)]
        across = [p[0] for p in points]
        axes.plot(across, [p[1] for p in points], color=colour, marker=marker, markersize=4,
                  label=label)  # fmt: skip
        for p in points:
            if len(p) == 4:
                axes.plot((p[0], p[0]), (p[2], p[3]), color=colour, linewidth=1)
    for scale, axis, column in ((axes.set_xscale, axes.xaxis, 0), (axes.set_yscale, axes.yaxis, 1)):
        values = [p[column] for points in series.values() for p in points]
        if min(values) > 0 and max(values) / min(values) > WIDE:
            scale("log")
            plain_log(axis)
    axes.set_xlabel(x_name)
    axes.set_ylabel(y_name)
    drawn.legend(loc="outside upper center", ncols=3, fontsize=9)
    ends = [
        f"{label} {points[0][1]:.4g} at {points[0][0]:,.4g}, {points[-1][1]:.4g} at "
        f"{points[-1][0]:,.4g}"
        for label, points in series.items()
    ]
    shown = "" if len(series) == total else f" {len(series)} of {total} series, taken evenly."
    title = name.replace("_", " ")
    return Plot(
        re.sub(r"[^a-z0-9_]+", "_", f"{track}_{name}".lower()),
        f"{track}: {title}",
        f"{y_name} against {x_name}, first and last point: {'; '.join(ends)}.",
        f"{y_name} against {x_name}, from details.json.{shown}",
        drawn,
    )
