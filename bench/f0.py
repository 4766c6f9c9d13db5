"""Fundamental frequency by autocorrelation, every 10 ms.

The method of Boersma 1993, "Accurate Short-Term Analysis of the Fundamental Frequency and the
Harmonics-to-Noise Ratio of a Sampled Sound", with the default costs of that paper's program:
autocorrelation of Hann-windowed frames of three of the longest periods, divided by the window's
own; up to 14 peaks and "unvoiced" as candidates; the cheapest path over all frames.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from bench.compiling import compiled
from bench.metrics._inputs import RATE, Signal

HOP = 0.010  # s
FLOOR, CEILING = 60.0, 600.0  # Hz
SILENCE, VOICING = 0.03, 0.45  # thresholds
OCTAVE, JUMP, SWITCH = 0.01, 0.35, 0.14  # costs
CANDIDATES = 15
FINER = 4  # band-limited interpolation of the autocorrelation
CHUNK = 64  # frames at a time, few enough for a processor's cache


def track(samples: Signal) -> Signal:
    """F0 in Hz, [T] frames 10 ms apart and centred in the recording, 0 where unvoiced.

    samples: [L] at 16 kHz; shorter than three periods of 60 Hz (50 ms) gives T = 0. The last few
    recordings are remembered, for the metrics that share them.
    """
    return _track(np.ascontiguousarray(samples, dtype=np.float64).tobytes())


@lru_cache(maxsize=4)
def _track(data: bytes) -> Signal:
    samples = np.frombuffer(data, dtype=np.float64)
    width, hop = int(3 / FLOOR * RATE), int(HOP * RATE)
    count = (len(samples) - width) // hop + 1
    if count < 1:
        return np.zeros(0)
    first = (len(samples) - width - (count - 1) * hop) // 2
    frames = np.lib.stride_tricks.sliding_window_view(samples, width)[first::hop][:count]
    loudest = float(np.abs(samples - samples.mean()).max())
    parts = [_candidates(frames[i : i + CHUNK], loudest) for i in range(0, count, CHUNK)]
    frequency, strength = (np.concatenate(each) for each in zip(*parts, strict=True))
    octave = np.log2(np.where(frequency > 0, frequency, 1.0))
    _, path = _loops()
    states = np.zeros(count, dtype=np.int64)
    path(frequency > 0, octave, strength.copy(), np.zeros(frequency.shape, np.int64), states)
    f0: Signal = frequency[np.arange(count), states]
    f0.flags.writeable = False
    return f0


def _candidates(frames: npt.NDArray[np.float64], loudest: float) -> tuple[Signal, Signal]:
    """Frequencies and strengths [T, CANDIDATES] of frames [T, W]; frequency 0 is unvoiced."""
    from scipy.fft import irfft, next_fast_len, rfft

    count, width = frames.shape
    frames = frames - frames.mean(axis=1, keepdims=True)
    middle = slice(width // 3, width - width // 3)
    level = np.abs(frames[:, middle]).max(axis=1) / loudest if loudest > 0 else np.zeros(count)
    window = np.hanning(width + 2)[1:-1]
    size = next_fast_len(width + int(RATE / FLOOR) + 2, real=True)
    longest = int(np.ceil(RATE / FLOOR)) * FINER

    def autocorrelation(rows: Signal) -> Signal:
        power = np.abs(rfft(rows, size, axis=-1)) ** 2
        lags = irfft(power, size * FINER, axis=-1)[..., : longest + 2]
        return lags / np.maximum(lags[..., :1], 1e-300)

    r = autocorrelation(frames * window) / autocorrelation(window)
    unvoiced = VOICING + np.maximum(0.0, 2 - level / (SILENCE / (1 + VOICING)))
    frequency, strength = np.zeros((count, CANDIDATES)), np.full((count, CANDIDATES), -np.inf)
    strength[:, 0] = unvoiced
    peaks, _ = _loops()
    peaks(r, RATE * FINER, frequency, strength)
    return frequency, strength


@cache
def _loops() -> tuple[Callable[..., None], Callable[..., None]]:
    """`_peaks` and `_path`, compiled; not before they are needed, since numba is slow to load."""
    return compiled(_peaks), compiled(_path)


def _peaks(r, rate, frequency, strength):  # type: ignore[no-untyped-def]
    """The strongest peaks of each row of lags, by a parabola, beside what is there already.

    rate: lags a second."""
    for t in range(len(r)):
        found, weakest = 1, 1
        for lag in range(1, r.shape[1] - 1):
            before, here, after = r[t, lag - 1], r[t, lag], r[t, lag + 1]
            if not (here > before and here >= after and here > 0.5 * VOICING):
                continue
            slope = (after - before) / 2
            shift = slope / (2 * here - before - after)
            hertz = rate / (lag + shift)
            if not FLOOR <= hertz <= CEILING:
                continue
            height = here + 0.5 * slope * shift
            if height > 1:
                height = 1 / height
            height -= OCTAVE * np.log2(FLOOR / hertz)
            if found < CANDIDATES:
                place, found = found, found + 1
            elif height > strength[t, weakest]:
                place = weakest
            else:
                continue
            frequency[t, place], strength[t, place] = hertz, height
            weakest = 1
            for other in range(2, CANDIDATES):
                if strength[t, other] < strength[t, weakest]:
                    weakest = other


def _path(voiced, octave, strength, back, states):  # type: ignore[no-untyped-def]
    """Fill `states` [T] with the path of the greatest strength less the costs of its jumps.

    octave: log2 of Hz; strength becomes that of the best path to each state; back: room for where
    it came from; all [T, S]. Only loops and scalars: what numba compiles in a second."""
    frames, width = strength.shape
    for t in range(1, frames):
        for j in range(width):
            best, state = -np.inf, 0
            for i in range(width):
                cost = 0.0
                if voiced[t, j] and voiced[t - 1, i]:
                    cost = JUMP * abs(octave[t, j] - octave[t - 1, i])
                elif voiced[t, j] or voiced[t - 1, i]:
                    cost = SWITCH
                reached = strength[t - 1, i] - cost
                if reached > best:
                    best, state = reached, i
            strength[t, j] += best
            back[t, j] = state
    last = 0
    for j in range(1, width):
        if strength[frames - 1, j] > strength[frames - 1, last]:
            last = j
    for t in range(frames - 1, -1, -1):
        states[t] = last
        last = back[t, last]
