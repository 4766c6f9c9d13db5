"""Mel filters, log-mel distances and the inverse-STFT head."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from bench.nn.causal import State

RATE = 16_000


def mel_filters(bands: int, fft: int) -> Tensor:
    """Triangular filters on Slaney's mel scale with equal area, float32 [bands, fft/2 + 1]."""
    import librosa

    made = librosa.filters.mel(sr=RATE, n_fft=fft, n_mels=bands)
    return torch.from_numpy(np.asarray(made, dtype=np.float32))


class MelDistance(nn.Module):
    """Mean absolute difference of log-mel spectra over several windows (SoundStream's spectral
    loss, with log magnitudes; window/4 hop)."""

    def __init__(self, scales: tuple[tuple[int, int], ...]) -> None:
        """scales: (samples of the window, mel bands)."""
        super().__init__()
        self.scales = scales
        for window, bands in scales:
            self.register_buffer(f"window{window}", torch.hann_window(window), persistent=False)
            filters = mel_filters(bands, window)
            self.register_buffer(f"filters{window}", filters, persistent=False)

    def spectra(self, audio: Tensor) -> list[Tensor]:
        """[B, L] → one [B, bands, frames] a scale, natural log of magnitudes ≥ 1e-4."""
        found = []
        for size, _ in self.scales:
            window, filters = getattr(self, f"window{size}"), getattr(self, f"filters{size}")
            bins = torch.stft(audio, size, size // 4, window=window, return_complex=True)
            power = bins.real.square() + bins.imag.square() + 1e-9
            found.append(torch.log(filters @ power.sqrt() + 1e-4))
        return found

    def forward(self, made: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.spectra(target)
        parts = [(a - b).abs().mean() for a, b in zip(self.spectra(made), wanted, strict=True)]
        return torch.stack(parts).mean()


class SpectrumHead(nn.Module):
    """Frames to samples through an inverse STFT (as in Vocos), with a fixed lag instead of a
    look-ahead.

    A frame of `hop` samples gives `parts` windows of `4·hop/parts` samples. The last window of
    frame t ends with the frame, so what a frame predicts has all been heard; a sample is complete
    `lag` samples (three quarters of a window) later.
    """

    def __init__(self, width: int, hop: int, parts: int) -> None:
        super().__init__()
        self.hop, self.parts, self.step = hop, parts, hop // parts
        self.window_size = 4 * self.step
        self.lag = 3 * self.step
        self.flush = -(-self.lag // hop)
        """Frames after the last that complete its samples."""
        self.bins = self.window_size // 2 + 1
        self.out = nn.Linear(width, parts * 2 * self.bins)
        self.register_buffer("window", torch.hann_window(self.window_size), persistent=False)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        """[B, C, T] → [B, T·hop], late by `lag` samples."""
        batch, _, frames = x.shape
        made = self.out(x.transpose(1, 2)).reshape(batch, frames * self.parts, 2, self.bins)
        size, angle = made[:, :, 0], made[:, :, 1]
        size = torch.exp(size.clamp(max=5.0))
        pieces = torch.fft.irfft(torch.complex(size * angle.cos(), size * angle.sin()), dim=-1)
        window = self.window
        assert isinstance(window, Tensor)
        pieces = (pieces * (window / 1.5)).transpose(1, 2)  # squared windows at 3/4 overlap: 1.5
        count, step = frames * self.parts, self.step
        sound = nn.functional.fold(
            pieces, (1, (count - 1) * step + self.window_size), (1, self.window_size),
            stride=(1, step),
        ).reshape(batch, -1)  # fmt: skip
        past = None if state is None else state.get(self)
        if past is not None:
            sound = sound + nn.functional.pad(past, (0, sound.shape[1] - past.shape[1]))
        if state is not None:
            state[self] = sound[:, count * step :]
        return sound[:, : count * step]
