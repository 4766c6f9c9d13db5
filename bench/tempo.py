"""Speech said faster or slower at the same pitch."""

from __future__ import annotations

import numpy as np

from bench.contracts import Samples


def at_tempo(audio: Samples, tempo: float) -> Samples:
    """`audio` (float32 [L] at 16 kHz), `tempo` times as fast, by a phase vocoder."""
    if tempo == 1.0:
        return audio
    import librosa

    made = librosa.effects.time_stretch(audio, rate=tempo, n_fft=1024, hop_length=160)
    return np.clip(made, -1, 1).astype(np.float32)
