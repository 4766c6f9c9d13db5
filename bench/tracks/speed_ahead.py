"""Look-ahead, measured: noise from sample n on, and how far before n ids change.

Id i of a stream of rate r has the frame [i/r, (i + 1)/r). Where the signal changes from time t on
and id i is the first that is another one, that id has known what comes t − (i + 1)/r seconds after
its frame ends; in frames, it lies floor(t·r) − i frames before the one that holds t. 0 frames: no
id knows more than its own frame. The largest of many positions is shown. It is a lower bound: an
influence too weak to change an id is not seen.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from bench.codec import reason_of
from bench.contracts import Samples, Stream, Tokens
from bench.results import Failure
from bench.tracks import speed_rows as rows
from bench.tracks.contract import TokenContext, TokenItem, TrackResult
from bench.tracks.rows import absent

STAGE = "look-ahead"
UTTERANCES, SECONDS, POSITIONS = 4, 3.0, 12
LOUD = 0.9
"""The noise is uniform in ±LOUD: loud, so that a weak influence changes an id too."""
CAUSAL = 1
"""Frames that an id of a tokenizer declared causal may know of (`TokenizerInfo.causal`)."""


@dataclass(frozen=True)
class Seen:
    """One change. at: seconds; seconds, frames: how far before it the first id changes, of the
    stream where that is farthest (may be under 0: in the frame itself, or later); start: ids
    change from the first one on."""

    at: float
    seconds: float
    frames: int
    start: bool


def by_hash(items: Sequence[TokenItem], least: float) -> list[TokenItem]:
    """Items in the order of their ids' sha256: those of `least` seconds or more, and after them
    the others, the longest first."""
    ranked = sorted(items, key=lambda i: hashlib.sha256(i.utterance.id.encode()).digest())
    long = [item for item in ranked if item.seconds >= least]
    return long + sorted((i for i in ranked if i.seconds < least), key=lambda i: -i.seconds)


def positions(samples: int, rate: int, frames: Fraction) -> list[int]:
    """Samples at which the signal changes: spread over the clip, at another part of a frame each.

    rate: Hz; frames: a second, of the slowest stream. All lie in [1, samples).
    """
    hop = Fraction(rate) / frames
    found = set()
    for n in range(POSITIONS):
        whole = int((n + 1) * samples / (POSITIONS + 1) / hop)
        # 5 and 12 have no common divisor, so each part of a frame comes once.
        part = Fraction(2 * (5 * n % POSITIONS) + 1, 2 * POSITIONS)
        found.add(min(samples - 1, max(1, int((whole + part) * hop))))
    return sorted(found) if samples > 1 else []


def seen(
    before: Tokens, after: Tokens, streams: Sequence[Stream], n: int, rate: int
) -> Seen | None:
    """What a change from sample n on did to the ids; None where it changed none of a stream of
    fixed rate."""
    found: Seen | None = None
    for stream, old, new in zip(streams, before.streams, after.streams, strict=True):
        if stream.rate is None:
            continue
        common = min(len(old), len(new))
        unlike = np.flatnonzero(old[:common] != new[:common])
        if not len(unlike) and len(old) == len(new):
            continue
        first = int(unlike[0]) if len(unlike) else common
        frames = Fraction(stream.rate).limit_denominator(10**6)
        lead = float(Fraction(n, rate) - (first + 1) / frames)
        before_frame = math.floor(Fraction(n, rate) * frames) - first
        if found is None or lead > found.seconds:
            found = Seen(n / rate, lead, before_frame, first == 0)
    return found


def look_ahead(context: TokenContext, items: Sequence[TokenItem], result: TrackResult) -> None:
    """Rows of look-ahead; failures where a tokenizer declared causal is not."""
    info = context.info
    wanted = [row for row in rows.AHEAD if context.wanted(row.name)]
    rates = [Fraction(s.rate).limit_denominator(10**6) for s in info.streams if s.rate is not None]
    if not wanted:
        return
    if not rates:
        lack = "no stream has a fixed rate, so its ids have no time"
        result.rows |= {row.name: absent(row, lack) for row in wanted}
        return
    told: dict[str, list[Seen]] = {}
    for item, made in _measured(context, by_hash(items, 2.0)[:UTTERANCES], min(rates)):
        if isinstance(made, Exception):
            result.failures.append(_failure(item, reason_of(made)))
            continue
        if made:
            told[item.utterance.id] = made
        worst = max((s.frames for s in made), default=0)
        if info.causal and worst > CAUSAL:
            farthest = max(s.seconds for s in made)
            result.failures.append(
                _failure(
                    item,
                    f"declared causal, so no id may know more than {CAUSAL} frame ahead, but ids "
                    f"change {worst} frames ({farthest * 1000:.0f} ms) before the signal does",
                )
            )
    every = [s for made in told.values() for s in made]
    if not every:
        lack = "no id changed, whatever became of the signal, or no utterance is long enough"
        result.rows |= {row.name: absent(row, lack) for row in wanted}
        return
    values = {
        rows.LOOK_AHEAD: max(0.0, *(s.seconds for s in every)),
        rows.LOOK_AHEAD_FRAMES: float(max(0, *(s.frames for s in every))),
    }
    note = _note(info.causal, every)
    result.rows |= {row.name: rows.single(row, values[row], len(told), note) for row in wanted}
    result.details["look_ahead"] = {
        "declared_causal": info.causal,
        "frames_a_second": float(min(rates)),
        "changes": {
            name: [{"at": s.at, "seconds": s.seconds, "frames": s.frames} for s in made]
            for name, made in told.items()
        },
    }


def _measured(
    context: TokenContext, items: Sequence[TokenItem], frames: Fraction
) -> Iterator[tuple[TokenItem, list[Seen] | Exception]]:
    """What each change of each item did, or why an item could not be encoded."""
    rate, streams = context.info.sample_rate, context.info.streams
    clips = [item.audio(rate)[: int(SECONDS * rate)] for item in items]
    where = [positions(len(clip), rate, frames) for clip in clips]
    every: list[Samples] = []
    texts: list[str | None] = []
    for item, clip, at in zip(items, clips, where, strict=True):
        seed = zlib.crc32(item.utterance.id.encode())
        every += [clip, *(changed(clip, n, seed) for n in at)]
        texts += [item.utterance.text] * (1 + len(at))
    # Alone, as rows of a batch may round another way, and an id then changes for that.
    made = iter(context.encode(every, texts, STAGE, alone=True))
    for item, at in zip(items, where, strict=True):
        part = [next(made) for _ in range(1 + len(at))]
        tokens = [t for t in part if not isinstance(t, Exception)]
        if len(tokens) < len(part):
            yield item, next(t for t in part if isinstance(t, Exception))
            continue
        found = [seen(tokens[0], t, streams, n, rate) for n, t in zip(at, tokens[1:], strict=True)]
        yield item, [s for s in found if s is not None]


def changed(clip: Samples, n: int, seed: int) -> Samples:
    """`clip` with loud noise from sample n on."""
    made = clip.copy()
    noise = np.random.default_rng([seed, n]).uniform(-LOUD, LOUD, len(clip) - n)
    made[n:] = noise.astype(np.float32)
    return made


def _note(causal: bool, every: Sequence[Seen]) -> str:
    told = f"declared causal: at most {CAUSAL} frame" if causal else "not declared causal"
    if len(every) > 1 and sum(s.start for s in every) > len(every) / 2:
        return f"{told}; ids change from the first one on: they depend on the whole utterance"
    if not causal and max(s.frames for s in every) <= CAUSAL:
        return f"{told}, though no id was seen to know more than {CAUSAL} frame ahead"
    return told


def _failure(item: TokenItem, reason: str) -> Failure:
    return Failure(track=rows.TRACK, utterance=item.utterance.id, stage=STAGE, reason=reason)
