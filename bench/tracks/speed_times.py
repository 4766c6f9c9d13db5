"""Real-time factors: seconds of computing for a second of speech, at batch 1 and in batches.

Torch computes on one processor, as in the rest of a run. Each call is made twice and the shorter
time taken: other work on the machine can only add to it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from bench.codec import encoded, reason_of
from bench.contracts import AudioBatch, MetricRow, Samples, Sums, Tokens, Utterance
from bench.errors import ItemFailure
from bench.results import Failure, Row
from bench.tracks import speed_rows as rows
from bench.tracks.contract import TokenContext, TokenItem, TrackResult
from bench.tracks.rows import absent
from bench.tracks.speed_ahead import by_hash

LEAST, MOST = 3, 24  # utterances at batch 1
BUDGET = 6.0  # seconds of computing after which no further utterance or batch is measured
SIZES = (1, 2, 4, 8, 16, 32)
GAIN, VAIN = 0.03, 2  # after so many sizes in a row that gain no such share, no larger one is tried
CLIP_SECONDS = 3.0
BUSY = 0.1  # share of the time without the processor from which a note tells it
T = TypeVar("T")


@dataclass
class Clock:
    """Times calls, and knows how much of that time the processor was another's.

    wall, cpu: seconds by the clock, and of this process's computing. idle: the work is done by
    another device, so that waiting tells nothing.
    """

    idle: bool
    wall: float = 0.0
    cpu: float = 0.0

    def time(self, call: Callable[[], T]) -> tuple[T, float]:
        """What the call gives, and its seconds."""
        wall, cpu = time.perf_counter(), time.process_time()
        made = call()
        taken = time.perf_counter() - wall
        self.wall += taken
        self.cpu += time.process_time() - cpu
        return made, taken

    def shortest(self, call: Callable[[], object]) -> float:
        """Seconds of the faster of two calls."""
        return min(self.time(call)[1] for _ in range(2))

    def told(self, machine: str) -> str:
        """The machine, and whether other work took its processor away."""
        waited = 1 - self.cpu / self.wall if self.wall else 0.0
        if self.idle or waited < BUSY:
            return machine
        return f"{machine}, kept busy by other work {waited:.0%} of the time: times are too long"


def on_device(context: TokenContext) -> bool:
    """The tokenizer computes elsewhere than on the processor."""
    return str(context.identity.get("device", "cpu")) != "cpu"


def alone(
    context: TokenContext, items: Sequence[TokenItem], result: TrackResult, machine: str
) -> None:
    """Rows at batch 1, over utterances in the order of their ids' sha256."""
    info, chosen = context.info, by_hash(items, 1.0)[:MOST]

    def encode(item: TokenItem) -> Callable[[], Any]:
        batch = AudioBatch.of([item.audio(info.sample_rate)], info.sample_rate,
                              [item.utterance.text])  # fmt: skip
        return lambda: context.tokenizer.encode(batch)

    def decode(item: TokenItem) -> Callable[[], Any]:
        tokens = item.tokens
        return lambda: context.tokenizer.decode([tokens])

    for row, maker, stage in ((rows.ENCODE, encode, "encode"), (rows.DECODE, decode, "decode")):
        if not context.wanted(row.name):
            continue
        sums: list[tuple[Utterance, Sums]] = []
        clock, spent = Clock(on_device(context)), 0.0
        for at, item in enumerate(chosen):
            if spent > BUDGET and len(sums) >= LEAST:
                break
            try:
                call = maker(item)
                if at == 0:
                    call()  # what is built at the first call is no part of the speed
                taken = clock.shortest(call)
            except Exception as error:
                result.failures.append(
                    Failure(
                        track=rows.TRACK, utterance=item.utterance.id, stage=f"{stage} timed",
                        reason=reason_of(error),
                    )
                )  # fmt: skip
                continue
            spent += 2 * taken
            sums.append((item.utterance, Sums(taken, item.seconds)))
        result.rows[row.name] = (
            rows.of_sums(row, sums, f"{clock.told(machine)}; torch on one processor")
            if sums
            else absent(row, "no utterance could be timed; see failures", len(chosen))
        )


def in_batches(
    context: TokenContext, items: Sequence[TokenItem], result: TrackResult, machine: str
) -> None:
    """Rows at the best batch of clips of one length; each size's time goes to the timing."""
    wanted = [row for row in rows.BATCHED if context.wanted(row.name)]
    if not wanted:
        return
    info = context.info
    if info.batching == "single":
        lack = "it takes one utterance at a time (its batching is 'single')"
        result.rows |= {row.name: absent(row, lack) for row in wanted}
        return
    clips, texts = _clips(items, info.sample_rate)
    seconds = len(clips[0]) / info.sample_rate
    try:
        tokens = [_tokens(context, clip, text) for clip, text in zip(clips, texts, strict=True)]
    except Exception as error:
        result.rows |= {row.name: absent(row, reason_of(error)) for row in wanted}
        return

    def encode(count: int) -> Callable[[], Any]:
        batch = AudioBatch.of(clips[:count], info.sample_rate, texts[:count])
        return lambda: context.tokenizer.encode(batch)

    def decode(count: int) -> Callable[[], Any]:
        return lambda: context.tokenizer.decode(tokens[:count])

    for row, maker, stage in (
        (rows.ENCODE_BATCH, encode, "encode"),
        (rows.DECODE_BATCH, decode, "decode"),
    ):
        if row in wanted:
            clock = Clock(on_device(context))
            result.rows[row.name] = _best(row, maker, stage, seconds, result, machine, clock)


def _best(
    row: MetricRow,
    maker: Callable[[int], Callable[[], Any]],
    stage: str,
    seconds: float,
    result: TrackResult,
    machine: str,
    clock: Clock,
) -> Row:
    found: dict[int, float] = {}
    stopped, spent, vain = "", 0.0, 0
    for size in SIZES:
        if spent > BUDGET or vain == VAIN:
            break
        try:
            taken = clock.shortest(maker(size))
        except Exception as error:  # memory, most likely: the sizes before it count
            stopped = f"; {size} failed: {reason_of(error)}"
            break
        spent += 2 * taken
        cost = taken / (size * seconds)
        vain = 0 if cost < (1 - GAIN) * min(found.values(), default=math.inf) else vain + 1
        found[size] = cost
        result.timing[f"{stage} a second, batch {size}"] = found[size]
    if not found:
        return absent(row, stopped[2:])
    best = min(found, key=lambda size: found[size])
    tried = ", ".join(map(str, found))
    note = f"{clock.told(machine)}; best of {tried} clips of {seconds:g} s: {best}{stopped}"
    return rows.single(row, found[best], best, note)


def _clips(items: Sequence[TokenItem], rate: int) -> tuple[list[Samples], list[str | None]]:
    """As many clips of one length as the largest batch holds, again and again where few are."""
    chosen = by_hash(items, CLIP_SECONDS)
    long = [i for i in chosen if i.seconds >= CLIP_SECONDS] or chosen[:1]
    long = long[: SIZES[-1]]
    heard = [item.audio(rate) for item in long]
    length = min(int(CLIP_SECONDS * rate), *(len(x) for x in heard), len(heard[0]))
    order = [n % len(long) for n in range(SIZES[-1])]
    return [np.ascontiguousarray(heard[n][:length]) for n in order], [
        long[n].utterance.text for n in order
    ]


def _tokens(context: TokenContext, clip: Samples, text: str | None) -> Tokens:
    (made,) = encoded(context.tokenizer, [clip], [text])
    if isinstance(made, Exception):
        raise ItemFailure(str(made))
    return made
