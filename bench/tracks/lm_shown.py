"""The layouts that the track `lm` told in `details.json`, as two tables for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

LAYOUTS = (
    "layout",
    "large steps/s",
    "small",
    "positions, 5 min",
    "first sound after, frames",
    "fits",
)
HYBRIDS = ("text and speech", "positions/s", "padding", "wait, steps", "lead, s")


def tables(folder: str) -> Iterator[Table]:
    """Those that the run told; none where there is no such file, or one of another shape."""
    try:
        told = json.loads((Path(folder) / "details.json").read_bytes())["lm"]
        yield _table(LAYOUTS, told["layouts"], _layout)
        yield _table(HYBRIDS, told["hybrids"], _hybrid)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return


def _table(columns: tuple[str, ...], told: dict[str, Any], cells: Any) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in columns:
        table.add_column(name, justify="left" if name == columns[0] else "right")
    for name, one in told.items():
        if "lacks" not in one:
            table.add_row(escape(name), *cells(one))
    return table


def _layout(told: dict[str, Any]) -> list[str]:
    second, dialogue = told["second"], told["dialogue"]
    fits = [f"{int(size) // 1024}k" for size, fine in told["fits"].items() if fine]
    return [
        f"{second['large_steps']:.1f}",
        f"{second['small_steps']:.1f}" if second["small_steps"] else "–",
        f"{dialogue['sequence_length']:,.0f}",
        f"{dialogue['first_audio_frames']:,.0f}",
        " ".join(fits) or "none",
    ]


def _hybrid(told: dict[str, Any]) -> list[str]:
    return [
        f"{told['positions_a_second']:.1f}",
        f"{told['padding']:.0%}",
        f"{told['wait_steps']:.1f}",
        f"{told['lead_seconds']:.2f}",
    ]
