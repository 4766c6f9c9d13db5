"""A comparison as JSON, CSV, Markdown and LaTeX; what comes from files is escaped in each."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict

from bench.compare import words
from bench.compare.model import Comparison, MetricPart
from bench.show import figure

Rows = Sequence[Sequence[str]]
Table = tuple[str, Sequence[str], Rows]
"""Caption, header, rows; not yet escaped."""


def as_json(comparison: Comparison) -> str:
    """All of it; numbers unrounded."""
    return json.dumps(asdict(comparison), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


# ----------------------------------------------------------------------------------------- CSV
CSV_HEADER = (
    "axis", "track", "metric", "unit", "higher_is_better", "lead", "a", "b", "value_a", "value_b",
    "difference", "low", "high", "p_adjusted", "better", "rank_a", "rank_b", "n", "total",
    "clusters", "clusters_of",
)  # fmt: skip


def as_csv(comparison: Comparison) -> str:
    """One line for each pair and metric. Text that a spreadsheet would run gets a leading '."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for axis in comparison.axes:
        for part in axis.metrics.values():
            for d in part.differences:
                a, b = part.figures[d.a], part.figures[d.b]
                low, high = d.ci95 or ("", "")
                line = (axis.name, part.track, part.name, part.measure, part.higher_is_better,
                        part.name == axis.lead, d.a, d.b, a.value, b.value, d.value, low, high,
                        "" if d.p is None else d.p, d.better or "", "-".join(map(str, a.rank)),
                        "-".join(map(str, b.rank)), part.n, part.total, part.clusters,
                        part.unit)  # fmt: skip
                writer.writerow(_cell(value) for value in line)
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str) and value.lstrip()[:1] in tuple("=+-@|%"):
        return "'" + value
    return value


# ------------------------------------------------------------------------------ what is tabled
def tables(comparison: Comparison) -> list[Table]:
    """Ranks, then figures and differences of every metric, fronts and groups."""
    made = [_ranks(comparison)]
    for axis in comparison.axes:
        for part in axis.metrics.values():
            if part.figures:
                title = f"{axis.name}: {words.metric(part)}"
                made.append((f"{title}; {words.basis(part)}", _FIGURES, list(_figures(part))))
            if part.differences:
                made.append((f"{title}, differences", _DIFFERENCES, list(_differences(part))))
        for stated in axis.stated:
            made.append((
                f"{axis.name}: {stated.name} as stated by the runs, not compared",
                ("result", stated.measure or "value"),
                [(label, figure(value, stated.measure)) for label, value in stated.values.items()],
            ))  # fmt: skip
    if comparison.fronts:
        made.append(("Pareto fronts: none at that rate or below is claimed better", _FRONTS,
                     list(_fronts(comparison))))  # fmt: skip
    made += [_group(comparison, number) for number in range(len(comparison.groups))]
    return made


_FIGURES = ("result", "value", "95 % interval", "rank")
_DIFFERENCES = ("a", "b", "a − b", "95 % interval", "p", "finding")
_FRONTS = ("axis", "metric", "rate", "result", "at", "value", "on the front")


def _ranks(comparison: Comparison) -> Table:
    axes = words.with_data(comparison)
    caption = f"{comparison.suite} {comparison.version}: ranks by axis"
    if comparison.profile:
        caption += f", ordered for {comparison.profile}"
    rows = [
        (about.label, *(words.rank(axis.metrics[axis.lead or ""].figures.get(about.label),
                                   mark=True) for axis in axes))
        for about in comparison.results
    ]  # fmt: skip
    return caption, ("result", *(f"{axis.name} ({axis.lead})" for axis in axes)), rows


def _figures(part: MetricPart) -> Iterable[Sequence[str]]:
    for label, found in words.ordered(part):
        shown = words.interval(found.ci95, part)
        yield label, words.value(found.value, part), shown, words.rank(found)
    if part.reference is not None:
        yield "original", words.value(part.reference, part), "", ""


def _differences(part: MetricPart) -> Iterable[Sequence[str]]:
    for d in part.differences:
        shown = words.value(d.value, part) + (" *" if d.better else "")
        yield (d.a, d.b, shown, words.interval(d.ci95, part), words.p(d.p),
               words.verdict(d))  # fmt: skip


def _fronts(comparison: Comparison) -> Iterable[Sequence[str]]:
    for found in comparison.fronts:
        for point in found.points:
            on = "yes" if not point.dominated_by else f"no: {', '.join(point.dominated_by)}"
            unit = words.unit(found.rate)
            yield (found.axis, found.metric, found.rate, point.label,
                   f"{figure(point.rate, unit)} {unit}",
                   words.shown(comparison, found, point), on)  # fmt: skip


def _group(comparison: Comparison, number: int) -> Table:
    group = comparison.groups[number]
    axes = list(dict.fromkeys(name for member in group for name in member.ranks))
    rows = [
        (m.label, figure(m.bitrate, "bit/s"), *(words.place(m.ranks.get(axis)) for axis in axes))
        for m in group
    ]
    return f"like bitrate, group {number + 1}: ranks in it", ("result", "bit/s", *axes), rows


def closing(comparison: Comparison) -> list[str]:
    """Sentences under the tables: what claims and ranks are, and what a reader must know."""
    told = [words.RANK, words.CLAIM]
    if empty := words.empty(comparison):
        told.append(f"Axes without a rank: {'; '.join(empty)}.")
    return told + [f"Note: {note}." for note in comparison.notes]


def _all(comparison: Comparison) -> list[str]:
    """`closing`, after what the profile means."""
    meaning = [f"{comparison.profile}: {comparison.meaning}."] if comparison.meaning else []
    return meaning + closing(comparison)


# -------------------------------------------------------------------------- Markdown and LaTeX
_MARKDOWN = {ord(c): f"\\{c}" for c in "\\`*_{}[]()#+!|~$"} | {
    ord("<"): "&lt;", ord(">"): "&gt;", ord("&"): "&amp;", ord("\n"): " "}  # fmt: skip


def _markdown(text: str) -> str:
    """Text that stays text: no markup, no HTML, no address that becomes a link by itself."""
    return text.translate(_MARKDOWN).replace("://", "\\://").replace("www.", "www\\.")


def as_markdown(comparison: Comparison) -> str:
    """Pipe tables of GitHub's Markdown."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(map(_markdown, cells)) + " |"

    blocks = []
    for caption, header, rows in tables(comparison):
        ruler = "|" + "|".join(["---"] * len(header)) + "|"
        body = [line(header), ruler, *map(line, rows)]
        blocks.append(f"**{_markdown(caption)}**\n\n" + "\n".join(body))
    blocks += [_markdown(sentence) for sentence in _all(comparison)]
    return "\n\n".join(blocks) + "\n"


_LATEX = {ord(c): f"\\{c}" for c in "&%$#_{}"} | {
    ord("\\"): r"\textbackslash{}", ord("~"): r"\textasciitilde{}", ord("^"): r"\textasciicircum{}",
    ord("<"): r"\textless{}", ord(">"): r"\textgreater{}", ord("|"): r"\textbar{}",
    ord('"'): r"\textquotedbl{}", ord("`"): r"\textasciigrave{}", ord("'"): r"\textquotesingle{}",
    ord("↑"): r"$\uparrow$", ord("↓"): r"$\downarrow$", ord("−"): "$-$", ord("–"): "--",
    ord("…"): r"\ldots{}", ord("●"): r"$\bullet$", ord("±"): r"$\pm$", ord("\n"): " ",
    ord("�"): "?"}  # fmt: skip


def as_latex(comparison: Comparison) -> str:
    """Plain `tabular`s in `table`s, for any document class; packages: textcomp at most."""

    def line(cells: Sequence[str]) -> str:
        return " & ".join(cell.translate(_LATEX) for cell in cells) + r" \\"

    blocks = []
    for caption, header, rows in tables(comparison):
        columns = "l" + "r" * (len(header) - 1)
        body = [rf"\begin{{tabular}}{{{columns}}}", r"\hline", line(header), r"\hline",
                *map(line, rows), r"\hline", r"\end{tabular}"]  # fmt: skip
        blocks.append("\n".join([r"\begin{table}", rf"\caption{{{caption.translate(_LATEX)}}}",
                                 *body, r"\end{table}"]))  # fmt: skip
    blocks += [sentence.translate(_LATEX) for sentence in _all(comparison)]
    return "\n\n".join(blocks) + "\n"


FORMS: dict[str, Callable[[Comparison], str]] = {
    "json": as_json, "csv": as_csv, "markdown": as_markdown, "latex": as_latex}  # fmt: skip
