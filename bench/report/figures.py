"""Matplotlib's figures as files, and as SVG inside a page whose colours follow the page's theme."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from bench.write import atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, PAPER, FAINT = "#1c1d1f", "#ffffff", "#c4c8cd"
SERIES = ("#0072b2", "#c24e00", "#00805c", "#a8409a", "#7a6200", "#5b5fc7")
"""Colours that differ for colour-blind eyes too (after Okabe and Ito), all 4:1 on white or more."""
_CLASSES = {INK: "ink", PAPER: "paper", FAINT: "faint"} | {c: f"c{n}" for n, c in enumerate(SERIES)}
WIDTH = 5.6  # inches: text of 10 points is then still legible where a phone shrinks the figure
_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
_KEPT = {  # properties that SVG also takes as attributes: a page without inline styles needs those
    "fill", "fill-opacity", "font-size", "font-weight", "image-rendering", "opacity", "stroke",
    "stroke-dasharray", "stroke-dashoffset", "stroke-linecap", "stroke-linejoin",
    "stroke-miterlimit", "stroke-opacity", "stroke-width", "text-anchor",
}  # fmt: skip
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # a name may hold them


@dataclass(frozen=True)
class Plot:
    """A figure with what it says. name: of its files and of its place on the page; finding: what
    can be seen in it, for those who cannot see it; caption: what it shows and how to read it."""

    name: str
    title: str
    finding: str
    caption: str
    figure: Figure

    @property
    def stem(self) -> str:
        """The name without a sign that a path or an id could be led astray by."""
        return re.sub(r"[^a-z0-9_]+", "_", self.name.lower())


@contextmanager
def style() -> Iterator[None]:
    """Everything is drawn and saved under this: equal data give equal bytes."""
    import matplotlib

    with matplotlib.rc_context(
        {
            "axes.edgecolor": INK, "axes.labelcolor": INK, "axes.facecolor": PAPER,
            "axes.grid": True, "axes.axisbelow": True, "axes.spines.top": False,
            "axes.spines.right": False, "figure.facecolor": PAPER, "font.size": 10,
            "grid.color": FAINT, "grid.linewidth": 0.6, "legend.frameon": False,
            "svg.fonttype": "none", "svg.hashsalt": "bench", "text.color": INK,
            "text.parse_math": False,  # a name may hold a dollar sign
            "text.usetex": False, "xtick.color": INK, "ytick.color": INK,
        }
    ):  # fmt: skip
        yield


def make_figure(height: float = 3.2) -> Figure:
    """An empty figure of `WIDTH` times `height` inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained")


def svg_of(figure: Figure) -> str:
    """The file's text, without date or version."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", dpi=80, metadata={"Date": None, "Creator": None})
    return _NOT_XML.sub("\ufffd", buffer.getvalue().decode())


def save(plot: Plot, folder: Path) -> str:
    """Write `<stem>.svg` and `<stem>.png`; returns the SVG for `inline`."""
    text = svg_of(plot.figure)
    atomically(folder / f"{plot.stem}.svg", lambda p: _put(p, text))
    atomically(
        folder / f"{plot.stem}.png",
        lambda p: plot.figure.savefig(p, format="png", dpi=120, metadata={"Software": None}),
    )
    return text


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def inline(svg: str, prefix: str, label: str) -> str:
    """Matplotlib's SVG as an element of a page: an image named `label` for a screen reader.

    Ids start with `prefix`; styles become attributes and colours classes (`fill-ink`,
    `stroke-c0`...), so that the page may forbid inline styles and set its own colours.
    """
    root = ElementTree.fromstring(svg)
    for parent in root.iter():
        for child in list(parent):
            if child.tag in (f"{_SVG}metadata", f"{_SVG}style"):
                parent.remove(child)
    for element in root.iter():
        _adapt(element, prefix)
    root.attrib |= {"role": "img", "aria-label": label, "stroke-linejoin": "round"}
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    return ElementTree.tostring(root, encoding="unicode")


def _adapt(element: ElementTree.Element, prefix: str) -> None:
    element.tag = element.tag.removeprefix(_SVG)
    given = dict(element.attrib)
    element.attrib.clear()
    classes = []
    for name, value in given.items():
        if name == "style":
            for key, _, told in (part.partition(":") for part in value.split(";")):
                if key.strip() in _KEPT:
                    element.set(key.strip(), told.strip())
        elif name == "id":
            element.set(name, f"{prefix}-{value}")
        elif name == _LINK:
            target = f"#{prefix}-{value[1:]}" if value.startswith("#") else value
            element.set("href", target.replace("\n", ""))
        else:
            element.set(name, re.sub(r"url\(#", f"url(#{prefix}-", value))
    for key in ("fill", "stroke"):
        if (colour := element.get(key, "").lower()) in _CLASSES:
            classes.append(f"{key}-{_CLASSES[colour]}")
    if element.tag == "text" and "fill" not in element.attrib:
        classes.append("fill-ink")
    if classes:
        element.set("class", " ".join(classes))
