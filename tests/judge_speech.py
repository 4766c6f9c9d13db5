"""Real speech for the tests of the judges: the recordings that `moonshine-voice` ships."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soundfile
import soxr

from bench.contracts import Samples

RATE = 16_000
BECKETT = "ever tried ever failed no matter try again fail again fail better"  # beckett.wav, 10 s
TWO_CITIES = (  # the first of two_cities.wav, 44 s: another voice
    "it was the best of times it was the worst of times it was the age of wisdom it was the age "
    "of foolishness"
)


@cache
def recording(name: str) -> Samples:
    """`beckett` or `two_cities`, mono float32 [L] at 16 kHz."""
    spec = find_spec("moonshine_voice")
    assert spec is not None and spec.submodule_search_locations
    path = Path(spec.submodule_search_locations[0]) / "assets" / f"{name}.wav"
    audio, rate = soundfile.read(path, dtype="float32")
    clean: Samples = np.clip(soxr.resample(audio, rate, RATE), -1, 1).astype(np.float32)
    return clean


def pieces(*seconds: float) -> list[Samples]:
    """Both recordings cut into pieces of these lengths, over and over; none under 0.5 s."""
    found = []
    for name in ("two_cities", "beckett"):
        audio, at, n = recording(name), 0, 0
        while len(audio) - at >= RATE // 2:
            length = int(seconds[n % len(seconds)] * RATE)
            found.append(audio[at : at + length])
            at, n = at + length, n + 1
    return found


def noisy(audio: Samples, snr: float, seed: int = 0) -> Samples:
    """`audio` with white noise at `snr` dB."""
    noise = np.random.default_rng(seed).standard_normal(len(audio))
    gain = np.sqrt(np.mean(np.square(audio)) / 10 ** (snr / 10))
    return np.clip(audio + gain * noise, -1, 1).astype(np.float32)
