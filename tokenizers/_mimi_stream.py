"""Mimi in chunks: every layer keeps the context it needs, so that chunks equal the whole.

The encoder is transformers' own streaming, fed whole frames. Its decoder keeps the attention's
keys and values but no convolution's context, so the convolutions are run here: each gets the last
inputs of the chunk before on its left, zeros at first, as its causal padding would be.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.contracts import Ids, Samples, Tokens
from bench.tokenizers._codec import on, sound_of
from bench.tokenizers._stream import Frames

if TYPE_CHECKING:
    import torch


class MimiStream:
    """One utterance: encode and decode have states of their own. See bench.contracts."""

    def __init__(self, model: Any, codebooks: int, hop: int, device: str) -> None:
        from transformers import DynamicCache

        self._model, self._codebooks, self._device = model, codebooks, device
        self._frames = Frames(hop)
        self._attended: Any = None  # keys and values of the encoder
        self._padding: Any = None  # inputs kept for the encoder's convolutions
        decoder = model.decoder.decoder_transformer
        self._decoded = DynamicCache(config=decoder.config)
        self._lefts: dict[int, torch.Tensor] = {}  # by layer, for the decoder's convolutions

    def encode(self, chunk: Samples, *, last: bool = False) -> Tokens:
        """K arrays int64 [n] of the n frames that are whole by now; `chunk` is float32 [L ≥ 0]."""
        import torch

        whole = self._frames.take(chunk, last=last)
        if not len(whole):
            return Tokens(tuple(np.zeros(0, dtype=np.int64) for _ in range(self._codebooks)))
        with torch.inference_mode():
            made = self._model.encode(
                on(whole, self._device)[None, None],
                num_quantizers=self._codebooks,
                encoder_past_key_values=self._attended,
                padding_cache=self._padding,
                use_streaming=True,
            )
        self._attended, self._padding = made.encoder_past_key_values, made.padding_cache
        ids: Ids = made.audio_codes[0].cpu().numpy()
        return Tokens(tuple(ids.copy()))

    def decode(self, tokens: Tokens, *, last: bool = False) -> Samples:
        """float32 [1920·n] for n ids a stream; nothing is held back, so `last` changes nothing."""
        import torch

        if not len(tokens.streams[0]):
            return np.zeros(0, dtype=np.float32)
        decoder = self._model.decoder
        with torch.inference_mode():
            ids = on(np.stack(tokens.streams)[None], self._device)
            hidden = self._through([decoder.upsample], self._model.quantizer.decode(ids))
            hidden = decoder.decoder_transformer(
                hidden.transpose(1, 2), past_key_values=self._decoded, use_cache=True
            ).last_hidden_state.transpose(1, 2)
            audio = self._through(decoder.decoder_seanet.layers, hidden)
        return sound_of(audio[:, 0])[0]

    def _through(self, layers: Iterable[Any], x: torch.Tensor) -> torch.Tensor:
        """`x` [1, C, T] through causal layers, each with what is left of the chunk before."""
        from transformers.models.mimi.modeling_mimi import (
            MimiConv1d,
            MimiConvTranspose1d,
            MimiResnetBlock,
        )

        for layer in layers:
            if isinstance(layer, MimiResnetBlock):
                x = x + self._through(layer.block, x)
            elif isinstance(layer, MimiConv1d):
                x = layer.conv(self._with_left(layer, x, int(layer.padding_total)))
            elif isinstance(layer, MimiConvTranspose1d):
                # An input reaches as far as kernel − stride outputs beyond its own.
                kernel, stride = layer.conv.kernel_size[0], layer.conv.stride[0]
                kept = -(-(kernel - stride) // stride)
                length = x.shape[-1] * stride
                made = layer.conv(self._with_left(layer, x, kept))
                x = made[..., kept * stride : kept * stride + length]
            else:
                x = layer(x)
        return x

    def _with_left(self, layer: Any, x: torch.Tensor, count: int) -> torch.Tensor:
        """`x` behind the `count` inputs that came before it; the newest are kept for next time."""
        left = self._lefts.get(id(layer))
        joined = _join(x.new_zeros(*x.shape[:2], count) if left is None else left, x)
        self._lefts[id(layer)] = joined[..., joined.shape[-1] - count :]
        return joined


def _join(left: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.cat([left, x], dim=-1)
