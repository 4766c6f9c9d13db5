"""Mimi: Moshi's codec, 24 kHz, 12.5 Hz, 0.14 kbit/s for each of 1 to 32 codebooks, streaming."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench.contracts import StreamingSession, TokenizerInfo
from bench.tokenizers._codec import FrameCodec, residual_streams, size_of, tables
from bench.tokenizers._hub import Published, at_rate, count_of, find, pretrained

if TYPE_CHECKING:
    import torch

RATE, HOP = 24_000, 1920
CARD = {
    "family": "codec",
    "sample_rate": 24_000,
    "frame_rate": 12.5,
    "streams": ((8, 2048),),
    "kbps": 1.1,
    "licence": "CC-BY-4.0",
    "weights": ("package:transformers", "hub:kyutai/mimi"),
}


class Mimi(FrameCodec):
    """K streams of 11-bit ids, 12.5 a second each. Causal: 80 ms frames, no look-ahead.

    The first codebook is trained to carry HuBERT-like content, the others code the residual of
    the latents beside it, not after it.
    """

    def __init__(self, model: Any, codebooks: int, revision: str, device: str) -> None:
        config = model.config
        super().__init__(model, HOP, device)
        self._codebooks = codebooks
        self.info = TokenizerInfo(
            name="mimi",
            family="codec",
            sample_rate=config.sampling_rate,
            streams=residual_streams(codebooks, config.codebook_size, RATE / HOP),
            nested=True,
            causal=True,
            parameters=size_of(model),
            licence="CC-BY-4.0",
            source="https://github.com/kyutai-labs/moshi; Défossez et al., 2024, arXiv:2410.00037",
            training_data="7 million hours of audio, mostly English speech",
            revision=revision,
            batching="any",
        )

    def _ids(self, audio: torch.Tensor) -> torch.Tensor:
        codes: torch.Tensor = self._model.encode(audio, num_quantizers=self._codebooks).audio_codes
        return codes

    def _latents(self, audio: torch.Tensor) -> torch.Tensor:
        latents: torch.Tensor = self._model.encoder(audio).latents
        return latents

    def _sound(self, ids: torch.Tensor) -> torch.Tensor:
        audio: torch.Tensor = self._model.decode(ids).audio_values
        return audio[:, 0]

    def codebooks(self) -> list[npt.NDArray[np.float32]]:
        """[2048, 512] for each stream: the entries of 256 dimensions, projected to the latents'.

        The model compares in the 256 dimensions to which it projects the latents, once for the
        first codebook and once for the rest.
        """
        quantizer = self._model.quantizer
        first, rest = (
            quantizer.semantic_residual_vector_quantizer,
            quantizer.acoustic_residual_vector_quantizer,
        )
        books = [(part, layer) for part in (first, rest) for layer in part.layers]
        return tables(
            [
                part.output_proj(layer.codebook.embed.T[None])[0].T
                for part, layer in books[: self._codebooks]
            ]
        )

    def stream(self) -> StreamingSession:
        """One utterance in chunks of any size; ids and audio equal the offline ones."""
        from bench.tokenizers._mimi_stream import MimiStream

        return MimiStream(self._model, self._codebooks, HOP, self._device)


def load(*, device: str = "cpu", codebooks: int = 8, weights: str | None = None) -> Mimi:
    """codebooks: 1 to 32 (8 are 1.1 kbit/s); weights: a folder or hub id, else kyutai/mimi."""
    found = find(Published("mimi", "kyutai/mimi"), weights)
    made = pretrained(found, "MimiModel", device)
    at_rate(found, made.config.sampling_rate, RATE, "mimi")
    count = count_of("mimi", codebooks, made.config.num_quantizers)
    return Mimi(made, count, found.revision(), device)
