"""Phrases and figures that every output of a comparison shares."""

from __future__ import annotations

from bench.compare.fronts import Point
from bench.compare.model import AxisPart, Comparison, Difference, Figure, Front, MetricPart, Stated
from bench.show import figure, span

CLAIM = (
    "A difference is claimed (*) where p, corrected by Holm over all pairs and metrics of the "
    "axis, is at most 0.05: at most 5 % of axes have any false claim. Intervals of differences "
    "hold together with 95 %."
)
RANK = (
    "Ranks are intervals: 1 + how many are claimed better, to how many are not claimed worse. "
    "● none is claimed better."
)


def value(number: float | None, part: MetricPart) -> str:
    return figure(number, part.measure)


def interval(bounds: tuple[float, float] | None, part: MetricPart) -> str:
    return span(bounds, part.measure)


def metric(part: MetricPart | Stated) -> str:
    """`wer ↓ %`."""
    arrow = "↑" if part.higher_is_better else "↓"
    return f"{part.name} {arrow} {part.measure}".rstrip()


def rank(found: Figure | None, *, mark: bool = False) -> str:
    """As `place`, of a figure that may not be there."""
    return place(found.rank if found else None, mark=mark)


def place(ranks: tuple[int, int] | None, *, mark: bool = False) -> str:
    """`1–3`, with ● for the top; `–` where there is no figure."""
    if ranks is None:
        return "–"
    low, high = ranks
    text = str(low) if low == high else f"{low}–{high}"
    return f"{text} ●" if mark and low == 1 else text


def p(value: float | None) -> str:
    """An adjusted p with three digits."""
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def ordered(part: MetricPart) -> list[tuple[str, Figure]]:
    """Labels with figures, by rank and then from the best value."""
    sign = -1 if part.higher_is_better else 1
    return sorted(part.figures.items(), key=lambda item: (item[1].rank, sign * item[1].value))


def verdict(difference: Difference) -> str:
    """`b better`, or what keeps it open."""
    if difference.better:
        return f"{difference.better} better"
    if difference.p is None:
        return "cannot be tested"
    return "equal" if difference.value == 0 and difference.ci95 == (0, 0) else "not told apart"


def lead(axis: AxisPart) -> MetricPart | None:
    return axis.metrics[axis.lead] if axis.lead else None


def with_data(comparison: Comparison) -> list[AxisPart]:
    return [axis for axis in comparison.axes if axis.lead]


def unit(rate: str) -> str:
    """Of a Pareto front's rate."""
    return {"bitrate": "bit/s", "token_rate": "tokens/s"}[rate]


def shown(comparison: Comparison, front: Front, point: Point) -> str:
    """The value of a point with the digits of its metric."""
    (part,) = (a.metrics[front.metric] for a in comparison.axes if a.name == front.axis)
    return value(point.value, part)


def empty(comparison: Comparison) -> list[str]:
    """Which axes have nothing to rank by: those that are only stated, then those without data."""
    told = [
        f"{axis.name} ({', '.join(row.name for row in axis.stated)} only stated)"
        for axis in comparison.axes
        if not axis.lead and axis.stated
    ]
    without = [a.name for a in comparison.axes if not a.lead and not a.stated]
    return told + ([f"{', '.join(without)} (no data in these results)"] if without else [])


def basis(part: MetricPart) -> str:
    """On what a metric's figures rest: utterances, those missing, and what was independent."""
    told = [f"{part.n} of {part.total} scored by all" if part.n < part.total else f"n {part.n}"]
    for label, lost in part.missing.items():
        some = ", ".join(lost[:3]) + (", …" if len(lost) > 3 else "")
        told.append(f"{label} lacks {len(lost)} ({some})")
    if part.lacking:
        told.append(f"no figure: {', '.join(part.lacking)}")
    few = ", too few speakers: for these speakers only" if part.unit == "utterance" else ""
    told.append(f"{part.clusters} {part.unit}s taken as independent{few}")
    if part.note:
        told.append(part.note)
    return "; ".join(told)
