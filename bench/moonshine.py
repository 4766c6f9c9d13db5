"""Moonshine tiny-en, an English ASR model, from the files in `moonshine-voice` by onnxruntime.

Jeffries et al. 2024, "Moonshine: Speech Recognition for Live Transcription and Voice Commands",
arXiv:2410.15608. 27 M parameters, MIT. Not a judge: the judge of this name uses it, and so does
any tokenizer that wants its frames or its text.

The weights are dynamically quantized: a matrix product takes its scale from the whole input, so
whatever shares a batch, padding or another utterance, changes the numbers (by 0.8 in a logit,
0.7 in an encoder frame). Utterances therefore run alone, and in parallel on threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench.contracts import Samples
from bench.errors import UserError
from bench.judges._common import SAMPLE_RATE, Workers, check

if TYPE_CHECKING:
    import onnxruntime

BOS, EOS = 1, 2
BYTES = 3
"""Id of byte 0; ids 3 to 258 are the bytes."""
TEXT_END = 32_000
"""The ids from here on are unused specials."""

TOKENS_PER_SECOND = 6.5
"""The model's own limit: what it emits faster than this is a loop."""
MIN_LIMIT = 8
"""Tokens that an utterance may have however short it is."""

LONG = 30.0
"""Seconds above which an utterance is split; the model was trained on up to 30 s."""
PIECE = (10.0, 20.0)
"""Seconds of a piece, at least (but for the last) and at most."""


class Moonshine:
    """Audio (float32 [L] in [-1, 1], 16 kHz) to frames, ids and text; safe to share by threads.

    threads: utterances at a time, each on one core.
    """

    vocabulary = 32_768
    dimension = 288
    frame_rate = SAMPLE_RATE / 384
    """Hz of the encoder's frames."""

    def __init__(self, threads: int | None = None) -> None:
        import onnxruntime

        folder = assets()
        self.workers = Workers(threads)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._encoder = _session(folder / "encoder_model.ort", options)
        self._decoder = _session(folder / "decoder_model_merged.ort", options)
        self.pieces = read_vocabulary(folder / "tokenizer.bin")
        self._rank = {
            piece: i for i, piece in enumerate(self.pieces) if BYTES + 256 <= i < TEXT_END
        }
        self._cache = [
            i.name for i in self._decoder.get_inputs() if i.name.startswith("past_key_values")
        ]

    @property
    def revision(self) -> str:
        """Identifies weights and arithmetic: what the ids depend on besides the audio."""
        return f"moonshine-voice-{version('moonshine-voice')}+ort-{version('onnxruntime')}"

    def encode(self, audio: Samples) -> npt.NDArray[np.float32]:
        """Encoder frames, float32 [T, 288], of one utterance; raises ItemFailure under 0.1 s."""
        check(audio)
        feed = {"input_values": audio[None], "attention_mask": _ones(len(audio))}
        frames: npt.NDArray[np.float32] = self._encoder.run(None, feed)[0][0]
        return frames

    def transcribe_ids(self, audio: Sequence[Samples]) -> list[list[int]]:
        """Text ids of each utterance, without BOS and EOS, by greedy decoding.

        An utterance of more than 30 s is split where it is quietest into pieces of 10 to 20 s,
        whose ids are joined. The ids of an utterance do not depend on the others. Raises
        ItemFailure where one is under 0.1 s, not finite or not in [-1, 1].
        """
        for item in audio:
            check(item)
        pieces = [(n, piece) for n, item in enumerate(audio) for piece in split(item)]
        found: list[list[int]] = [[] for _ in audio]
        decoded = self.workers.map(self._greedy, [piece for _, piece in pieces])
        for (n, _), ids in zip(pieces, decoded, strict=True):
            found[n] += ids
        return found

    def _greedy(self, audio: Samples) -> list[int]:
        limit = max(MIN_LIMIT, math.ceil(TOKENS_PER_SECOND * len(audio) / SAMPLE_RATE))
        feed: dict[str, npt.NDArray[Any]] = {
            "encoder_attention_mask": _ones(len(audio)),  # at the audio's resolution
            "encoder_hidden_states": self.encode(audio)[None],
            "input_ids": np.array([[BOS]]),
            "use_cache_branch": np.array([False]),
        }
        for name in self._cache:
            feed[name] = np.zeros((1, 8, 0, 36), np.float32)
        wanted = self._cache  # the encoder's keys and values come once, from the first step
        ids: list[int] = []
        while len(ids) < limit:
            outputs = [name.replace("past_key_values", "present") for name in wanted]
            logits, *cache = self._decoder.run(["logits", *outputs], feed)
            token = int(logits[0, -1].argmax())
            if token == EOS:
                break
            ids.append(token)
            feed |= dict(zip(wanted, cache, strict=True))
            feed["input_ids"] = np.array([[token]])
            feed["use_cache_branch"] = np.array([True])
            wanted = [name for name in self._cache if ".decoder." in name]
        return ids

    def detokenize(self, ids: Sequence[int]) -> str:
        """Text of `ids`; specials are left out, bytes that are no UTF-8 become U+FFFD."""
        text = b"".join(self.pieces[i] for i in ids if BYTES <= i < TEXT_END)
        return text.decode("utf-8", "replace").replace("▁", " ").strip()

    def tokenize(self, text: str) -> list[int]:
        """Ids of `text` by byte-pair merges in the vocabulary's order; inverse of detokenize."""
        words = " ".join(text.split())
        parts = [c.encode() for c in f"▁{words.replace(' ', '▁')}"] if words else []
        while True:
            merges = [
                (self._rank[a + b], at)
                for at, (a, b) in enumerate(pairwise(parts))
                if a + b in self._rank
            ]
            if not merges:
                break
            _, at = min(merges)
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        ids: list[int] = []
        for part in parts:
            ids += [self._rank[part]] if part in self._rank else [BYTES + byte for byte in part]
        return ids


def assets() -> Path:
    """The folder of the model's files; `moonshine_voice` itself, a native library, stays out."""
    spec = find_spec("moonshine_voice")
    for place in (spec and spec.submodule_search_locations) or ():
        folder = Path(place) / "assets" / "tiny-en"
        if (folder / "encoder_model.ort").is_file():
            return folder
    raise UserError(
        "The Moonshine model is missing (only moonshine-voice 0.0.49 carries it): "
        "pip install moonshine-voice==0.0.49"
    )


def read_vocabulary(path: Path) -> list[bytes]:
    """The pieces of `tokenizer.bin`: byte strings, each after its length n (one byte where
    n < 128, else n % 128 + 128 and n // 128)."""
    data, at, pieces = path.read_bytes(), 0, []
    while at < len(data):
        size, at = data[at], at + 1
        if size >= 128:
            size, at = size - 128 + 128 * data[at], at + 1
        pieces.append(data[at : at + size])
        at += size
    return pieces


def split(audio: Samples) -> list[Samples]:
    """`audio` itself up to 30 s, else pieces of 10 to 20 s (the last: 1 to 20 s), cut in the
    middle of the quietest 0.2 s in reach."""
    if len(audio) <= LONG * SAMPLE_RATE:
        return [audio]
    step = SAMPLE_RATE // 50
    energy = np.square(audio[: len(audio) // step * step].astype(np.float64)).reshape(-1, step)
    loudness = np.convolve(energy.sum(axis=1), np.ones(10), "same")
    shortest, longest = (int(s * SAMPLE_RATE) for s in PIECE)
    pieces, start = [], 0
    while len(audio) - start > longest:
        low = (start + shortest) // step
        high = (start + min(longest, len(audio) - start - SAMPLE_RATE)) // step
        cut = (low + int(loudness[low:high].argmin())) * step
        pieces.append(audio[start:cut])
        start = cut
    return [*pieces, audio[start:]]


def _ones(length: int) -> npt.NDArray[np.int64]:
    return np.ones((1, length), np.int64)


def _session(path: Path, options: Any) -> onnxruntime.InferenceSession:
    import onnxruntime

    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
