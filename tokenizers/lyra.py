"""Lyra v2: the published SoundStream codec, 16 kHz, 50 Hz, 3.2, 6 or 9.2 kbit/s."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench.contracts import AudioBatch, Samples, Stream, TokenizerInfo, Tokens
from bench.tokenizers._stream import Frames
from bench.weights import fetch

RATE, HOP, FEATURES, MAX_QUANTIZERS = 16_000, 320, 64, 46
BASE = "https://github.com/google/lyra/raw/main/lyra/model_coeffs/"
FILES = {  # name → sha256
    "soundstream_encoder.tflite": "237da0b16226fb0a68d49551c81bebf6"
    "14e42142af72764448359f68581e88f1",
    "quantizer.tflite": "841ee05989687d32d1f616a8ad1419fc7eda37599d3c05c7cf5a0d60ccf8ac5c",
    "lyragan.tflite": "50e7839cda4f30599a3a34cfaddcd9c98449b049eee884e1a74295780448ad06",
}
CARD = {
    "family": "codec",
    "sample_rate": 16_000,
    "frame_rate": 50.0,
    "streams": ((46, 16),),
    "kbps": 9.2,
    "licence": "Apache-2.0",
    "weights": (
        "package:ai-edge-litert",
        "file:lyra/soundstream_encoder.tflite",
        "file:lyra/quantizer.tflite",
        "file:lyra/lyragan.tflite",
    ),
}


class Lyra:
    """K streams of 4-bit ids, 50 a second each. Causal: 20 ms frames, no look-ahead.

    The graphs keep state between frames and `reset_all_variables()` does not clear it, so every
    utterance gets interpreters of its own (3 ms).
    """

    def __init__(self, folder: Path, quantizers: int) -> None:
        self._graphs = {name: (folder / name).read_bytes() for name in FILES}
        self._quantizers = quantizers
        self.info = TokenizerInfo(
            name="lyra",
            family="codec",
            sample_rate=RATE,
            streams=tuple(Stream(f"q{k + 1}", 16, RATE / HOP) for k in range(quantizers)),
            nested=True,
            causal=True,
            parameters=3_600_000,
            licence="Apache-2.0",
            source="https://github.com/google/lyra; SoundStream (Zeghidour et al., 2021)",
            training_data="not published",
            revision=FILES["quantizer.tflite"][:12],
            batching="single",
        )

    def _interpreter(self, name: str) -> Any:
        from ai_edge_litert.interpreter import Interpreter

        made = Interpreter(model_content=self._graphs[name], num_threads=1)
        made.allocate_tensors()
        return made

    def encode(self, batch: AudioBatch) -> list[Tokens]:
        """K arrays int64 [ceil(L/320)] for each utterance."""
        return [self.stream().encode(clip, last=True) for clip in batch.items()]

    def decode(self, tokens: list[Tokens]) -> list[Samples]:
        """float32 [320·T] for each item."""
        return [self.stream().decode(item, last=True) for item in tokens]

    def stream(self) -> LyraStream:
        """One utterance in chunks of any size."""
        return LyraStream(self._interpreter, self._quantizers)


class LyraStream:
    """One utterance: its interpreters, each made when first needed. See bench.contracts."""

    def __init__(self, interpreter: Callable[[str], Any], quantizers: int) -> None:
        self._interpreter, self._quantizers = interpreter, quantizers
        self._frames = Frames(HOP)

    @cached_property
    def _encoder(self) -> Any:
        return self._interpreter("soundstream_encoder.tflite")

    @cached_property
    def _quantize(self) -> Any:
        return self._interpreter("quantizer.tflite").get_signature_runner("encode")

    @cached_property
    def _dequantize(self) -> Any:
        return self._interpreter("quantizer.tflite").get_signature_runner("decode")

    @cached_property
    def _decoder(self) -> Any:
        return self._interpreter("lyragan.tflite")

    def encode(self, chunk: Samples, *, last: bool = False) -> Tokens:
        """K arrays int64 [n] of the n frames that are whole by now; `chunk` is float32 [L ≥ 0]."""
        frames = self._frames.take(chunk, last=last).reshape(-1, HOP)
        count = np.array(self._quantizers, dtype=np.int32)
        ids = np.empty((len(frames), self._quantizers), dtype=np.int64)
        into, out = _slots(self._encoder)
        for t, frame in enumerate(frames):
            self._encoder.set_tensor(into, frame[None])
            self._encoder.invoke()
            made = self._quantize(input_frames=self._encoder.get_tensor(out), num_quantizers=count)
            ids[t] = next(iter(made.values())).reshape(-1)[: self._quantizers]
        return Tokens(tuple(ids.T.copy()))

    def decode(self, tokens: Tokens, *, last: bool = False) -> Samples:
        """float32 [320·n] for n ids a stream; nothing is held back, so `last` changes nothing."""
        frames = len(tokens.streams[0])
        indices = np.full((frames, MAX_QUANTIZERS, 1, 1), -1, dtype=np.int32)  # −1: not used
        for k, ids in enumerate(tokens.streams):
            indices[:, k, 0, 0] = ids
        into, out = _slots(self._decoder)
        audio = np.empty((frames, HOP), dtype=np.float32)
        for t in range(frames):
            made = self._dequantize(encoding_indices=indices[t])
            self._decoder.set_tensor(into, next(iter(made.values())).reshape(1, 1, FEATURES))
            self._decoder.invoke()
            audio[t] = self._decoder.get_tensor(out).reshape(-1)
        return audio.reshape(-1)


def _slots(graph: Any) -> tuple[int, int]:
    """Indices of a graph's one input and one output."""
    return graph.get_input_details()[0]["index"], graph.get_output_details()[0]["index"]


def load(
    *, device: str = "cpu", quantizers: Literal[16, 30, 46] = 46, weights: str | None = None
) -> Lyra:
    """quantizers: 16, 30 or 46 (3.2, 6, 9.2 kbit/s); weights: folder of the three .tflite files,
    else `BENCH_WEIGHTS_DIR/lyra`, else downloaded once and checked by sha256."""
    import ai_edge_litert.interpreter  # noqa: F401 - a missing package is told before any work

    return Lyra(fetch("lyra", FILES, BASE, weights), quantizers)
