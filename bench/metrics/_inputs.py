"""What metrics take from their arguments, checked: a score needs an input that deserves one."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bench.contracts import Judged, Output
from bench.errors import ItemFailure

RATE = 16_000  # Hz
QUIET = 1e-4  # standard deviation of a recording that counts as silent, -80 dB of full scale

Signal = npt.NDArray[np.float64]


def pair(original: Judged, audio: Judged, seconds: float) -> tuple[Signal, Signal]:
    """Samples of the original and of `audio`, float64 [L] each, at 16 kHz.

    Raises ItemFailure where one is missing, silent or constant, holds NaN or infinity, is shorter
    than `seconds`, or differs in length from the other.
    """
    x = _samples(original, "original", seconds)
    y = _samples(audio, "resynthesis", seconds)
    if len(x) != len(y):
        raise ItemFailure(f"original has {len(x)} samples and resynthesis {len(y)}")
    return x, y


def _samples(judged: Judged, which: str, seconds: float) -> Signal:
    if judged.audio is None:
        raise ItemFailure(f"{which} has no audio")
    samples = np.asarray(judged.audio, dtype=np.float64)
    if samples.ndim != 1:
        raise ItemFailure(f"{which} is not mono: its shape is {samples.shape}")
    if not np.isfinite(samples).all():
        raise ItemFailure(f"{which} holds NaN or infinity")
    if len(samples) < seconds * RATE:
        raise ItemFailure(f"{which} is {len(samples) / RATE:.3f} s long, under {seconds:g} s")
    if float(samples.std()) < QUIET:
        raise ItemFailure(f"{which} is silent or constant")
    return samples


def output(judged: Judged, judge: str, key: str) -> Output:
    """One output of one judge; ItemFailure where there is none."""
    try:
        return judged.outputs[judge][key]
    except KeyError as error:
        raise ItemFailure(f"judge {judge} gave no {key}") from error


def number(judged: Judged, judge: str, key: str) -> float:
    """A finite number that a judge gave."""
    value = output(judged, judge, key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ItemFailure(f"judge {judge} gave {key} = {value!r}, not a finite number")
    return float(value)


def text(judged: Judged, judge: str, key: str) -> str:
    """A string that a judge gave (it may be empty)."""
    value = output(judged, judge, key)
    if not isinstance(value, str):
        raise ItemFailure(f"judge {judge} gave {key} = {value!r}, not text")
    return value


def vector(judged: Judged, judge: str, key: str) -> Signal:
    """A finite vector, float64 [D], that a judge gave."""
    try:
        values = np.asarray(output(judged, judge, key), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ItemFailure(f"judge {judge} gave {key} that is not a vector") from error
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise ItemFailure(f"judge {judge} gave {key} that is not a finite vector")
    return values
