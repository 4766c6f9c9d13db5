"""SpeechTokenizer: 16 kHz, 50 Hz, 0.5 kbit/s for each of 1 to 8 books, the first HuBERT-like."""

from __future__ import annotations

import sys
import warnings
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench.contracts import TokenizerInfo
from bench.errors import UserError
from bench.tokenizers._codec import FrameCodec, residual_streams, size_of, tables
from bench.tokenizers._hub import Published, Weights, at_rate, count_of, fill, find, package

if TYPE_CHECKING:
    import torch

RATE = 16_000
SOURCE = Published(
    "speechtokenizer",
    "fnlp/SpeechTokenizer",
    "SpeechTokenizer.pt",
    "speechtokenizer_hubert_avg",
    tensors_in_pickle=True,
)
CARD = {
    "family": "codec",
    "sample_rate": 16_000,
    "frame_rate": 50.0,
    "streams": ((8, 1024),),
    "kbps": 4.0,
    "licence": "Apache-2.0",
    "weights": ("package:speechtokenizer", "hub:fnlp/SpeechTokenizer"),
}


class SpeechTokenizer(FrameCodec):
    """K streams of 10-bit ids, 50 a second each. Not causal: its LSTM runs both ways.

    The first codebook is trained to carry the content, the rest what else the voice is.
    """

    def __init__(self, model: Any, codebooks: int, revision: str, device: str) -> None:
        hop = int(model.downsample_rate)
        super().__init__(model, hop, device)
        self._codebooks = codebooks
        self.info = TokenizerInfo(
            name="speechtokenizer",
            family="codec",
            sample_rate=model.sample_rate,
            streams=residual_streams(codebooks, model.quantizer.bins, model.sample_rate / hop),
            nested=True,
            parameters=size_of(model),
            licence="Apache-2.0",
            source="https://github.com/ZhangXInFD/SpeechTokenizer; Zhang et al., 2023, "
            "arXiv:2308.16692",
            training_data="LibriSpeech",
            revision=revision,
            batching="equal-length",
        )

    def _ids(self, audio: torch.Tensor) -> torch.Tensor:
        codes: torch.Tensor = self._model.encode(audio, n_q=self._codebooks)
        return codes.transpose(0, 1)  # the package puts the codebooks first

    def _latents(self, audio: torch.Tensor) -> torch.Tensor:
        latents: torch.Tensor = self._model.encoder(audio)
        return latents

    def _sound(self, ids: torch.Tensor) -> torch.Tensor:
        audio: torch.Tensor = self._model.decode(ids.transpose(0, 1))
        return audio[:, 0]

    def codebooks(self) -> list[npt.NDArray[np.float32]]:
        """[1024, 1024] for each stream, in the space of `features`."""
        return tables([q.codebook for q in self._model.quantizer.vq.layers[: self._codebooks]])


def architecture() -> Any:
    """The package's model class, without its trainer.

    The package imports its trainer with itself, and with it tensorboard, beartype and others that
    it does not declare; an empty module stands in for the trainer while the package is imported.
    """
    trainer = "speechtokenizer.trainer"
    stub = ModuleType(trainer, "Stands in for the trainer, which is not needed to code speech.")
    stub.__dict__["SpeechTokenizerTrainer"] = None
    added = "speechtokenizer" not in sys.modules
    if added:
        sys.modules[trainer] = stub
    try:
        return package("speechtokenizer").SpeechTokenizer
    finally:
        if added:
            del sys.modules[trainer]


def _model(found: Weights) -> Any:
    kind = architecture()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package's old weight_norm
            return kind(dict(found.config))
    except (TypeError, ValueError, AttributeError, KeyError, RuntimeError) as error:
        raise UserError(
            f"speechtokenizer: {found.folder} holds no configuration of a SpeechTokenizer "
            f"({error}); fetch it again"
        ) from error


def load(
    *, device: str = "cpu", codebooks: int | None = None, weights: str | None = None
) -> SpeechTokenizer:
    """codebooks: 1 to 8, else all (4 kbit/s); weights: a folder or hub id, else
    fnlp/SpeechTokenizer. The package's checkpoint is read as tensors only."""
    architecture()  # a missing package is told before anything is fetched
    found = find(SOURCE, weights)
    at_rate(found, found.config.get("sample_rate"), RATE, "speechtokenizer")
    made = fill(found, _model(found), device)
    count = count_of("speechtokenizer", codebooks, made.n_q)
    return SpeechTokenizer(made, count, found.revision(), device)
