"""EnCodec: 24 kHz (1.5 to 24 kbit/s, causal) and 48 kHz (3 to 24 kbit/s, in chunks of a second)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from bench.contracts import AudioBatch, Ids, Samples, Stream, TokenizerInfo, Tokens
from bench.errors import ItemFailure, UserError
from bench.tokenizers._codec import (
    FrameCodec,
    on,
    residual_streams,
    size_of,
    sound_of,
    tables,
)
from bench.tokenizers._hub import Published, at_rate, find, pretrained

if TYPE_CHECKING:
    import torch

RATES = {"24khz": 24_000, "48khz": 48_000}
SCALE_STEPS = 1 << 16
QUIETEST = 1e-8  # what the model adds to every chunk's level
CARD = {
    "family": "codec",
    "sample_rate": 24_000,
    "frame_rate": 75.0,
    "streams": ((8, 1024),),
    "kbps": 6.0,
    "licence": "code MIT; licence of the weights not stated",
    "weights": ("package:transformers", "hub:facebook/encodec_24khz"),
}


class Encodec(FrameCodec):
    """24 kHz: K streams of 10-bit ids, 75 a second each. Causal: 13 ms frames, no look-ahead.

    The convolutions pad by reflection, so the first six frames see up to six frames ahead, and an
    utterance is given to them as eight frames or more: then its ids do not change with padding.
    """

    shortest = 8

    def __init__(self, model: Any, bandwidth: float, revision: str, device: str) -> None:
        super().__init__(model, model.config.hop_length, device)
        self._bandwidth = bandwidth
        rate = model.config.sampling_rate / model.config.hop_length
        books = model.quantizer.get_num_quantizers_for_bandwidth(bandwidth)
        self.info = _info(
            model,
            residual_streams(books, model.config.codebook_size, rate),
            revision,
            causal=True,
            batching="any",
        )

    def _ids(self, audio: torch.Tensor) -> torch.Tensor:
        codes: torch.Tensor = self._model.encode(audio, bandwidth=self._bandwidth).audio_codes
        return codes[0]

    def _latents(self, audio: torch.Tensor) -> torch.Tensor:
        latents: torch.Tensor = self._model.encoder(audio)
        return latents

    def _sound(self, ids: torch.Tensor) -> torch.Tensor:
        audio: torch.Tensor = self._model.decode(ids[None], [None]).audio_values
        return audio[:, 0]

    def codebooks(self) -> list[npt.NDArray[np.float32]]:
        """[1024, 128] for each stream, in the space of `features`."""
        return _codebooks(self._model, len(self.info.streams))


class EncodecChunks:
    """48 kHz: K streams of 10-bit ids, 150 for each chunk of 1 s, and the chunk's level.

    Chunks overlap by 10 ms and are added with a linear fade. The model is stereo: mono goes to
    both channels, and their mean is the output. The level by which a chunk was divided is the
    first stream, "scale": 16 bits a chunk, 65,536 logarithmic steps of 0.0024 dB from 1e-8 to 1.
    A last chunk that the one before covers (10 ms or less) is left out, unlike in the reference,
    whose decoder fails at some of these lengths.
    """

    def __init__(self, model: Any, bandwidth: float, revision: str, device: str) -> None:
        self._model, self._bandwidth, self._device = model, bandwidth, device
        config = model.config
        self._chunk, self._stride = config.chunk_length, config.chunk_stride
        self._frames = -(-self._chunk // config.hop_length)
        chunks = config.sampling_rate / self._stride  # a second
        self._books = model.quantizer.get_num_quantizers_for_bandwidth(bandwidth)
        streams = residual_streams(self._books, config.codebook_size, self._frames * chunks)
        self.info = _info(
            model,
            (Stream("scale", SCALE_STEPS, chunks), *streams),
            revision,
            causal=False,
            batching="single",
        )

    def encode(self, batch: AudioBatch) -> list[Tokens]:
        """int64 [chunks] of levels, and K arrays int64 of ids, all chunks after one another."""
        import torch

        with torch.inference_mode():
            return [self._encode(clip) for clip in batch.items()]

    def _encode(self, clip: Samples) -> Tokens:
        import torch

        ids, levels = [], []
        for latents, scale in self._latents(clip):
            ids.append(self._model.quantizer.encode(latents, self._bandwidth)[:, 0])
            levels.append(_level(scale))
        books = torch.cat(ids, dim=-1).cpu().numpy()
        return Tokens((np.array(levels, dtype=np.int64), *books))

    def _latents(self, clip: Samples) -> list[tuple[torch.Tensor, float]]:
        """(latents [1, D, T], level) of each chunk; a chunk is divided by its own level."""
        import torch

        overlap = self._chunk - self._stride
        count = max(1, -(-(len(clip) - overlap) // self._stride))
        made = []
        for start in range(0, count * self._stride, self._stride):
            mono = on(clip[start : start + self._chunk].copy(), self._device)
            scale = mono.pow(2).mean().sqrt() + QUIETEST
            stereo = torch.stack([mono, mono])[None] / scale
            made.append((self._model.encoder(stereo), float(scale)))
        return made

    def features(self, batch: AudioBatch) -> list[npt.NDArray[np.float32]]:
        """Latents before quantization, float32 [T, 128] for each utterance, chunk after chunk."""
        import torch

        with torch.inference_mode():
            return [
                torch.cat([z[0] for z, _ in self._latents(clip)], dim=-1).T.cpu().numpy()
                for clip in batch.items()
            ]

    def decode(self, tokens: list[Tokens]) -> list[Samples]:
        """float32 [320·T − overlaps] for each item, clipped to [-1, 1].

        Raises ItemFailure where the number of ids does not fit the number of chunks.
        """
        import torch

        with torch.inference_mode():
            return [self._decode(item) for item in tokens]

    def _decode(self, item: Tokens) -> Samples:
        import torch
        from torch.nn.functional import pad

        levels, *books = item.streams
        if not books:  # no codebook: no signal
            return np.zeros(self._stride * len(levels), dtype=np.float32)
        ids = on(np.stack(books), self._device)[:, None]  # [K, 1, T]
        short = self._frames * len(levels) - ids.shape[-1]
        if len(levels) == 0 or not 0 <= short < self._frames:
            raise ItemFailure(f"{ids.shape[-1]} ids a stream do not fit {len(levels)} chunks")
        chunks = pad(ids, (0, short)).reshape(len(books), 1, len(levels), self._frames)
        scales = [torch.tensor([[_scale(i)]], device=self._device) for i in levels]
        audio = self._model.decode(
            chunks.permute(2, 1, 0, 3), scales, last_frame_pad_length=short
        ).audio_values
        return sound_of(audio.mean(dim=1))[0]

    def codebooks(self) -> list[npt.NDArray[np.float32]]:
        """[65536, 1] of levels for the stream "scale", [1024, 128] for each stream of ids."""
        levels = np.array([[_scale(i)] for i in range(SCALE_STEPS)], dtype=np.float32)
        return [levels, *_codebooks(self._model, self._books)]


def _level(scale: float) -> int:
    """Id of the nearest step; full scale is a level of 1, which no audio exceeds."""
    return round((SCALE_STEPS - 1) * (1 - math.log(min(scale, 1.0)) / math.log(QUIETEST)))


def _scale(level: int | Ids) -> float:
    return float(QUIETEST ** (1 - float(level) / (SCALE_STEPS - 1)))


def _codebooks(model: Any, count: int) -> list[npt.NDArray[np.float32]]:
    return tables([layer.codebook.embed for layer in model.quantizer.layers[:count]])


def _info(
    model: Any,
    streams: tuple[Stream, ...],
    revision: str,
    *,
    causal: bool,
    batching: Literal["any", "single"],
) -> TokenizerInfo:
    return TokenizerInfo(
        name="encodec",
        family="codec",
        sample_rate=model.config.sampling_rate,
        streams=streams,
        nested=True,
        causal=causal,
        parameters=size_of(model),
        licence="code MIT; licence of the weights not stated",
        source="https://github.com/facebookresearch/encodec; Défossez et al., 2022, "
        "arXiv:2210.13438",
        training_data="DNS, Common Voice, AudioSet, FSD50K, Jamendo; at 48 kHz music",
        revision=revision,
        batching=batching,
    )


def load(
    *,
    device: str = "cpu",
    model: Literal["24khz", "48khz"] = "24khz",
    bandwidth: Literal["1.5", "3", "6", "12", "24"] = "6",
    weights: str | None = None,
) -> Encodec | EncodecChunks:
    """bandwidth: kbit/s (not 1.5 at 48khz), 0.75 for each codebook, 1.5 at 48khz; weights: a
    folder or hub id, else facebook/encodec_<model>."""
    found = find(Published("encodec", f"facebook/encodec_{model}"), weights)
    made = pretrained(found, "EncodecModel", device)
    at_rate(found, made.config.sampling_rate, RATES[model], f"model={model}")
    possible = made.config.target_bandwidths
    if float(bandwidth) not in possible:
        raise UserError(
            f"encodec: bandwidth={bandwidth} is not possible with model={model}; choose "
            f"{', '.join(f'{b:g}' for b in possible)}"
        )
    kind = Encodec if made.config.chunk_length is None else EncodecChunks
    return kind(made, float(bandwidth), found.revision(), device)
