"""Layouts: how the K streams of a tokenizer become what a language model reads, and back.

>>> streams = (Stream("q1", 1024, 75.0), Stream("q2", 1024, 75.0))
>>> layout = Delay(streams)
>>> sequence = layout.encode(ids)          # ids: K arrays int64 [T]
>>> layout.decode(sequence)                # the same arrays
>>> layout.cost(300).fits(32768)

`bench.layouts.hybrid` holds the layouts of text and speech together.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.contracts import Stream
from bench.errors import UserError
from bench.layouts.base import (
    CONTEXTS,
    DIALOGUE_SECONDS,
    EMPTY,
    Cost,
    Form,
    Layout,
    ModelSequence,
    Part,
    Places,
)
from bench.layouts.flatten import Flatten
from bench.layouts.rows import Delay, Parallel, TemporalDepth, TextAligned
from bench.layouts.stages import ArNar, CoarseToFine

LAYOUTS: tuple[type[Layout], ...] = (
    Flatten,
    CoarseToFine,
    ArNar,
    Delay,
    Parallel,
    TemporalDepth,
    TextAligned,
)


def suited(streams: Sequence[Stream]) -> dict[str, Layout | str]:
    """Name → the layout with its default options, or one sentence on why it does not suit."""
    made: dict[str, Layout | str] = {}
    for kind in LAYOUTS:
        try:
            made[kind.name] = kind(streams)
        except UserError as error:
            made[kind.name] = str(error)
    return made


__all__ = [
    "CONTEXTS",
    "DIALOGUE_SECONDS",
    "EMPTY",
    "LAYOUTS",
    "ArNar",
    "CoarseToFine",
    "Cost",
    "Delay",
    "Flatten",
    "Form",
    "Layout",
    "ModelSequence",
    "Parallel",
    "Part",
    "Places",
    "TemporalDepth",
    "TextAligned",
    "suited",
]
