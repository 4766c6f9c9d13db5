"""DAC: the Descript audio codec at 16, 24 or 44.1 kHz, up to 6, 24 or 7.75 kbit/s."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from bench.contracts import TokenizerInfo
from bench.tokenizers._codec import FrameCodec, residual_streams, size_of, tables
from bench.tokenizers._hub import Published, at_rate, count_of, find, pretrained

if TYPE_CHECKING:
    import torch

RATES = {"16khz": 16_000, "24khz": 24_000, "44khz": 44_100}
CARD = {
    "family": "codec",
    "sample_rate": 16_000,
    "frame_rate": 50.0,
    "streams": ((12, 1024),),
    "kbps": 6.0,
    "licence": "MIT",
    "weights": ("package:transformers", "hub:descript/dac_16khz"),
}


class Dac(FrameCodec):
    """K streams of 10-bit ids; 50, 75 or 86.1 frames a second. Not causal."""

    def __init__(self, model: Any, codebooks: int, revision: str, device: str) -> None:
        config = model.config
        super().__init__(model, config.hop_length, device)
        self._codebooks = codebooks
        self.info = TokenizerInfo(
            name="dac",
            family="codec",
            sample_rate=config.sampling_rate,
            streams=residual_streams(
                codebooks, config.codebook_size, config.sampling_rate / config.hop_length
            ),
            nested=True,
            parameters=size_of(model),
            licence="MIT",
            source="https://github.com/descriptinc/descript-audio-codec; Kumar et al., 2023, "
            "arXiv:2306.06546",
            training_data="DAPS, DNS, Common Voice, VCTK, MUSDB, Jamendo, AudioSet",
            revision=revision,
            batching="equal-length",
        )

    def _ids(self, audio: torch.Tensor) -> torch.Tensor:
        codes: torch.Tensor = self._model.encode(audio, n_quantizers=self._codebooks).audio_codes
        return codes

    def _latents(self, audio: torch.Tensor) -> torch.Tensor:
        latents: torch.Tensor = self._model.encoder(audio)
        return latents

    def _sound(self, ids: torch.Tensor) -> torch.Tensor:
        import torch

        audio: torch.Tensor = self._model.decode(audio_codes=ids).audio_values
        # The stride of 5 in the 16 and 24 kHz models makes the output 8 samples short and as
        # much early: https://github.com/descriptinc/descript-audio-codec/issues/118.
        early = self._hop * ids.shape[-1] - audio.shape[-1]
        return torch.nn.functional.pad(audio, (early, 0))

    def codebooks(self) -> list[npt.NDArray[np.float32]]:
        """[1024, D] for each stream: the entries of 8 dimensions, projected to the latents' D.

        The model picks the entry of greatest cosine in the 8 dimensions, not the nearest here.
        """
        books = self._model.quantizer.quantizers[: self._codebooks]
        return tables([q.out_proj(q.codebook.weight.T[None])[0].T for q in books])


def load(
    *,
    device: str = "cpu",
    model: Literal["16khz", "24khz", "44khz"] = "16khz",
    codebooks: int | None = None,
    weights: str | None = None,
) -> Dac:
    """model: 16khz (12 codebooks, 6 kbit/s), 24khz (32, 24) or 44khz (9, 7.75); codebooks: how
    many are used, else all; weights: a folder or hub id, else descript/dac_<model>."""
    found = find(Published("dac", f"descript/dac_{model}"), weights)
    made = pretrained(found, "DacModel", device)
    at_rate(found, made.config.sampling_rate, RATES[model], f"model={model}")
    count = count_of("dac", codebooks, made.config.n_codebooks)
    return Dac(made, count, found.revision(), device)
