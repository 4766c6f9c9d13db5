"""SNAC: three or four codebooks at different rates, 24, 32 or 44.1 kHz, 0.98, 1.9 or 2.6 kbit/s."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from bench.contracts import AudioBatch, Samples, Stream, TokenizerInfo, Tokens
from bench.errors import ItemFailure, UserError
from bench.tokenizers._codec import alike, on, padded, size_of, sound_of, tables
from bench.tokenizers._hub import Published, Weights, at_rate, fill, find, package

if TYPE_CHECKING:
    import torch

RATES = {"24khz": 24_000, "32khz": 32_000, "44khz": 44_100}
SEED = 0  # of the decoder's noise
CARD = {
    "family": "codec",
    "sample_rate": 24_000,
    "frame_rate": (11.71875, 23.4375, 46.875),
    "streams": ((1, 4096), (1, 4096), (1, 4096)),
    "kbps": 0.984,
    "licence": "MIT",
    "weights": ("package:snac", "hub:hubertsiuzdak/snac_24khz"),
}


class Snac:
    """K streams of 12-bit ids, the first the coarsest. Not causal.

    An utterance is zero-padded to whole blocks: to the coarsest id at 24 kHz, and at 32 and
    44.1 kHz to the attention's window of 32 frames (0.38 and 0.28 s), without which the decoder
    does not run. The ids of that padding are kept: they are the package's own. The decoder adds
    noise; it is drawn from the same seed for each utterance, so that equal ids sound equal.
    """

    def __init__(self, model: Any, revision: str, device: str) -> None:
        self._model, self._device = model, device
        hop = int(model.hop_length)
        self._strides = [int(stride) for stride in model.vq_strides]
        self._block = math.lcm(self._strides[0], model.attn_window_size or 1) * hop
        self.info = TokenizerInfo(
            name="snac",
            family="codec",
            sample_rate=model.sampling_rate,
            streams=tuple(
                Stream(f"q{k + 1}", model.codebook_size, model.sampling_rate / hop / stride)
                for k, stride in enumerate(self._strides)
            ),
            parameters=size_of(model),
            licence="MIT",
            source="https://github.com/hubertsiuzdak/snac; Siuzdak et al., 2024, arXiv:2410.14411",
            training_data="not published in detail; 24 kHz: speech, else music and sounds",
            revision=revision,
            batching="equal-length",
        )

    def _passes(self, batch: AudioBatch) -> list[tuple[list[int], torch.Tensor]]:
        """(rows, audio [B, 1, L]) of one number of blocks each."""
        blocks = [max(1, -(-int(length) // self._block)) for length in batch.lengths]
        items = batch.items()
        return [
            (
                rows,
                on(
                    padded([items[i] for i in rows], blocks[rows[0]] * self._block)[:, None],
                    self._device,
                ),
            )
            for rows in alike(blocks)
        ]

    def encode(self, batch: AudioBatch) -> list[Tokens]:
        """K arrays int64 [T/stride] for each utterance of T frames, padding included."""
        import torch

        made: dict[int, Tokens] = {}
        with torch.inference_mode():
            for rows, audio in self._passes(batch):
                books = [codes.cpu().numpy() for codes in self._model.encode(audio)]
                for n, row in enumerate(rows):
                    made[row] = Tokens(tuple(codes[n].copy() for codes in books))
        return [made[row] for row in range(len(batch))]

    def features(self, batch: AudioBatch) -> list[npt.NDArray[np.float32]]:
        """Latents before quantization, at the finest rate: float32 [T, D] for each utterance."""
        import torch

        made: dict[int, npt.NDArray[np.float32]] = {}
        with torch.inference_mode():
            for rows, audio in self._passes(batch):
                latents = self._model.encoder(audio).transpose(1, 2).cpu().numpy()
                made.update(zip(rows, (z.copy() for z in latents), strict=True))
        return [made[row] for row in range(len(batch))]

    def decode(self, tokens: list[Tokens]) -> list[Samples]:
        """float32 [hop·T] for each item, clipped to [-1, 1].

        Raises ItemFailure where the streams' lengths do not fit each other.
        """
        import torch

        with torch.inference_mode():
            return [self._decode(item) for item in tokens]

    def _decode(self, item: Tokens) -> Samples:
        import torch

        spans = [len(ids) * stride for ids, stride in zip(item.streams, self._strides, strict=True)]
        window = self._model.attn_window_size or 1
        if len(set(spans)) > 1 or spans[0] % window:
            raise ItemFailure(f"streams of {[len(ids) for ids in item.streams]} ids fit no audio")
        codes = [on(ids, self._device)[None] for ids in item.streams]
        devices = [self._device] if self._device != "cpu" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(SEED)
            return sound_of(self._model.decode(codes)[:, 0])[0]

    def codebooks(self) -> list[npt.NDArray[np.float32]]:
        """[4096, D] for each stream: the entries of 8 dimensions, projected to the latents' D.

        The model picks the entry of greatest cosine in the 8 dimensions, not the nearest here.
        """
        books = self._model.quantizer.quantizers
        return tables([q.out_proj(q.codebook.weight.T[None])[0].T for q in books])


def _model(found: Weights) -> Any:
    kind = package("snac").SNAC
    try:
        return kind(**found.config)
    except (TypeError, ValueError, KeyError, IndexError, RuntimeError) as error:
        raise UserError(
            f"snac: {found.folder} holds no configuration of a SNAC model ({error}); fetch it again"
        ) from error


def load(
    *,
    device: str = "cpu",
    model: Literal["24khz", "32khz", "44khz"] = "24khz",
    weights: str | None = None,
) -> Snac:
    """model: 24khz (three codebooks, for speech), 32khz or 44khz (four, for music); weights: a
    folder or hub id, else hubertsiuzdak/snac_<model>. The checkpoint is read as tensors only."""
    package("snac")  # a missing package is told before anything is fetched
    source = Published(
        "snac", f"hubertsiuzdak/snac_{model}", "pytorch_model.bin", tensors_in_pickle=True
    )
    found = find(source, weights)
    at_rate(found, found.config.get("sampling_rate"), RATES[model], f"model={model}")
    return Snac(fill(found, _model(found), device), found.revision(), device)
