"""Alignments of a manifest: what was said from when to when."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from bench.errors import UserError


@dataclass(frozen=True)
class Span:
    """A phone or a word between `start` and `end`, seconds from the utterance's beginning."""

    label: str
    start: float
    end: float


def spans(cell: Any, kind: str, where: str) -> tuple[Span, ...] | None:
    """A manifest's cell: a list of {`kind`, start, end}, or JSON of one; None where it is empty.

    kind: "phone" or "word". where: what a sentence says of the place. Raises UserError for a
    cell that is no such list, or whose times are no numbers or run backwards.
    """
    if cell is None or (isinstance(cell, float) and math.isnan(cell)) or cell == "":
        return None
    mend = f"give a list of {{{kind}, start, end}}, in seconds and in order, or leave it empty"
    try:
        rows = json.loads(cell) if isinstance(cell, str) else list(cell)
        found = tuple(Span(str(row[kind]), float(row["start"]), float(row["end"])) for row in rows)
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(f"{where} has {kind}s that cannot be read: {mend}") from error
    last = 0.0
    for span in found:
        if not (math.isfinite(span.end) and last <= span.start <= span.end):
            raise UserError(
                f"{where} has {kind}s out of order at {span.start} to {span.end}: {mend}"
            )
        last = span.start
    return found or None
