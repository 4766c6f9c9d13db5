"""Encode and decode: audio → ids → disk → ids → audio, in that order, always."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from bench import audio
from bench.batching import batches, halves
from bench.checks import check_audio, check_count, check_tokens
from bench.contracts import AudioBatch, Samples, Tokenizer, Tokens
from bench.errors import ContractError, ItemFailure, UserError
from bench.originals import Originals
from bench.progress import Reporter
from bench.store import Store, key_of, pack_audio, pack_tokens, unpack_audio, unpack_tokens

CALIBRATION = 16  # utterances from which a codec's delay is estimated
MAX_DELAY_SECONDS = 0.060

In = TypeVar("In")
Out = TypeVar("Out")


def reason_of(error: Exception) -> str:
    """What a failure list says of an exception."""
    if isinstance(error, ItemFailure):
        return str(error)
    return f"{type(error).__name__}: {error}"[:300]


def _out_of_memory(error: Exception) -> bool:
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "out of memory" in str(error).lower()
    )


def _release() -> None:
    """Give back what torch keeps of the device's memory, before a smaller batch is tried."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def robustly(
    call: Callable[[list[int]], Sequence[Out]], batch: list[int], warn: Callable[[str], None]
) -> dict[int, Out | Exception]:
    """Index → result of `call(batch)`; no utterance is lost to another one's trouble.

    Out of memory: the batch is halved and a warning given. Any other exception: its utterances go
    one at a time, and those that fail alone get their exception as result.
    """
    try:
        return dict(zip(batch, call(batch), strict=True))
    except UserError:
        raise
    except Exception as error:
        if len(batch) == 1:
            return {batch[0]: error}
        if _out_of_memory(error):
            warn(f"out of memory with {len(batch)} utterances: trying half as many")
            parts: Sequence[list[int]] = halves(batch)
            _release()
        else:
            parts = [[index] for index in batch]
    done: dict[int, Out | Exception] = {}
    for part in parts:
        done.update(robustly(call, part, warn))
    return done


def encoded(
    tokenizer: Tokenizer, clips: Sequence[Samples], texts: Sequence[str | None]
) -> list[Tokens | Exception]:
    """One call of `encode`, checked: ids, a ContractError in the place of what is none."""
    info = tokenizer.info
    batch = AudioBatch.of(clips, info.sample_rate, texts)
    made = check_count(tokenizer.encode(batch), len(clips), "encode")
    return [_each(partial(check_tokens, info=info), tokens) for tokens in made]


class Codec:
    """One tokenizer over one suite, with its tokens and its audio on disk.

    failures: index → (stage, reason). delay: samples at 16 kHz, None before `calibrate` or where
    the output follows no waveform. seconds: time inside encode and decode.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        identity: dict[str, Any],
        originals: Originals,
        cache: Path,
        reporter: Reporter,
        batch_seconds: float,
    ) -> None:
        self.tokenizer = tokenizer
        self.info = tokenizer.info
        self.originals = originals
        self.reporter = reporter
        self.batch_seconds = batch_seconds
        key = key_of(kind="tokens", **identity, revision=self.info.revision)
        self.tokens = Store(cache / "tokens" / f"{key}.sqlite")
        self.audio = Store(cache / "audio" / f"{key}.sqlite")
        self.failures: dict[int, tuple[str, str]] = {}
        self.delay: int | None = None
        self.seconds = {"encode": 0.0, "decode": 0.0}

    def row(self, index: int) -> str:
        """The store's key of an utterance: its file's bytes, and the text a tokenizer may read."""
        text = self.originals.items[index].utterance.text
        told = "none" if text is None else hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"{self.originals.content[index]}:{told}"

    def plan(self) -> tuple[list[list[int]], list[list[int]]]:
        """Batches of indices: first those that give the delay, then the rest."""
        good = self.originals.good
        long = [i for i in good if self.originals.lengths[i] >= audio.RATE]
        chosen = sorted(long, key=lambda i: self.originals.digests[i])[:CALIBRATION]
        rest = [i for i in good if i not in set(chosen)]
        return self._batches(chosen), self._batches(rest)

    def _batches(self, indices: list[int]) -> list[list[int]]:
        lengths = [self.originals.lengths[i] for i in indices]
        limit = int(self.batch_seconds * audio.RATE)
        return [
            [indices[j] for j in batch] for batch in batches(lengths, self.info.batching, limit)
        ]

    # ------------------------------------------------------------------------------- one batch
    def process(self, batch: list[int]) -> list[int]:
        """Encode and decode what is not on disk yet; returns the indices that have audio."""
        ready = self.encode(batch)
        self._decode([i for i in ready if self.audio.get(self.row(i)) is None])
        return [i for i in ready if i not in self.failures]

    def encode(self, batch: list[int]) -> list[int]:
        """Encode what is not on disk yet; returns the indices that have ids."""
        todo = [i for i in batch if not self.unencoded(i)]
        self._encode([i for i in todo if self.tokens.get(self.row(i)) is None])
        return [i for i in batch if not self.unencoded(i)]

    def unencoded(self, index: int) -> bool:
        """Encoding this utterance failed."""
        return self.failures.get(index, ("", ""))[0] == "encode"

    def _encode(self, todo: list[int]) -> None:
        for index, result in self._timed("encode", self._encode_batch, todo).items():
            if isinstance(result, Exception):
                self.failures[index] = ("encode", reason_of(result))
            else:
                self.tokens.put({self.row(index): pack_tokens(result)})

    def _encode_batch(self, part: list[int]) -> list[Tokens | Exception]:
        rate = self.info.sample_rate
        clips = [self.originals.at(i, rate) for i in part]
        texts = [self.originals.items[i].utterance.text for i in part]
        if self.info.batching == "equal-length" and len({len(clip) for clip in clips}) > 1:
            # Recordings of one length at 16 kHz may differ by a sample at the tokenizer's rate.
            return [result for i in part for result in self._encode_batch([i])]
        return encoded(self.tokenizer, clips, texts)

    def _decode(self, todo: list[int]) -> None:
        for index, result in self._timed("decode", self._decode_batch, todo).items():
            if isinstance(result, Exception):
                self.failures[index] = ("decode", reason_of(result))
            else:
                self.audio.put({self.row(index): pack_audio(result)})

    def _decode_batch(self, part: list[int]) -> list[Samples | Exception]:
        stored = [self.ids(i) for i in part]
        made = check_count(self.tokenizer.decode(stored), len(part), "decode")
        seconds = [self.originals.seconds(i) for i in part]
        return [
            _each(partial(check_audio, info=self.info, seconds=s), sound)
            for sound, s in zip(made, seconds, strict=True)
        ]

    def _timed(
        self, stage: str, call: Callable[[list[int]], list[Any]], todo: list[int]
    ) -> dict[int, Any]:
        if not todo:
            return {}
        start = time.perf_counter()
        result = robustly(call, todo, self.reporter.warn)
        self.seconds[stage] += time.perf_counter() - start
        return result

    # ------------------------------------------------------------------------------- afterwards
    def ids(self, index: int) -> Tokens:
        """Tokens of an utterance, read from disk."""
        data = self.tokens.get(self.row(index))
        if data is None:
            raise ContractError("tokens are not on disk")
        return unpack_tokens(data)

    def calibrate(self, indices: Sequence[int]) -> None:
        """Estimate the delay from the utterances decoded first."""
        pairs = [(self.originals.at(i, audio.RATE), self._decoded(i)) for i in sorted(indices)]
        if pairs:
            self.delay = audio.delay(pairs, audio.RATE)

    def _decoded(self, index: int) -> Samples:
        data = self.audio.get(self.row(index))
        if data is None:
            raise ContractError("decoded audio is not on disk")
        return audio.resample(unpack_audio(data), self.info.sample_rate, audio.RATE)

    def resynthesis(self, index: int) -> Samples:
        """Decoded audio at 16 kHz as judges hear it: delay removed; of the original's length
        where the tokenizer keeps time (all streams of fixed rate), else as long as it came."""
        sound = self._decoded(index)
        keeps_time = all(stream.rate is not None for stream in self.info.streams)
        length = self.originals.lengths[index] if keeps_time else len(sound)
        return audio.align(sound, self.delay or 0, length)

    def close(self) -> None:
        self.tokens.close()
        self.audio.close()


def _each(check: Callable[[In], Out], value: In) -> Out | Exception:
    try:
        return check(value)
    except ContractError as error:
        return error
