"""X-Codec: acoustic and HuBERT features in one code, 16 kHz, 50 Hz, 0.5 to 4 kbit/s."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from bench.contracts import TokenizerInfo
from bench.errors import UserError
from bench.tokenizers._codec import FrameCodec, residual_streams, size_of, tables
from bench.tokenizers._hub import Published, at_rate, find, pretrained

if TYPE_CHECKING:
    import torch

RATE = 16_000
CARD = {
    "family": "codec",
    "sample_rate": 16_000,
    "frame_rate": 50.0,
    "streams": ((8, 1024),),
    "kbps": 4.0,
    "licence": "CC-BY-4.0 (on one of the model cards)",
    "weights": ("package:transformers", "hub:hf-audio/xcodec-hubert-librispeech"),
}


class XCodec(FrameCodec):
    """K streams of 10-bit ids, 50 a second each. Not causal: HuBERT hears the whole utterance."""

    def __init__(self, model: Any, bandwidth: float, revision: str, device: str) -> None:
        config = model.config
        super().__init__(model, config.hop_length, device)
        self._bandwidth = bandwidth
        self._books = model.quantizer.get_num_quantizers_for_bandwidth(bandwidth)
        self.info = TokenizerInfo(
            name="xcodec",
            family="codec",
            sample_rate=config.sample_rate,
            streams=residual_streams(
                self._books, config.codebook_size, config.sample_rate / config.hop_length
            ),
            nested=True,
            parameters=size_of(model),
            licence="CC-BY-4.0 (on one of the model cards)",
            source="https://github.com/zhenye234/xcodec; Ye et al., 2024, arXiv:2408.17175",
            training_data="LibriSpeech (the default weights)",
            revision=revision,
            batching="equal-length",
        )

    def _ids(self, audio: torch.Tensor) -> torch.Tensor:
        codes: torch.Tensor = self._model.encode(audio, bandwidth=self._bandwidth).audio_codes
        return codes

    def _latents(self, audio: torch.Tensor) -> torch.Tensor:
        """What the layer before the quantizer gives while `encode` runs: [B, D, T]."""
        seen: list[torch.Tensor] = []
        hook = self._model.fc.register_forward_hook(lambda _m, _i, out: seen.append(out))
        try:
            self._ids(audio)
        finally:
            hook.remove()
        return seen[0].transpose(1, 2)

    def _sound(self, ids: torch.Tensor) -> torch.Tensor:
        audio: torch.Tensor = self._model.decode(ids).audio_values
        return audio[:, 0]

    def codebooks(self) -> list[npt.NDArray[np.float32]]:
        """[1024, 1024] for each stream, in the space of `features`."""
        return tables([q.codebook.embed for q in self._model.quantizer.quantizers[: self._books]])


def load(
    *,
    device: str = "cpu",
    bandwidth: Literal["0.5", "1", "1.5", "2", "4"] = "4",
    weights: str | None = None,
) -> XCodec:
    """bandwidth: kbit/s, 0.5 for each codebook; weights: a folder or hub id, else
    hf-audio/xcodec-hubert-librispeech."""
    found = find(Published("xcodec", "hf-audio/xcodec-hubert-librispeech"), weights)
    made = pretrained(found, "XcodecModel", device)
    at_rate(found, made.config.sample_rate, RATE, "xcodec")
    if float(bandwidth) not in made.config.target_bandwidths:
        raise UserError(
            f"xcodec: bandwidth={bandwidth} is not possible with these weights; choose "
            f"{', '.join(f'{b:g}' for b in made.config.target_bandwidths)}"
        )
    return XCodec(made, float(bandwidth), found.revision(), device)
