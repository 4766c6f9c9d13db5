"""Correlation of the loudness contour with the original's (-1 to 1, higher is better).

Pearson's correlation over frames of 25 ms every 10 ms of the root mean square in dB, each signal
floored 60 dB below its own loudest frame, so that digital silence does not rule the value. Gain
does not matter; a perfect copy has 1. In the style of the prosody measures of Codec-SUPERB and
VERSA (Shi et al. 2024, arXiv:2412.17667).
"""

from __future__ import annotations

import numpy as np

from bench.contracts import Judged, MetricInfo, MetricRow, Sums, Utterance
from bench.errors import ItemFailure
from bench.metrics import _inputs

FRAME, HOP = 400, 160  # samples: 25 ms, 10 ms
RANGE = 60.0  # dB
SHORTEST = 0.25  # s: 23 frames


def contour(samples: _inputs.Signal) -> _inputs.Signal:
    """Level of each frame in dB, [T], relative to the loudest and not under -RANGE."""
    power = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
    power = np.einsum("tl,tl->t", power, power)
    return np.maximum(10 * np.log10(np.maximum(power / power.max(), 1e-30)), -RANGE)


class Energy:
    """Mean over utterances of the correlation of frame levels."""

    info = MetricInfo(
        name="energy",
        version="1",
        task="signal",
        rows=(
            MetricRow(
                name="energy_correlation",
                unit="",
                higher_is_better=True,
                source="VERSA (arXiv:2412.17667)",
                description="Correlation of the frame levels (dB) with the original's.",
                identity=1.0,
                bounds=(-1.0, 1.0),
            ),
        ),
        needs_audio=True,
    )

    def score(self, utterance: Utterance, original: Judged, audio: Judged) -> dict[str, Sums]:
        """Correlation of one utterance."""
        x, y = _inputs.pair(original, audio, SHORTEST)
        a, b = contour(x), contour(y)
        for which, levels in (("original", a), ("resynthesis", b)):
            if float(levels.std()) < 1e-6:
                raise ItemFailure(f"{which} has a constant level")
        value = float(np.clip(np.corrcoef(a, b)[0, 1], -1.0, 1.0))
        return {"energy_correlation": Sums(value)}


def load() -> Energy:
    """The metric."""
    return Energy()
