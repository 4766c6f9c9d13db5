"""The rows of the track `speed`; docs/speed.md says how to read each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bench.contracts import MetricRow, Sums, Utterance
from bench.results import Row
from bench.scores import Spec, aggregate, record, table
from bench.tracks.rows import Groups, whole

TRACK = "speed"
_OWN = "measured here"
_CONTRACT = "bench.contracts.StreamingSession"


def _row(
    name: str, unit: str, description: str, *, source: str = _OWN, scale: float = 1.0,
    better: bool = False, most: float = math.inf, repeatable: bool = True,
) -> MetricRow:  # fmt: skip
    return MetricRow(
        name, unit, better, source, description, scale=scale, bounds=(0.0, most),
        repeatable=repeatable,
    )  # fmt: skip


ENCODE = _row(
    "encode_rtf",
    "ms/s",
    "computing for a second of speech: encode, batch 1",
    scale=1e3,
    repeatable=False,
)
DECODE = _row("decode_rtf", "ms/s", "the same of decode", scale=1e3, repeatable=False)
ENCODE_BATCH = _row(
    "encode_rtf_batch", "ms/s", "the same of encode at the best batch", scale=1e3, repeatable=False
)
DECODE_BATCH = _row(
    "decode_rtf_batch", "ms/s", "the same of decode at the best batch", scale=1e3, repeatable=False
)
MEMORY = _row(
    "peak_memory", "MB", "most memory of a process that encodes and decodes 10 s", scale=1e-6,
    repeatable=False,
)  # fmt: skip
PARAMETERS = _row("parameters", "M", "weights that the tokenizer holds, millions", scale=1e-6)
LOOK_AHEAD = _row("look_ahead", "ms", "how far an id knows what comes after its frame", scale=1e3)
LOOK_AHEAD_FRAMES = _row("look_ahead_frames", "frames", "the same in frames")
AGREEMENT = _row(
    "stream_agreement", "%", "ids of stream() equal to those of encode", source=_CONTRACT,
    scale=100.0, better=True, most=1.0,
)  # fmt: skip
AUDIO = _row(
    "stream_audio_difference", "ppm", "largest difference of samples, stream() against decode",
    source=_CONTRACT, scale=1e6,
)  # fmt: skip
PACKET = _row(
    "first_packet_algorithmic", "ms", "speech heard before the first sound comes out", scale=1e3
)
PACKET_COMPUTED = _row(
    "first_packet", "ms", "the same with the time of computing", scale=1e3, repeatable=False
)
CHUNK_MEDIAN = _row(
    "chunk_time_median", "%", "computing for a chunk over the chunk's length", scale=100.0,
    repeatable=False,
)  # fmt: skip
CHUNK_P95 = _row(
    "chunk_time_p95", "%", "the same, 95th percentile", scale=100.0, repeatable=False
)  # fmt: skip

AHEAD = (LOOK_AHEAD, LOOK_AHEAD_FRAMES)
SINGLE = (ENCODE, DECODE)
BATCHED = (ENCODE_BATCH, DECODE_BATCH)
STREAM = (AGREEMENT, AUDIO, PACKET, PACKET_COMPUTED, CHUNK_MEDIAN, CHUNK_P95)
ROWS = (*SINGLE, *BATCHED, MEMORY, PARAMETERS, *AHEAD, *STREAM)


def of_sums(row: MetricRow, sums: Sequence[tuple[Utterance, Sums]], note: str | None = None) -> Row:
    """The ratio of sums over utterances with its interval, as any row of `scores.parquet`, but
    kept out of that file."""
    records = [
        record(TRACK, row.name, u, numerator=s.numerator, denominator=s.denominator)
        for u, s in sums
    ]
    scores = table(records).to_pandas()
    return aggregate(scores, [Spec(TRACK, row, len(sums), note)], 0)[TRACK][row.name]


def single(row: MetricRow, value: float, n: int, note: str | None = None) -> Row:
    """A row of one figure without an interval (a largest value, a percentile), of n utterances."""
    none = Groups(np.zeros(0, dtype=np.int64), "speaker", 0)
    return whole(row, lambda _: value, none, n=n, expected=n, note=note)
