"""Changes to a recording that leave what is said as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench import audio
from bench.contracts import Samples
from bench.errors import ItemFailure

VOICES = 6  # of babble


@dataclass(frozen=True)
class Pair:
    """The same speech twice, float32 [L] in [-1, 1]: as it was, and changed.

    Where the changed one would leave [-1, 1], both are scaled down by one factor, so that nothing
    is clipped and the factor is no part of the change. scaled: whether that was so.
    """

    before: Samples
    after: Samples
    scaled: bool


@dataclass(frozen=True)
class Sound:
    """A recording to be changed. rate: Hz. name: seeds the noise. others: other people's
    recordings at the same rate, for babble."""

    samples: Samples
    rate: int
    name: str
    seed: int
    others: Sequence[Samples]

    def rng(self, change: str) -> np.random.Generator:
        text = f"{self.seed}:{change}:{self.name}"
        return np.random.default_rng(
            int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        )


def _mixed(sound: Sound, noise: Samples, decibels: float) -> Samples:
    """Speech and noise whose mean powers differ by `decibels`; ItemFailure for silence."""
    power = float(np.mean(np.square(sound.samples, dtype=np.float64)))
    own = float(np.mean(np.square(noise, dtype=np.float64)))
    if power <= 0 or own <= 0:
        raise ItemFailure("silence has no level for noise to lie below")
    gain = np.sqrt(power / own * 10 ** (-decibels / 10))
    return (sound.samples + gain * noise).astype(np.float32)


def white(decibels: float) -> Callable[[Sound], Samples]:
    """Gaussian noise so far below the speech."""

    def change(sound: Sound) -> Samples:
        noise = sound.rng("white").standard_normal(len(sound.samples)).astype(np.float32)
        return _mixed(sound, noise, decibels)

    return change


def babble(decibels: float) -> Callable[[Sound], Samples]:
    """`VOICES` other recordings at once, each equally loud and begun somewhere, so far below."""

    def change(sound: Sound) -> Samples:
        rng = sound.rng("babble")
        noise = np.zeros(len(sound.samples), dtype=np.float64)
        heard = [x for x in sound.others if np.any(x)]
        if not heard:
            raise ItemFailure("no other recording to make babble of")
        for index in rng.permutation(len(heard))[:VOICES].tolist():
            voice = np.roll(heard[index], -int(rng.integers(len(heard[index]))))
            noise += np.resize(voice, len(noise)) / np.sqrt(np.mean(np.square(heard[index])))
        return _mixed(sound, noise.astype(np.float32), decibels)

    return change


def gain(decibels: float) -> Callable[[Sound], Samples]:
    return lambda sound: (sound.samples * 10 ** (decibels / 20)).astype(np.float32)


def shift(seconds: float) -> Callable[[Sound], Samples]:
    """Later by `seconds`: zeros before, and as much cut off at the end."""

    def change(sound: Sound) -> Samples:
        late = round(seconds * sound.rate)
        return np.concatenate([np.zeros(late, np.float32), sound.samples])[: len(sound.samples)]

    return change


def resampling(sound: Sound) -> Samples:
    """To 1.5 times the rate and back, cut or padded to the length it had."""
    there = audio.resample(sound.samples, sound.rate, sound.rate * 3 // 2)
    back = audio.resample(there, sound.rate * 3 // 2, sound.rate)
    return audio.align(back, 0, len(sound.samples))


CHANGES: dict[str, Callable[[Sound], Samples]] = {
    "change_white_20db": white(20),
    "change_white_10db": white(10),
    "change_babble_20db": babble(20),
    "change_babble_10db": babble(10),
    "change_gain_up": gain(6),
    "change_gain_down": gain(-6),
    "change_shift_5ms": shift(0.005),
    "change_shift_10ms": shift(0.010),
    "change_resampling": resampling,
}


def changed(name: str, sound: Sound) -> Pair:
    """`sound` under one of `CHANGES`; ItemFailure where it cannot be changed so."""
    after = CHANGES[name](sound)
    peak = float(np.max(np.abs(after), initial=0.0))
    if peak <= 1:
        return Pair(sound.samples, after, scaled=False)
    scale = np.float32(1 / (peak * 1.0001))
    return Pair(sound.samples * scale, after * scale, scaled=True)
