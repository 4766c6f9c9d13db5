"""Intelligibility against the original by STOI and ESTOI (about 0 to 1, higher is better).

STOI: Taal, Hendriks, Heusdens, Jensen 2011, "An Algorithm for Intelligibility Prediction of
Time-Frequency Weighted Noisy Speech", IEEE TASLP. ESTOI: Jensen and Taal 2016, "An Algorithm for
Predicting the Intelligibility of Speech Masked by Modulated Noise Maskers", IEEE/ACM TASLP. Both
are mean correlations of short-time envelopes (package `pystoi`), 1 for a perfect copy; unlike
words speech is about 0, and it may fall below. They need 30 frames (0.4 s) of speech within 40 dB
of the loudest; with less, `pystoi` warns and returns 1e-5, which is a failure here.
"""

from __future__ import annotations

import math
import warnings

from bench.contracts import Judged, MetricInfo, MetricRow, Sums, Utterance
from bench.errors import ItemFailure
from bench.metrics import _inputs

SHORTEST = 0.4  # s


class Stoi:
    """Mean over utterances of STOI and ESTOI."""

    info = MetricInfo(
        name="stoi",
        version="1",
        task="signal",
        rows=(
            MetricRow(
                name="stoi",
                unit="",
                higher_is_better=True,
                source="Taal et al. 2011, package pystoi",
                description="Short-time objective intelligibility against the original.",
                identity=1.0,
                bounds=(-1.0, 1.0 + 1e-6),
            ),
            MetricRow(
                name="estoi",
                unit="",
                higher_is_better=True,
                source="Jensen and Taal 2016, package pystoi",
                description="Extended short-time objective intelligibility.",
                identity=1.0,
                bounds=(-1.0, 1.0 + 1e-6),
            ),
        ),
        needs_audio=True,
    )

    def score(self, utterance: Utterance, original: Judged, audio: Judged) -> dict[str, Sums]:
        """STOI and ESTOI of one utterance."""
        x, y = _inputs.pair(original, audio, SHORTEST)
        return {
            "stoi": Sums(_stoi(x, y, extended=False)),
            "estoi": Sums(_stoi(x, y, extended=True)),
        }


def _stoi(x: _inputs.Signal, y: _inputs.Signal, extended: bool) -> float:
    import numpy as np
    from pystoi import stoi

    # The extended measure adds random numbers from numpy's global generator where it normalises;
    # over digital silence they are all there is. Seeded, one input has one value.
    state = np.random.get_state()
    np.random.seed(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            value = float(stoi(x, y, _inputs.RATE, extended=extended))
    except RuntimeWarning as warning:
        if "Not enough STFT frames" in str(warning):
            raise ItemFailure("STOI: under 30 frames (0.4 s) of speech") from warning
        raise ItemFailure(f"STOI: {warning}") from warning
    finally:
        np.random.set_state(state)
    if not math.isfinite(value):
        raise ItemFailure(f"STOI gave {value}")
    return value


def load() -> Stoi:
    """The metric."""
    return Stoi()
