"""What `bench encode` says at the end: how much speech, how many tokens, how fast, what failed."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from bench.dataset import Meta
from bench.parts import Failure
from bench.rates import BITRATE, TOKEN_RATE

SHOWN = 20  # failures listed on the terminal


def summary_of(
    meta: Meta,
    *,
    out: str,
    recordings: int,
    failures: Sequence[Failure],
    failures_file: str,
    encoded: float,
    wall: float,
) -> dict[str, Any]:
    """Figures of the ids that came out; per stream too. encoded: seconds of audio encoded in this
    run, wall: seconds that it took."""
    seconds = meta.seconds
    streams = [
        {
            "name": stream.name,
            "vocabulary": stream.vocabulary,
            "ids": count,
            TOKEN_RATE.name: count / seconds if seconds else None,
            BITRATE.name: count * math.log2(stream.vocabulary) / seconds if seconds else None,
        }
        for stream, count in zip(meta.streams, meta.ids, strict=True)
    ]
    return {
        "output": out,
        "tokenizer": meta.variant,
        "revision": meta.revision,
        "device": meta.device,
        "recordings": recordings,
        "rows": meta.rows,
        "seconds": seconds,
        "ids": sum(meta.ids),
        TOKEN_RATE.name: sum(meta.ids) / seconds if seconds else None,
        BITRATE.name: meta.bits / seconds if seconds else None,
        "streams": streams,
        "failures": list(failures),
        "failures_file": failures_file if failures else None,
        "encoded_seconds": encoded,
        "wall_seconds": wall,
        "times_real_time": encoded / wall if encoded else None,
    }


def show_summary(summary: dict[str, Any]) -> None:
    print(
        f"{summary['output']}: {summary['rows']} rows of {summary['recordings']} recordings, "
        f"{summary['seconds'] / 3600:.3f} hours, {summary['ids']:,} ids"
    )
    if summary["rows"]:
        for _, alike in groupby(summary["streams"], key=_figures):
            print(_line(list(alike)))
        told = _rates(summary[TOKEN_RATE.name], summary[BITRATE.name])
        print(f"  together: {told}")
    if summary["times_real_time"]:
        print(
            f"{summary['encoded_seconds']:.0f} s of audio in {summary['wall_seconds']:.1f} s: "
            f"{summary['times_real_time']:.1f} × real time"
        )


def _figures(stream: dict[str, Any]) -> tuple[int, int]:
    return stream["vocabulary"], stream["ids"]


def _rates(tokens: float, bits: float) -> str:
    return f"{tokens:,.2f} tokens/s, {bits / 1000:,.3f} kbit/s"


def _line(alike: list[dict[str, Any]]) -> str:
    """One line for neighbouring streams of one vocabulary and one number of ids."""
    first, last = alike[0], alike[-1]
    names = first["name"] if len(alike) == 1 else f"{first['name']}…{last['name']}"
    each = " each" if len(alike) > 1 else ""
    told = _rates(first[TOKEN_RATE.name], first[BITRATE.name])
    return f"  {names} (1 of {first['vocabulary']:,}): {told}{each}"


def show_failures(failures: Sequence[Failure], file: str | None) -> None:
    """The first failures on standard error, with the file that lists all."""
    for one in failures[:SHOWN]:
        print(f"failed: {one['utterance']}: {one['stage']}: {one['reason']}", file=sys.stderr)
    if len(failures) > SHOWN:
        print(f"failed: and {len(failures) - SHOWN} more", file=sys.stderr)
    if failures and file:
        print(f"{len(failures)} failed; all are in {file}", file=sys.stderr)
