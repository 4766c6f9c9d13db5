"""`stream()`: does it give what encode and decode give, how soon, and does it keep up?

Whole utterances go through a session chunk by chunk, each chunk encoded and what came out decoded
at once, as in a call. A chunk is the fewest whole frames of 20 ms or more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from bench.codec import reason_of
from bench.contracts import MetricRow, Samples, StreamingSession, Sums, TokenizerInfo, Tokens
from bench.errors import ContractError
from bench.results import Failure
from bench.tracks import speed_rows as rows
from bench.tracks.contract import TokenContext, TokenItem, TrackResult
from bench.tracks.rows import absent
from bench.tracks.speed_ahead import by_hash
from bench.tracks.speed_times import Clock, on_device

STAGE = "stream"
UTTERANCES, LONGEST = 4, 6.0
SHORTEST_CHUNK, CHUNK_WITHOUT_RATE = 0.020, 0.080


@dataclass(frozen=True)
class Streamed:
    """One utterance through a session. times: seconds of computing for each chunk [C]; heard:
    seconds that had been given when the first sound came; computed: seconds of computing of the
    chunk that brought it."""

    tokens: Tokens
    audio: Samples
    times: list[float]
    heard: float
    computed: float


def chunk_samples(info: TokenizerInfo) -> int:
    """Length of a chunk at `info.sample_rate`."""
    rates = [s.rate for s in info.streams if s.rate is not None]
    if not rates:
        return math.ceil(CHUNK_WITHOUT_RATE * info.sample_rate)
    frame = 1 / min(rates)
    count = max(1, math.ceil(SHORTEST_CHUNK / frame - 1e-9))
    return max(1, round(count * frame * info.sample_rate))


def through(
    session: StreamingSession, clip: Samples, chunk: int, rate: int, clock: Clock
) -> Streamed:
    """`clip` chunk by chunk; ContractError where no sound comes out."""
    ids: list[Tokens] = []
    sounds: list[Samples] = []
    times: list[float] = []
    heard = computed = math.nan
    for start in range(0, len(clip), chunk):
        last = start + chunk >= len(clip)
        part = clip[start : start + chunk]
        (tokens, sound), taken = clock.time(partial(_step, session, part, last))
        times.append(taken)
        ids.append(tokens)
        sounds.append(sound)
        if math.isnan(heard) and len(sound):
            heard, computed = min(start + chunk, len(clip)) / rate, times[-1]
    if math.isnan(heard):
        raise ContractError("stream() gave no sound")
    streams = tuple(np.concatenate(parts) for parts in zip(*(t.streams for t in ids), strict=True))
    return Streamed(Tokens(streams), np.concatenate(sounds), times, heard, computed)


def _step(session: StreamingSession, part: Samples, last: bool) -> tuple[Tokens, Samples]:
    tokens = session.encode(part, last=last)
    return tokens, session.decode(tokens, last=last)


def agreement(streamed: Tokens, offline: Tokens) -> Sums:
    """Ids at their place over the ids of the longer of both, all streams."""
    if len(streamed.streams) != len(offline.streams):
        raise ContractError(
            f"stream() gave {len(streamed.streams)} streams, not {len(offline.streams)}"
        )
    same = longest = 0
    for a, b in zip(streamed.streams, offline.streams, strict=True):
        common = min(len(a), len(b))
        same += int((a[:common] == b[:common]).sum())
        longest += max(len(a), len(b))
    return Sums(float(same), float(longest))


def streaming(
    context: TokenContext, items: Sequence[TokenItem], result: TrackResult, machine: str
) -> None:
    """Rows of `stream()`, for tokenizers that have it."""
    wanted = [row for row in rows.STREAM if context.wanted(row.name)]
    if not wanted:
        return
    make = getattr(context.tokenizer, "stream", None)
    if make is None:
        result.rows |= {row.name: absent(row, "it has no stream()") for row in wanted}
        return
    info = context.info
    chunk = chunk_samples(info)
    chosen = [i for i in by_hash(items, 1.0) if i.seconds <= LONGEST] or by_hash(items, 1.0)
    chosen = chosen[:UTTERANCES]
    clock = Clock(on_device(context))
    done: list[tuple[TokenItem, Streamed, Sums, float, int]] = []
    for at, item in enumerate(chosen):
        try:
            clip = item.audio(info.sample_rate)
            if at == 0:  # what is built at the first call is no part of the time
                through(make(), clip[: 8 * chunk], chunk, info.sample_rate, Clock(True))
            made = through(make(), clip, chunk, info.sample_rate, clock)
            share = agreement(made.tokens, item.tokens)
            (offline,) = context.decode([item])
            if isinstance(offline, Exception):
                raise offline
            largest, missing = difference(made.audio, offline)
        except Exception as error:
            result.failures.append(
                Failure(track=rows.TRACK, utterance=item.utterance.id, stage=STAGE,
                        reason=reason_of(error))
            )  # fmt: skip
            continue
        done.append((item, made, share, largest, missing))
    if not done:
        lack = "no utterance went through stream(); see failures"
        result.rows |= {row.name: absent(row, lack, len(chosen)) for row in wanted}
        return
    _rows(done, wanted, result, chunk / info.sample_rate, clock.told(machine))


def difference(streamed: Samples, offline: Samples) -> tuple[float, int]:
    """Largest difference where both are, as fractions of full scale, and by how many samples
    stream() gave more (less, if negative). Sound outside [-1, 1] counts as at its edge, as
    everywhere in a run."""
    common = min(len(streamed), len(offline))
    ours = np.clip(streamed[:common], -1, 1)
    return float(np.abs(ours - offline[:common]).max(initial=0.0)), len(streamed) - len(offline)


def _rows(
    done: Sequence[tuple[TokenItem, Streamed, Sums, float, int]],
    wanted: Sequence[MetricRow],
    result: TrackResult,
    length: float,
    machine: str,
) -> None:
    count = len(done)
    other = sorted({missing for *_, missing in done if missing})
    told = f"the sound is {', '.join(map(str, other))} samples longer" if other else None
    less = sum(s.numerator for _, _, s, *_ in done) < sum(s.denominator for _, _, s, *_ in done)
    shares = np.array([t / length for _, made, *_ in done for t in made.times])
    on = f"{machine}; chunks of {length * 1000:g} ms"
    made_rows = {
        rows.AGREEMENT: lambda row: rows.of_sums(
            row,
            [(item.utterance, share) for item, _, share, *_ in done],
            "the contract wants all ids equal" if less else None,
        ),
        rows.AUDIO: lambda row: rows.single(row, max(d for *_, d, _ in done), count, told),
        rows.PACKET: lambda row: rows.of_sums(
            row,
            [(item.utterance, Sums(made.heard)) for item, made, *_ in done],
            f"in chunks of {length * 1000:g} ms",
        ),
        rows.PACKET_COMPUTED: lambda row: rows.of_sums(
            row, [(item.utterance, Sums(made.heard + made.computed)) for item, made, *_ in done], on
        ),
        rows.CHUNK_MEDIAN: lambda row: rows.single(row, float(np.median(shares)), count, on),
        rows.CHUNK_P95: lambda row: rows.single(row, float(np.percentile(shares, 95)), count, on),
    }
    result.rows |= {row.name: made_rows[row](row) for row in wanted}
    result.details["stream"] = {
        "chunk_seconds": length,
        "utterances": {
            item.utterance.id: {
                "equal_ids": share.numerator,
                "ids": share.denominator,
                "largest_difference": largest,
                "samples_more": missing,
                "first_sound_after": made.heard,
            }
            for item, made, share, largest, missing in done
        },
    }
    result.timing["chunk, median"] = float(np.median(shares)) * length
