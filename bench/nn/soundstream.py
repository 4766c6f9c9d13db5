"""SoundStream: a causal codec with residual vector quantization, in two architectures.

Zeghidour et al. 2021, "SoundStream: An End-to-End Neural Audio Codec", arXiv:2107.03312.

`paper`: the convolutional encoder and decoder of the paper, on the waveform.
`frames`: the same quantizer between two networks at the frame rate, for training on a processor:
a frame of 320 samples and its log-mel spectrum in, an inverse STFT out.
Both: 16 kHz, one frame for 320 samples (50 Hz); frame t depends on samples before 320·(t + 1).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.causal import CausalConv, CausalConvTranspose, ConvNeXt, State, look_back
from bench.nn.rvq import ResidualQuantizer
from bench.nn.spectra import RATE, SpectrumHead, mel_filters

HOP = 320


@dataclass(frozen=True)
class SoundStreamConfig:
    """architecture; books and entries of the quantizer; dimension of its frames; widths and
    depths of `frames`; channels C of the first convolution of `paper`."""

    architecture: Literal["frames", "paper"] = "frames"
    books: int = 8
    entries: int = 1024
    dimension: int = 64
    encoder_width: int = 256
    encoder_depth: int = 4
    decoder_width: int = 320
    decoder_depth: int = 6
    channels: int = 32

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class FrameEncoder(nn.Module):
    """[B, 1, 320·T] → [B, D, T]: samples and log-mels of 64 ms that end with the frame."""

    WINDOW, MELS = 1024, 80

    def __init__(self, config: SoundStreamConfig) -> None:
        super().__init__()
        width = config.encoder_width
        self.register_buffer("window", torch.hann_window(self.WINDOW), persistent=False)
        self.register_buffer("filters", mel_filters(self.MELS, self.WINDOW), persistent=False)
        self.into = CausalConv(HOP + self.MELS, width, 3)
        self.blocks = nn.ModuleList(ConvNeXt(width) for _ in range(config.encoder_depth))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, config.dimension)

    def forward(self, audio: Tensor, state: State | None = None) -> Tensor:
        heard = look_back(self, audio, self.WINDOW - HOP, state)
        windows = heard[:, 0].unfold(-1, self.WINDOW, HOP)
        assert isinstance(self.window, Tensor) and isinstance(self.filters, Tensor)
        bins = torch.fft.rfft(windows * self.window)
        power = bins.real.square() + bins.imag.square() + 1e-9
        mels = torch.log(power.sqrt() @ self.filters.T + 1e-3) / 4 + 1
        x = torch.cat([5 * windows[..., -HOP:], mels], dim=-1).transpose(1, 2)
        x = self.into(x, state)
        for block in self.blocks:
            x = block(x, state)
        return self.out(self.norm(x.transpose(1, 2))).transpose(1, 2)


class FrameDecoder(nn.Module):
    """[B, D, T] → [B, 1, 320·T], late by `lag` samples (see SpectrumHead)."""

    def __init__(self, config: SoundStreamConfig) -> None:
        super().__init__()
        width = config.decoder_width
        self.into = CausalConv(config.dimension, width, 3)
        self.blocks = nn.ModuleList(ConvNeXt(width) for _ in range(config.decoder_depth))
        self.norm = nn.LayerNorm(width)
        self.head = SpectrumHead(width, HOP, parts=2)
        self.lag, self.flush = self.head.lag, self.head.flush

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        x = self.into(x, state)
        for block in self.blocks:
            x = block(x, state)
        x = self.norm(x.transpose(1, 2)).transpose(1, 2)
        return self.head(x, state)[:, None]


class Residual(nn.Module):
    """The paper's residual unit: a dilated convolution of kernel 7 and one of kernel 1."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.first = CausalConv(width, width, 7, dilation=dilation)
        self.second = CausalConv(width, width, 1)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        return x + self.second(F.elu(self.first(F.elu(x), state)), state)


STRIDES = (2, 4, 5, 8)


class PaperEncoder(nn.Module):
    """[B, 1, 320·T] → [B, D, T]: strides 2, 4, 5, 8, channels doubling, ELU, no normalisation."""

    def __init__(self, config: SoundStreamConfig) -> None:
        super().__init__()
        width = config.channels
        layers: list[nn.Module] = [CausalConv(1, width, 7)]
        for stride in STRIDES:
            layers += [Residual(width, dilation) for dilation in (1, 3, 9)]
            layers += [nn.ELU(), CausalConv(width, 2 * width, 2 * stride, stride=stride)]
            width *= 2
        layers += [nn.ELU(), CausalConv(width, config.dimension, 3)]
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        return _through(self.layers, x, state)


class PaperDecoder(nn.Module):
    """[B, D, T] → [B, 1, 320·T], the encoder mirrored; no lag."""

    lag, flush = 0, 0

    def __init__(self, config: SoundStreamConfig) -> None:
        super().__init__()
        width = config.channels * 2 ** len(STRIDES)
        layers: list[nn.Module] = [CausalConv(config.dimension, width, 7)]
        for stride in reversed(STRIDES):
            layers += [nn.ELU(), CausalConvTranspose(width, width // 2, stride)]
            width //= 2
            layers += [Residual(width, dilation) for dilation in (1, 3, 9)]
        layers += [nn.ELU(), CausalConv(width, 1, 7)]
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        return _through(self.layers, x, state)


def _through(layers: nn.ModuleList, x: Tensor, state: State | None) -> Tensor:
    for layer in layers:
        x = layer(x) if isinstance(layer, nn.ELU) else layer(x, state)
    return x


class SoundStream(nn.Module):
    """Encoder, quantizer and decoder; shapes: audio [B, L], latents [B, T, D], ids [K, T]."""

    def __init__(self, config: SoundStreamConfig) -> None:
        super().__init__()
        self.config = config
        paper = config.architecture == "paper"
        self.encoder = PaperEncoder(config) if paper else FrameEncoder(config)
        self.decoder = PaperDecoder(config) if paper else FrameDecoder(config)
        self.quantizer = ResidualQuantizer(config.books, config.entries, config.dimension)
        self.lag = self.decoder.lag
        """Samples between the end of a frame and the last sample it completes."""

    def latents(self, audio: Tensor, state: State | None = None) -> Tensor:
        """[B, 320·T] → [B, T, D]."""
        return self.encoder(audio[:, None], state).transpose(1, 2)

    def decode(self, latents: Tensor) -> Tensor:
        """[B, T, D] → [B, 320·T], aligned with what was encoded."""
        flushed = F.pad(latents, (0, 0, 0, self.decoder.flush))
        return self.decode_chunk(flushed)[:, self.lag : self.lag + HOP * latents.shape[1]]

    def decode_chunk(self, latents: Tensor, state: State | None = None) -> Tensor:
        """[B, T, D] → [B, 320·T], late by `lag` samples."""
        return self.decoder(latents.transpose(1, 2), state)[:, 0]


def build(config: dict[str, Any]) -> SoundStream:
    """The untrained network of a checkpoint's configuration; TypeError where it is another's."""
    return SoundStream(SoundStreamConfig(**config))


__all__ = ["HOP", "RATE", "SoundStream", "SoundStreamConfig", "build"]
