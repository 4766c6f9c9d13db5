"""Features of vocal affect: pitch, loudness, timbre and their movement, as one vector.

A small set in the spirit of the Geneva minimalistic parameters (Eyben et al. 2016, GeMAPS):
functionals of log-F0, log energy, mel cepstra and spectral shape. Loudness of the whole
recording is taken out, since it is the microphone's rather than the speaker's.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.contracts import Samples
from bench.errors import ItemFailure
from bench.f0 import track

RATE, HOP, WINDOW = 16_000, 160, 400
CEPSTRA = 16
Vector = npt.NDArray[np.float64]


def _functionals(values: Vector) -> list[float]:
    """Mean, deviation, 10th and 90th percentile, and mean absolute step of a track [T]."""
    low, high = np.percentile(values, [10, 90])
    step = np.abs(np.diff(values)).mean() if values.size > 1 else 0.0
    return [float(values.mean()), float(values.std()), float(low), float(high), float(step)]


def features(audio: Samples) -> Vector:
    """[D] features of one utterance (float32 [L], 16 kHz); ItemFailure for silence."""
    import librosa

    x = audio.astype(np.float64)
    level = float(np.sqrt(np.mean(np.square(x))))
    if level < 1e-4:
        raise ItemFailure("audio is silent")
    x = x / level * 0.1
    mel = librosa.feature.melspectrogram(
        y=x, sr=RATE, n_fft=512, win_length=WINDOW, hop_length=HOP, n_mels=40, fmin=50, fmax=7600
    )
    log = np.log(mel + 1e-8)
    loud = log.mean(axis=0)
    active = loud > loud.max() - 7.0  # frames that are speech; e^7 is 30 dB
    cepstra = librosa.feature.mfcc(S=10 / np.log(10) * log, n_mfcc=CEPSTRA)[:, active]
    found = [value for row in cepstra[1:] for value in _functionals(row)]
    found += _functionals(loud[active])
    share = mel / mel.sum(axis=0, keepdims=True).clip(1e-12)
    bands = np.arange(40)
    found += _functionals((bands[:, None] * share).sum(axis=0)[active])  # centre of gravity
    found += _functionals(np.log(share[20:].sum(axis=0)[active] + 1e-6))  # share above 1.7 kHz
    f0 = track(x)
    voiced = np.log2(f0[f0 > 0] / 100)
    found += _functionals(voiced) if voiced.size >= 3 else [0.0] * 5
    found.append(float((f0 > 0).mean()) if f0.size else 0.0)
    runs = np.flatnonzero(np.diff(np.concatenate([[0], (f0 > 0).astype(int), [0]])))
    found.append(float(np.diff(runs)[::2].mean()) / 100 if runs.size else 0.0)  # s voiced at once
    found.append(float(np.log(len(x) / RATE)))
    found.append(float(active.mean()))
    return np.array(found)
