"""What a track on tokens gets from the engine, and what it gives back.

A track is a module of `bench/tracks/`, entered in `bench.tracks.MODULES`, with an object `TRACK`.
It computes from ids that are on disk; it may have changed audio encoded and few items decoded,
always through the context, which checks and caches both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bench.contracts import MetricRow, Samples, Sums, Tokenizer, TokenizerInfo, Tokens, Utterance
from bench.progress import Reporter
from bench.results import Failure, Row
from bench.suites.spans import Span

OWN, TRAIN, VALIDATION = "test", "train", "validation"
"""`OWN` is the split that the run is about, whatever the suite calls it."""


@dataclass(frozen=True)
class TokenItem:
    """One utterance that has tokens; ids and samples are read when asked for.

    split: `OWN`, `TRAIN` or `VALIDATION`. seconds: its length. phones, words: the manifest's
    alignment, None where there is none. pair, good: the manifest's likelihood test that it is
    in, and whether it is the good one of it.
    """

    utterance: Utterance
    split: str
    seconds: float
    phones: tuple[Span, ...] | None
    words: tuple[Span, ...] | None
    read: Callable[[], Tokens] = field(repr=False)
    hear: Callable[[int], Samples] = field(repr=False)
    pair: str | None = None
    good: bool | None = None

    @property
    def tokens(self) -> Tokens:
        """The ids, read from disk."""
        return self.read()

    def audio(self, rate: int) -> Samples:
        """The recording at `rate` Hz, float32 [L] in [-1, 1], not to be written to."""
        return self.hear(rate)


class TokenContext(Protocol):
    """The engine as a track sees it.

    identity: what the ids depend on, for keys of a track's own caches in the folder `cache`.
    options: the tokenizer's resolved options, the place of its weights included.
    seed: of every random choice. threads: processors it may use. batch_seconds: seconds of audio
    in one call of the tokenizer.
    """

    tokenizer: Tokenizer
    info: TokenizerInfo
    identity: Mapping[str, Any]
    options: Mapping[str, Any]
    cache: Path
    reporter: Reporter
    seed: int
    threads: int
    batch_seconds: float

    def items(self, split: str = OWN) -> Sequence[TokenItem]:
        """The utterances of a split that have tokens, sorted by id; none where the suite has no
        such split. Those of other splits are encoded on the first call, if they were not yet."""
        ...

    def expected(self, split: str = OWN) -> int:
        """Utterances of the split, those without tokens included."""
        ...

    def wanted(self, row: str) -> bool:
        """The person asked for this row, or for all."""
        ...

    def encode(
        self,
        clips: Sequence[Samples],
        texts: Sequence[str | None],
        stage: str,
        *,
        alone: bool = False,
    ) -> list[Tokens | Exception]:
        """Ids of changed audio (float32 [L] in [-1, 1] at `info.sample_rate`), in order.

        texts: the transcript of each, for tokenizers that take one. stage: name of the progress
        bar. In batches as the tokenizer allows (alone: one at a time), checked, and kept on disk
        by the samples' sha256.
        """
        ...

    def decode(self, items: Sequence[TokenItem]) -> list[Samples | Exception]:
        """Audio of items of `OWN` from their stored ids, as the tokenizer made it: float32 [L] at
        `info.sample_rate`, its delay not removed."""
        ...


@dataclass(frozen=True)
class ItemSums:
    """Sums of one row over one utterance, for `scores.parquet`."""

    row: str
    utterance: Utterance
    sums: Sums


@dataclass
class TrackResult:
    """What a track found.

    records: for each row that is a ratio of sums, one for each utterance; value and interval are
    computed from `scores.parquet`. expected: row → number of utterances that should have a
    record; a row that is neither here nor in `rows` is not shown. rows: figures of a whole
    corpus, which no sums divide into; they can be computed again from `tokens.parquet`, the
    suite and the seed. notes: row → what a reader must know. details: tables and curves for
    `details.json`, JSON-able, without NaN. failures: what could not be processed. timing: name →
    seconds, for the result's `timing`: what differs from run to run has its place there.
    """

    records: list[ItemSums] = field(default_factory=list)
    expected: dict[str, int] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    timing: dict[str, float] = field(default_factory=dict)

    def add(self, other: TrackResult) -> None:
        """What another part of the track found, behind what is here."""
        self.records += other.records
        self.failures += other.failures
        self.expected |= other.expected
        self.rows |= other.rows
        self.notes |= other.notes
        self.details |= other.details
        self.timing |= other.timing


class Track(Protocol):
    """version: changes whenever its figures may change; part of the result."""

    name: str
    version: str
    rows: tuple[MetricRow, ...]

    def splits(self, wanted: Callable[[str], bool]) -> tuple[str, ...]:
        """The other splits that the wanted rows need, encoded beside the suite's own."""
        ...

    def run(self, context: TokenContext) -> TrackResult:
        """All wanted rows. Deterministic for a seed, whatever was interrupted before."""
        ...
