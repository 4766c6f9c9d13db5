"""Reading, checking, resampling and aligning mono audio; one resampler for every tokenizer."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence

import numpy as np

from bench.contracts import Samples
from bench.errors import ItemFailure

RATE = 16_000  # Hz, of every original and every judged recording
MAX_SECONDS = 120.0


def read(data: bytes) -> tuple[Samples, int]:
    """Mono float32 [L] in [-1, 1] and its rate (Hz) from the bytes of an audio file.

    Stereo is averaged. Raises ItemFailure for a file that is corrupt, empty, longer than
    `MAX_SECONDS`, or that holds NaN or infinity.
    """
    import soundfile

    try:
        samples, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, ValueError) as error:
        raise ItemFailure(f"audio cannot be read: {error}") from error
    mono = samples.mean(axis=1, dtype=np.float32)
    if mono.size == 0:
        raise ItemFailure("audio is empty")
    if not np.isfinite(mono).all():
        raise ItemFailure("audio holds NaN or infinity")
    if mono.size > MAX_SECONDS * rate:
        raise ItemFailure(f"audio is longer than {MAX_SECONDS:.0f} s: cut it into utterances")
    return np.clip(mono, -1.0, 1.0), int(rate)


def resample(audio: Samples, source: int, target: int) -> Samples:
    """`audio` [L] at `source` Hz to `target` Hz, soxr's very high quality, clipped to [-1, 1]."""
    if source == target:
        return audio
    import soxr

    return np.clip(soxr.resample(audio, source, target, quality="VHQ"), -1.0, 1.0)


def digest(audio: Samples) -> str:
    """Identity of a recording: sha256 of its float32 samples, 32 hex digits."""
    return hashlib.sha256(np.ascontiguousarray(audio, dtype=np.float32).tobytes()).hexdigest()[:32]


def lag(original: Samples, decoded: Samples, limit: int) -> tuple[int, float]:
    """Samples by which `decoded` is late, and the normalised correlation there, in [0, 1].

    The lag maximises the cross-correlation within ±`limit` samples.
    """
    from scipy.signal import correlate

    n = min(len(original), len(decoded))
    a = original[:n].astype(np.float64)
    b = decoded[:n].astype(np.float64)
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    if n < 2 * limit or norm <= 0:
        return 0, 0.0
    full = correlate(b, a, mode="full", method="fft")
    centre = n - 1
    window = full[centre - limit : centre + limit + 1]
    best = int(np.argmax(window))
    return best - limit, float(max(window[best], 0.0) / norm)


def delay(pairs: Sequence[tuple[Samples, Samples]], rate: int) -> int | None:
    """The constant delay (samples) of a codec, from (original, decoded) pairs at `rate` Hz.

    The median lag within ±60 ms, if at least 60 % of the pairs lie within 1 ms of it and
    correlate by 0.3 or more; else None: output that does not follow the waveform (a vocoder, a
    speech synthesiser) has no such delay, and nothing is removed.
    """
    limit, tolerance = int(0.060 * rate), max(1, int(0.001 * rate))
    lags = [lag(a, b, limit) for a, b in pairs]
    sure = [shift for shift, strength in lags if strength >= 0.3]
    if not sure:
        return None
    middle = int(np.median(sure))
    agreeing = sum(abs(shift - middle) <= tolerance for shift in sure)
    return middle if agreeing >= 0.6 * len(lags) else None


def align(decoded: Samples, shift: int, length: int) -> Samples:
    """`decoded` with `shift` samples of delay removed, cut or zero-padded to `length`."""
    moved = decoded[shift:] if shift >= 0 else np.pad(decoded, (-shift, 0))
    moved = moved[:length]
    return np.pad(moved, (0, length - len(moved))).astype(np.float32)
