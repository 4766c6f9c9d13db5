"""What a tokenizer, a judge and a metric must look like; the engine relies on nothing else.

Shapes in docstrings: B utterances, L samples, K streams, N tokens, T frames, D dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

Family = Literal["ssl", "codec", "text-aligned", "reference"]
Batching = Literal["any", "equal-length", "single"]
Device = Literal["cpu", "cuda"]


# ---------------------------------------------------------------------------------- tokenizers
@dataclass(frozen=True)
class Stream:
    """One sequence of ids with a vocabulary (and, where it is fixed, a rate) of its own.

    name: short, unique within the tokenizer (`"q1"`, `"units"`, `"text"`).
    vocabulary: V, the number of different ids; ids lie in [0, V).
    rate: tokens a second (Hz) where it is fixed, else None (dedup, BPE, text). Only a
        declaration: every rate and bitrate shown is computed from the tokens that came out.
    """

    name: str
    vocabulary: int
    rate: float | None = None


@dataclass(frozen=True)
class TokenizerInfo:
    """Facts about one loaded variant of a tokenizer, checked against what it does.

    sample_rate: Hz, of the audio that `encode` gets and `decode` returns.
    nested: a prefix of the streams decodes too (residual vector quantization).
    causal: no id depends on samples more than one frame ahead.
    side_info_bits: bits for each utterance that the decoder needs besides the streams.
    parameters: number of weights, encoder and decoder together.
    revision: identifies the weights (hash, tag or version); part of every cache key.
    training_speakers: speakers, as suites name them, whose recordings it was trained on; None
        where that is not known. Lets `bench show --by voices` keep heard and unheard ones apart.
    batching: "any" (a padded row equals the item alone), "equal-length" (only rows of one length
        may share a batch) or "single".
    """

    name: str
    family: Family
    sample_rate: int
    streams: tuple[Stream, ...]
    nested: bool = False
    causal: bool = False
    side_info_bits: float = 0.0
    parameters: int = 0
    licence: str = ""
    source: str = ""
    training_data: str = ""
    training_speakers: tuple[str, ...] | None = None
    revision: str = ""
    batching: Batching = "single"


@dataclass(frozen=True)
class AudioBatch:
    """Utterances of one sample rate, zero-padded on the right to the longest.

    samples: float32 [B, L] in [-1, 1]; lengths: int64 [B], samples that are real; sample_rate: Hz;
    texts: the manifest's transcript of each utterance, or None where there is none (for
    tokenizers that take a given transcript; ids made from it are counted like any other).
    """

    samples: Samples
    lengths: Ids
    sample_rate: int
    texts: tuple[str | None, ...] = ()

    @classmethod
    def of(
        cls,
        audio: Sequence[Samples],
        sample_rate: int,
        texts: Sequence[str | None] | None = None,
    ) -> AudioBatch:
        """Pad `audio` (mono arrays [L_i]) into one batch."""
        lengths = np.array([len(a) for a in audio], dtype=np.int64)
        samples = np.zeros((len(audio), int(lengths.max(initial=0))), dtype=np.float32)
        for row, item in zip(samples, audio, strict=True):
            row[: len(item)] = item
        return cls(samples, lengths, sample_rate, tuple(texts or [None] * len(audio)))

    def __len__(self) -> int:
        return len(self.lengths)

    def items(self) -> list[Samples]:
        """The utterances without padding, each float32 [L_i]."""
        return [row[:n] for row, n in zip(self.samples, self.lengths, strict=True)]


@dataclass(frozen=True)
class Tokens:
    """The ids of one utterance: `streams[k]` is int64 [N_k], with 0 <= id < V_k."""

    streams: tuple[Ids, ...]


@runtime_checkable
class Tokenizer(Protocol):
    """Audio to integers and back. A plugin module holds one class of this shape and `load`.

    Optional methods, found by `hasattr`: `features(batch) -> list[[T, D]]`, the continuous
    features before quantization; `codebooks() -> list[[V, D]]`; `stream() -> StreamingSession`.
    """

    info: TokenizerInfo

    def encode(self, batch: AudioBatch) -> list[Tokens]:
        """Ids of each utterance, integers only; raises ItemFailure for one it cannot encode."""
        ...

    def decode(self, tokens: list[Tokens]) -> list[Samples]:
        """Audio of each item, float32 mono [L] in [-1, 1] at `info.sample_rate`."""
        ...


class StreamingSession(Protocol):
    """Chunked encode and decode of one utterance; equals the offline ids and audio."""

    def encode(self, chunk: Samples, *, last: bool = False) -> Tokens: ...

    def decode(self, tokens: Tokens, *, last: bool = False) -> Samples: ...


# -------------------------------------------------------------------------------------- judges
@dataclass(frozen=True)
class JudgeInfo:
    """A pretrained model that scores audio.

    version: changes whenever its output may change; part of the cache key and of the result.
    sample_rate: Hz of the audio it wants; the engine resamples.
    outputs: names of what `judge` returns for an utterance.
    max_batch_seconds: seconds of audio for one call on a CPU; the engine's batch size.
    concurrent: `judge` may be called from several threads at once.
    """

    name: str
    version: str
    sample_rate: int
    outputs: tuple[str, ...]
    licence: str = ""
    source: str = ""
    max_batch_seconds: float = 60.0
    concurrent: bool = False


Output = str | float | list[float]
Judgement = dict[str, Output]


@runtime_checkable
class Judge(Protocol):
    """A plugin module holds one class of this shape and `load(*, device) -> Judge`."""

    info: JudgeInfo

    def judge(self, audio: list[Samples]) -> list[Judgement | Exception]:
        """One judgement an utterance (mono float32 [L], `info.sample_rate`), in order.

        The judgement of an utterance does not depend on what else is in the list. An utterance
        that cannot be judged gives an ItemFailure in its place; it is never given a score.
        """
        ...


# ------------------------------------------------------------------------------------- metrics
@dataclass(frozen=True)
class Sums:
    """A metric of one utterance before division: the value of a set is Σnumerator/Σdenominator."""

    numerator: float
    denominator: float = 1.0


@dataclass(frozen=True)
class MetricRow:
    """One row of the result table.

    unit: "%", "MOS", "dB", "cents", ...; scale: value shown = scale · Σnumerator/Σdenominator.
    identity: for a metric that compares with the original, its value for a perfect copy
        (unscaled); None where the metric judges the original like any audio.
    bounds: smallest and largest possible unscaled value, for intervals and range checks.
    shown: False for sums that are stored but not tabled (insertions, deletions...).
    repeatable: False for times and memory, which differ between runs and machines: such a row
        keeps out of `scores.parquet`, so nothing ranks it.
    source: paper or reference implementation.
    """

    name: str
    unit: str
    higher_is_better: bool
    source: str
    description: str
    scale: float = 1.0
    identity: float | None = None
    bounds: tuple[float, float] = (float("-inf"), float("inf"))
    shown: bool = True
    repeatable: bool = True


@dataclass(frozen=True)
class Utterance:
    """What a metric may know of an utterance; from the manifest, never from the audio."""

    id: str
    corpus: str
    language: str
    speaker: str
    seconds: float
    text: str | None = None
    affect: str | None = None


@dataclass(frozen=True)
class Judged:
    """One recording as the judges saw it.

    audio: float32 [L] at 16 kHz, aligned with the original and of its length; only given
    to metrics with `needs_audio`. outputs: judge name -> its judgement.
    """

    outputs: Mapping[str, Judgement] = field(default_factory=dict)
    audio: Samples | None = None


@dataclass(frozen=True)
class MetricInfo:
    """judges: names of the judges whose outputs it reads; task: the manifest task whose
    utterances it scores ("transcription", "emotion", "speaker", "signal", "quality");
    needs_audio: reads samples, so its scores are computed in worker processes and cached."""

    name: str
    version: str
    task: str
    rows: tuple[MetricRow, ...]
    judges: tuple[str, ...] = ()
    needs_audio: bool = False


@runtime_checkable
class Metric(Protocol):
    """A pure function from judged audio to per-utterance sums; a plugin module holds one class
    of this shape and `load() -> Metric`."""

    info: MetricInfo

    def score(self, utterance: Utterance, original: Judged, audio: Judged) -> dict[str, Sums]:
        """Row name -> sums of `audio` (the resynthesis, or the original again for reference).

        Raises ItemFailure where the utterance cannot be scored (silence, too short).
        """
        ...


class PluginModule(Protocol):
    """What the registry imports: a module (or object) with `load`."""

    def load(self, **options: Any) -> Any: ...
