"""The tokens of one run, read once, with the time of each id where it has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.contracts import TokenizerInfo, Tokens
from bench.dedup import durations_of
from bench.errors import ItemFailure
from bench.tokenstats.counts import Ids
from bench.tracks.contract import TokenContext, TokenItem
from bench.tracks.rows import Groups, groups_of

DURATIONS = "durations"
"""Name of a stream of run lengths (see bench.dedup), which gives the ids beside it their time."""


@dataclass(frozen=True)
class Timed:
    """Ids of one stream, one a frame: frame t covers [t/rate, (t + 1)/rate) seconds."""

    ids: Ids
    rate: float


@dataclass(frozen=True)
class Corpus:
    """items and their tokens, in order; groups: who is left out together for an interval.

    frame_rate: frames a second that a stream of durations counts, None where there is none.
    """

    info: TokenizerInfo
    items: Sequence[TokenItem]
    tokens: Sequence[Tokens]
    groups: Groups
    frame_rate: float | None

    @classmethod
    def of(cls, context: TokenContext) -> Corpus:
        items = context.items()
        tokens = [item.tokens for item in items]
        rate = _frame_rate(context.info, tokens, [item.seconds for item in items])
        return cls(context.info, items, tokens, groups_of(items), rate)

    def stream(self, number: int) -> list[Ids]:
        """Ids of one stream, an array an item."""
        return [tokens.streams[number] for tokens in self.tokens]

    def timed(self, index: int) -> list[Timed | None]:
        """Each stream of an item with its time; None for one that has none."""
        return timed(self.info, self.tokens[index], self.frame_rate)


def timed(info: TokenizerInfo, tokens: Tokens, frame_rate: float | None) -> list[Timed | None]:
    """Each stream one id a frame, None where its ids have no time.

    A stream of fixed rate has one id a frame. Where there is a stream `durations`, an id beside it
    stands for as many frames, of `frame_rate` a second, as its run is long.
    """
    runs = _runs(info, tokens)
    made: list[Timed | None] = []
    for stream, ids in zip(info.streams, tokens.streams, strict=True):
        if stream.rate is not None:
            made.append(Timed(ids, stream.rate))
        elif runs is not None and frame_rate and stream.name != DURATIONS and len(runs) == len(ids):
            made.append(Timed(np.repeat(ids, runs), frame_rate))
        else:
            made.append(None)
    return made


def _frame_rate(
    info: TokenizerInfo, tokens: Sequence[Tokens], seconds: Sequence[float]
) -> float | None:
    """Of durations, which declare none: Σ (frames − ½)/Σ seconds, the last frame of an utterance
    being half full on average."""
    found = [
        (runs, s)
        for t, s in zip(tokens, seconds, strict=True)
        if (runs := _runs(info, t)) is not None
    ]
    frames = sum(max(float(runs.sum()) - 0.5, 0.0) for runs, _ in found)
    return frames / sum(s for _, s in found) if frames else None


def _runs(info: TokenizerInfo, tokens: Tokens) -> Ids | None:
    for stream, ids in zip(info.streams, tokens.streams, strict=True):
        if stream.name == DURATIONS and stream.rate is None:
            try:
                return durations_of(ids, stream.vocabulary)
            except ItemFailure:
                return None
    return None
