"""The two networks of DNSMOS over overlapping windows, with what the windows share done once.

Windows are 9.01 s long and 1 s apart, so nine tenths of the work of one, its spectrum and its
first, widest convolutions, is the work of the next. A window's zero padding makes only its first
and last frames differ: those are computed for each window by itself.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from bench.contracts import Samples
from bench.judges._common import SAMPLE_RATE
from bench.judges._onnx import read_weights

HOP = 160
FRAMES = 900
"""Frames of 10 ms in a window, of either network."""
STEP = SAMPLE_RATE // HOP
"""Frames between windows."""
EDGE = 4
"""Frames that the four 3-wide convolutions before the first pooling reach to a side."""
CHUNK = 128
"""Frames at a time in those: what fits a CPU's cache, and bounds memory."""

MEL_FFT, MELS = 321, 120


class P835(torch.nn.Module):
    """Raw sig, bak and ovrl: log power spectra, seven convolutions, maximum, three dense layers."""

    real: torch.Tensor
    imag: torch.Tensor

    def __init__(self, path: Path) -> None:
        super().__init__()
        weights = {
            name.removeprefix("mos_estimator_logpow/"): torch.from_numpy(value.copy())
            for name, value in read_weights(path).items()
        }
        for n in range(7):
            name = f"conv2d_{n}" if n else "conv2d"
            # Channels last, and with them all that follows: pooling is several times faster so.
            kernel = weights[f"{name}/kernel:0"].contiguous(memory_format=torch.channels_last)
            self.register_buffer(f"kernel{n}", kernel)
            self.register_buffer(f"bias{n}", weights[f"{name}/bias:0"])
        for n, name in enumerate(("dense", "dense_1", "dense_3")):
            self.register_buffer(
                f"dense{n}", weights[f"{name}/MatMul/ReadVariableOp/resource:0"].T.contiguous()
            )
            self.register_buffer(f"offset{n}", weights[f"{name}/BiasAdd/ReadVariableOp/resource:0"])
        for part in ("real", "imag"):
            self.register_buffer(part, weights[f"time2freq/stft-{part}/kernel:0"][:, :, 0])

    def forward(self, audio: torch.Tensor, windows: list[int]) -> torch.Tensor:
        """[len(windows), 3] for `audio` [L], whose windows begin at these seconds."""
        audio = audio[: (windows[-1] * STEP + FRAMES + 1) * HOP]  # to the end of the last
        frames = audio.unfold(0, 2 * HOP, HOP)
        power = (frames @ self.real.T) ** 2 + (frames @ self.imag.T) ** 2
        spectra = power.clamp(min=1e-12).log10()[None, :, :, None].permute(0, 3, 1, 2)
        chunks = [self._chunk(spectra, at) for at in range(0, spectra.shape[2], CHUNK)]
        shared = torch.cat([c.permute(0, 2, 3, 1) for c in chunks], dim=1).permute(0, 3, 1, 2)
        found = []
        for second in windows:
            first, last = second * STEP, second * STEP + FRAMES
            head, tail = (shared[:, :, at : at + EDGE] for at in (first, last - EDGE))
            kept = head.clone(), tail.clone()  # the other windows need them
            head.copy_(self._stem(spectra[:, :, first : first + 2 * EDGE])[:, :, :EDGE])
            tail.copy_(self._stem(spectra[:, :, last - 2 * EDGE : last])[:, :, EDGE:])
            found.append(self._rest(shared[:, :, first:last]))
            head.copy_(kept[0])
            tail.copy_(kept[1])
        return torch.cat(found)

    def _chunk(self, spectra: torch.Tensor, at: int) -> torch.Tensor:
        low = max(0, at - EDGE)
        part = self._stem(spectra[:, :, low : at + CHUNK + EDGE])
        return part[:, :, at - low : at - low + CHUNK]

    def _stem(self, x: torch.Tensor) -> torch.Tensor:
        """[B, 32, T, 161] of spectra [B, 1, T, 161]."""
        for n in range(4):
            x = self._convolve(x, n)
        return x

    def _rest(self, x: torch.Tensor) -> torch.Tensor:
        """[B, 3] of [B, 32, 900, 161]."""
        for n in (4, 5, 6):
            x = self._convolve(functional.max_pool2d(x, 2), n)
        x = x.amax(dim=(2, 3))
        for n in range(3):
            x = functional.linear(x, getattr(self, f"dense{n}"), getattr(self, f"offset{n}"))
            x = x.relu() if n < 2 else x
        return x

    def _convolve(self, x: torch.Tensor, n: int) -> torch.Tensor:
        kernel, bias = getattr(self, f"kernel{n}"), getattr(self, f"bias{n}")
        return functional.conv2d(x, kernel, bias, padding=1).relu_()


def mels(audio: Samples, windows: list[int]) -> list[npt.NDArray[np.float32]]:
    """What the P.808 network reads of each window of `audio` [L]: [900, 120].

    As librosa's melspectrogram of the window without its last 160 samples, then power_to_db
    below the window's maximum, then scaled.
    """
    padded = np.pad(audio, HOP)
    frames = np.lib.stride_tricks.sliding_window_view(padded, MEL_FFT)[::HOP]
    shared = _mel(frames)
    found = []
    for second in windows:
        first, last = second * STEP, second * STEP + FRAMES - 1
        edges = frames[[first, last]].copy()
        edges[0, :HOP] = 0  # what lies outside the window
        edges[1, -1] = 0
        head, tail = _mel(edges)
        power = np.concatenate((head[None], shared[first + 1 : last], tail[None]))
        decibels = 10 * np.log10(np.maximum(power, 1e-10))
        decibels -= 10 * np.log10(max(power.max(), 1e-10))
        decibels = np.maximum(decibels, decibels.max() - 80)
        found.append(((decibels + 40) / 40).astype(np.float32))
    return found


def _mel(frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Mel power [T, 120] of frames [T, 321]."""
    taper, filters = _filters()
    power = np.abs(np.fft.rfft(frames * taper)) ** 2
    return power.astype(np.float32) @ filters.T


@cache
def _filters() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    import librosa

    taper = librosa.filters.get_window("hann", MEL_FFT, fftbins=True).astype(np.float32)
    return taper, librosa.filters.mel(sr=SAMPLE_RATE, n_fft=MEL_FFT, n_mels=MELS)
