"""What the probes read: ids, log-mel features, and features before quantization."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event

import numpy as np
import numpy.typing as npt

from bench.batching import batches
from bench.contracts import AudioBatch
from bench.pools import Halted
from bench.probing.contract import Floats, Ids
from bench.probing.inputs import (
    Layout,
    Source,
    Spelt,
    framed,
    log_mel,
    of_features,
    of_tokens,
    spelt,
)
from bench.tracks.contract import TokenContext, TokenItem
from bench.tracks.probe_work import Work
from bench.tracks.token_corpus import timed

RATE = 16_000
TOKENS, MEL, FEATURES = "tokens", "mel", "features"
Halves = npt.NDArray[np.float16]


@dataclass
class Inputs:
    """The three sources of one run. ids, mel, features: by utterance id, at 50 Hz.

    books: nested codebooks. lack: why there are no features, None where there are.
    """

    context: TokenContext
    books: int
    codebooks: Sequence[Floats] | None
    ids: dict[str, Spelt] = field(default_factory=dict)
    mel: dict[str, Halves] = field(default_factory=dict)
    features: dict[str, Halves] = field(default_factory=dict)
    lack: str | None = None

    @classmethod
    def of(cls, context: TokenContext) -> Inputs:
        info, tokenizer = context.info, context.tokenizer
        books = getattr(tokenizer, "codebooks", None)
        found = books() if books is not None else None
        fitting = (
            found is not None
            and len(found) == len(info.streams)
            and all(
                len(book) >= stream.vocabulary
                for book, stream in zip(found, info.streams, strict=True)
            )
        )
        made = cls(context, len(info.streams) if info.nested else 1, found if fitting else None)
        if not hasattr(tokenizer, "features"):
            made.lack = "the tokenizer tells no features before quantization"
        return made

    def sources(self) -> tuple[str, ...]:
        return (TOKENS, MEL) if self.lack else (TOKENS, MEL, FEATURES)

    def prepare(self, items: Sequence[TokenItem]) -> None:
        """Read ids and recordings once, for all probes."""
        for item in _unique(items):
            frames = int(Layout.of([item.seconds]).counts[0])
            timed_ids = _timed(self.context, item)
            self.ids[item.utterance.id] = spelt(timed_ids, self.context.info.streams, frames)
            mel = log_mel(item.audio(RATE))
            self.mel[item.utterance.id] = framed(mel, frames).astype(np.float16)

    def prepare_features(self, items: Sequence[TokenItem], halted: Event) -> None:
        """What the source FEATURES needs, if there is one. In padded batches where they change
        nothing, else one by one; one call at a time. Raises Halted once `halted` is set."""
        if self.lack is not None:
            return
        items = _unique(items)
        context, info = self.context, self.context.info
        limit = int(context.batch_seconds * info.sample_rate)
        lengths = [round(item.seconds * info.sample_rate) for item in items]
        context.reporter.total("features", sum(item.seconds for item in items))
        for part in batches(lengths, "any" if info.batching == "any" else "single", limit):
            if halted.is_set():
                raise Halted
            chosen = [items[i] for i in part]
            batch = AudioBatch.of(
                [item.audio(info.sample_rate) for item in chosen],
                info.sample_rate,
                [item.utterance.text for item in chosen],
            )
            made = context.tokenizer.features(batch)  # type: ignore[attr-defined]
            for item, x in zip(chosen, made, strict=True):
                frames = int(Layout.of([item.seconds]).counts[0])
                self.features[item.utterance.id] = framed(x, frames).astype(np.float16)
            context.reporter.done("features", sum(item.seconds for item in chosen))

    def source(self, work: Work, name: str) -> Source:
        """One of `sources` for the items of one probe."""
        layout = work.setting.layout
        if name == TOKENS:
            ids = [self.ids[item.utterance.id] for item in work.items]
            return of_tokens(ids, self.context.info.streams, layout, work.train, self.codebooks)
        kept = self.mel if name == MEL else self.features
        return of_features([kept[item.utterance.id] for item in work.items], layout, work.train)


def _unique(items: Sequence[TokenItem]) -> list[TokenItem]:
    return list({item.utterance.id: item for item in items}.values())


def _timed(context: TokenContext, item: TokenItem) -> list[tuple[Ids, float]]:
    """Each stream with a rate. Ids that have no time of their own are spread evenly over the
    utterance, the best that is known."""
    tokens = item.tokens
    made = timed(context.info, tokens, item.seconds)
    return [
        (ids, len(ids) / item.seconds) if found is None else (found.ids, found.rate)
        for ids, found in zip(tokens.streams, made, strict=True)
    ]
