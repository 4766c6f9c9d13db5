"""What `taste` hears: layers of a frozen encoder, spectrum and pitch, and where each word lies.

Frames are the encoder's: 384 samples (24 ms) at 16 kHz.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import ItemFailure
from bench.f0 import track
from bench.nn.spectra import RATE, mel_filters
from bench.nn.taste_text import PHONES, SLOTS, Script
from bench.ssl_encoders import MoonshineEncoder, pieces

HOP = MoonshineEncoder.hop
SHALLOW, UNITS, DEEP = 1, MoonshineEncoder.usual, 6
"""Hidden states of Moonshine: what the tokens are made from, what the units of the detokenizer
are of, what says which phone it is."""
MELS, WINDOW = 40, 1024
VALUES = MoonshineEncoder.dimension + MELS + 2
"""Of a frame, what the attention averages: shallow layer, log-mels, voicing, pitch."""
SILENCE = len(PHONES)
READER = "taste-reader"
"""Kind of a checkpoint of a `PhoneReader`."""

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Heard:
    """One utterance of F frames. shallow, units, deep: float32 [F, 288]; mels: [F, 40], natural
    log; f0: Hz at 10 ms (0: unvoiced), `offset` the seconds of its first frame."""

    shallow: Floats
    units: Floats
    deep: Floats
    mels: Floats
    f0: Floats
    offset: float

    def pitch(self, hop: int, frames: int) -> Floats:
        """F0 (Hz, 0 where unvoiced) at the middle of each of `frames` frames of `hop` samples."""
        if not len(self.f0):
            return np.zeros(frames, dtype=np.float32)
        at = np.round(((np.arange(frames) + 0.5) * hop / RATE - self.offset) / 0.01).astype(int)
        return self.f0[np.clip(at, 0, len(self.f0) - 1)]

    def base(self, voice: float, near: float = 0.25) -> float:
        """log2 of the F0 that pitch is counted from: that of the voice (`voice`) where the
        utterance's median lies within `near` octaves of it, else the median itself."""
        voiced = self.f0[self.f0 > 0]
        if not len(voiced):
            return voice
        median = float(np.median(np.log2(voiced)))
        return voice if abs(median - voice) < near else median

    def values(self, base: float) -> Floats:
        """[F, VALUES] with pitch in octaves above `base`."""
        f0 = self.pitch(HOP, len(self.shallow))
        octaves = np.where(f0 > 0, np.log2(np.maximum(f0, 1)) - base, 0)
        parts: list[npt.NDArray[Any]] = [
            self.shallow,
            self.mels / 4 + 1,
            (f0 > 0)[:, None],
            octaves[:, None],
        ]
        return np.concatenate(parts, axis=1, dtype=np.float32)


class Ears:
    """Moonshine's layers, log-mels and pitch of an utterance; the encoder is loaded once."""

    def __init__(self, device: str = "cpu") -> None:
        self.encoder = MoonshineEncoder(device=device, threads=1)

    def __call__(self, audio: Floats) -> Heard:
        """audio: float32 [L] at 16 kHz; F = ceil(L / 384). ItemFailure under 0.1 s."""
        from bench.judges._common import check

        check(audio)
        found = [self.encoder.states(piece) for piece in pieces(audio, HOP)]
        shallow, units, deep = (
            np.concatenate([states[layer] for states in found]) for layer in (SHALLOW, UNITS, DEEP)
        )
        f0 = track(audio.astype(np.float64)).astype(np.float32)
        offset = (len(audio) / RATE - (len(f0) - 1) * 0.01) / 2
        return Heard(shallow, units, deep, log_mels(audio), f0, offset)


def log_mels(audio: Floats) -> Floats:
    """[ceil(L / 384), 40]: natural log of mel magnitudes of windows centred on the frames."""
    count = -(-len(audio) // HOP)
    padded = np.zeros((count - 1) * HOP + WINDOW, dtype=np.float32)
    left = (WINDOW - HOP) // 2
    room = padded[left : left + len(audio)]
    room[:] = audio[: len(room)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    size = np.abs(np.fft.rfft(windows * np.hanning(WINDOW + 1)[:-1]))
    found: Floats = np.log(size @ mel_filters(MELS, WINDOW).numpy().T + 1e-3).astype(np.float32)
    return found


class PhoneReader(nn.Module):
    """Shallow and deep frames [B, F, 576] → log-probabilities [B, F, 40] of phones and silence."""

    prior: Tensor

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.first = nn.Conv1d(2 * MoonshineEncoder.dimension, width, 3, padding=1)
        self.second = nn.Conv1d(width, width, 3, padding=1)
        self.out = nn.Conv1d(width, SILENCE + 1, 1)
        self.register_buffer("prior", torch.zeros(SILENCE + 1))

    def forward(self, x: Tensor) -> Tensor:
        y = F.gelu(self.first(x.transpose(1, 2)))
        return F.log_softmax(self.out(F.gelu(self.second(y))).transpose(1, 2), dim=-1)

    @torch.inference_mode()
    def align(self, heard: Heard, text: Script) -> Ids:
        """Frames of each symbol of `text`, int64 [S], Σ = F; ItemFailure where they do not fit."""
        x = torch.from_numpy(np.concatenate([heard.shallow, heard.deep], axis=1))[None]
        scores = (self(x.to(self.prior.device))[0] - 0.5 * self.prior).cpu().numpy()
        return best_path(scores, text)


def best_path(scores: Floats, text: Script) -> Ids:
    """Viterbi: every phone gets at least one frame, a slot none or more (of silence).

    scores: [F, 40]; gives int64 [S]. ItemFailure where there are more phones than frames.
    """
    frames, needed = len(scores), int((~text.slot).sum())
    if frames < needed:
        raise ItemFailure(
            f"{needed} phones do not fit into {frames} frames of {1000 * HOP / RATE:g} ms"
        )
    column = np.where(text.slot, SILENCE, text.symbols - len(SLOTS))
    local = scores[:, column]
    states = len(column)
    skip = np.zeros(states, dtype=bool)  # may be entered from two states before: over a slot
    skip[2:] = text.slot[1:-1]
    skip[1] = False
    total = np.full(states, -np.inf)
    total[0], total[1] = local[0, 0], local[0, 1]
    back = np.zeros((frames, states), dtype=np.int8)
    for t in range(1, frames):
        one = np.concatenate([[-np.inf], total[:-1]])
        two = np.where(skip, np.concatenate([[-np.inf, -np.inf], total[:-2]]), -np.inf)
        options = np.stack([total, one, two])
        back[t] = options.argmax(axis=0)
        total = options.max(axis=0) + local[t]
    state = states - 1 if total[-1] >= total[-2] else states - 2
    lengths = np.zeros(states, dtype=np.int64)
    for t in range(frames - 1, -1, -1):
        lengths[state] += 1
        state -= int(back[t, state])
    return lengths
