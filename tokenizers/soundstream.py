"""SoundStream: a causal RVQ codec trained here, 16 kHz, 50 Hz, 1 to 8 codebooks of 1024."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench.checkpoint import Checkpoint, find
from bench.checkpoint import load as load_checkpoint
from bench.contracts import AudioBatch, Ids, Samples, Stream, TokenizerInfo, Tokens
from bench.errors import UserError

KIND = "soundstream"
CARD: dict[str, Any] = {
    "family": "codec",
    "sample_rate": 16_000,
    "frame_rate": 50.0,
    "streams": ((8, 1024),),
    "kbps": 4.0,
    "licence": "Apache-2.0; speech: see CARD.md",
    "weights": ("shipped:soundstream/model.safetensors",),
}


class SoundStreamTokenizer:
    """K streams, 50 ids a second each; frame t is known when sample 320·(t + 1) is.

    The encoder and the quantizer run in float64, so that no rounding, which differs between
    batches, chunks, threads and devices, decides an id. The decoder runs in float32.
    """

    def __init__(self, found: Checkpoint, codebooks: int, device: str) -> None:
        import torch

        from bench.nn.soundstream import HOP, RATE, build

        try:
            model = build(found.config)
        except TypeError as error:
            raise UserError(
                f"{found.folder}: its configuration is of another version ({error})"
            ) from error
        found.fill(model)
        if codebooks > model.config.books:
            raise UserError(
                f"soundstream: codebooks={codebooks}, but the checkpoint in {found.folder} has "
                f"{model.config.books}; choose at most that many"
            )
        self._torch, self._hop, self._device = torch, HOP, device
        self._model = model.to(device).eval()
        self._model.encoder.double()
        self._model.quantizer.double()
        self._codebooks = codebooks
        entries = model.config.entries
        self.info = TokenizerInfo(
            name="soundstream",
            family="codec",
            sample_rate=RATE,
            streams=tuple(Stream(f"q{k + 1}", entries, RATE / HOP) for k in range(codebooks)),
            nested=True,
            causal=True,
            parameters=sum(t.numel() for t in found.tensors.values()),
            licence=CARD["licence"],
            source="Zeghidour et al. 2021, SoundStream, arXiv:2107.03312",
            training_data="see CARD.md and data.csv beside the weights",
            training_speakers=found.speakers(),
            revision=found.revision,
            batching="any",
        )

    def encode(self, batch: AudioBatch) -> list[Tokens]:
        """K arrays int64 [ceil(L/320)] for each utterance."""
        with self._torch.inference_mode():
            latents = self._latents(batch.samples)
            ids = self._ids(latents)
        counts = [-(-int(n) // self._hop) for n in batch.lengths]
        return [Tokens(tuple(row[:, :n])) for row, n in zip(ids, counts, strict=True)]

    def features(self, batch: AudioBatch) -> list[Samples]:
        """The frames before quantization, float32 [ceil(L/320), D] each."""
        with self._torch.inference_mode():
            latents = self._latents(batch.samples).float().cpu().numpy()
        counts = [-(-int(n) // self._hop) for n in batch.lengths]
        return [row[:n] for row, n in zip(latents, counts, strict=True)]

    def codebooks(self) -> list[Samples]:
        """The entries of each codebook, float32 [V, D]; a frame is the sum of its entries."""
        vectors = self._model.quantizer.vectors[: self._codebooks]
        return [book.float().cpu().numpy() for book in vectors]

    def decode(self, tokens: list[Tokens]) -> list[Samples]:
        """float32 [320·T] for each item; one at a time, since what follows a shorter one would
        reach back into its last 30 ms."""
        with self._torch.inference_mode():
            return [self._speak(self._model.decode(self._frames(item)))[0] for item in tokens]

    def stream(self) -> SoundStreamSession:
        """Chunked encode and decode of one utterance."""
        return SoundStreamSession(self)

    # -------------------------------------------------------------------------------- shared
    def _latents(self, samples: Samples, state: Any = None) -> Any:
        """[B, L] → float64 [B, ceil(L/320), D]."""
        whole = -(-samples.shape[1] // self._hop) * self._hop
        padded = np.zeros((len(samples), whole))
        padded[:, : samples.shape[1]] = samples
        return self._model.latents(self._torch.from_numpy(padded).to(self._device), state)

    def _ids(self, latents: Any) -> Ids:
        """[B, T, D] → int64 [B, K, T]."""
        batch, frames, dimension = latents.shape
        ids = self._model.quantizer.encode(latents.reshape(-1, dimension), self._codebooks)
        found: Ids = ids.reshape(-1, batch, frames).transpose(0, 1).cpu().numpy()
        return found

    def _frames(self, item: Tokens) -> Any:
        """Ids of any number of codebooks → float32 [1, T, D]."""
        ids = self._torch.from_numpy(np.stack(item.streams)).to(self._device)
        return self._model.quantizer.decode(ids).float()[None]

    @staticmethod
    def _speak(sound: Any) -> Samples:
        made: Samples = sound.clamp(-1, 1).cpu().numpy()
        return made


class SoundStreamSession:
    """Chunks of any size in, whole frames out; equals the offline ids and audio.

    Encoded frames come as soon as their 320 samples are there; decoded samples come 480 (30 ms)
    after their frame where the decoder ends in an inverse STFT.
    """

    def __init__(self, tokenizer: SoundStreamTokenizer) -> None:
        self._of = tokenizer
        self._heard: Any = {}
        self._said: Any = {}
        self._waiting = np.zeros(0, dtype=np.float32)
        self._late = tokenizer._model.lag

    def encode(self, chunk: Samples, *, last: bool = False) -> Tokens:
        """K arrays int64 [T] of the frames that `chunk` completes (all that is left: `last`)."""
        hop = self._of._hop
        waiting = np.concatenate([self._waiting, chunk])
        whole = len(waiting) if last else len(waiting) // hop * hop
        self._waiting = waiting[whole:]
        if not whole:
            return Tokens(tuple(np.zeros((len(self._of.info.streams), 0), dtype=np.int64)))
        with self._of._torch.inference_mode():
            latents = self._of._latents(waiting[None, :whole], self._heard)
            return Tokens(tuple(self._of._ids(latents)[0]))

    def decode(self, tokens: Tokens, *, last: bool = False) -> Samples:
        """float32 [L] of the samples that `tokens` complete (all that is left: `last`)."""
        torch = self._of._torch
        with torch.inference_mode():
            frames = self._of._frames(tokens)
            if last:
                flush = self._of._model.decoder.flush
                frames = torch.nn.functional.pad(frames, (0, 0, 0, flush))
            if not frames.shape[1]:
                return np.zeros(0, dtype=np.float32)
            sound = self._of._speak(self._of._model.decode_chunk(frames, self._said))[0]
        begin = min(self._late, len(sound))  # the first samples belong to a time before the start
        self._late -= begin
        end = len(sound)
        if last:
            end -= self._of._model.decoder.flush * self._of._hop - self._of._model.lag
        return sound[begin:end]


def load(
    *,
    device: str = "cpu",
    codebooks: Literal[1, 2, 3, 4, 5, 6, 7, 8] = 8,
    weights: str | None = None,
) -> SoundStreamTokenizer:
    """codebooks: 1 to 8, 500 bit/s each; weights: folder of a checkpoint made by
    `bench train soundstream`, else the one that ships."""
    folder: Path = find("soundstream", weights)
    return SoundStreamTokenizer(load_checkpoint(folder, KIND), codebooks, device)
