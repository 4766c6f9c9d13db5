"""Pitch against the original: distance in cents (0 is best) and correlation (1 is best).

F0 every 10 ms by the autocorrelation method of Boersma 1993 (`bench.f0`, 60 to 600 Hz), compared on
the frames that are voiced in original and resynthesis alike, of which there must be 10.
`f0_rmse`: root mean square of 1200 log2(F0' / F0) over the frames of an utterance, then the mean
over utterances; an octave is 1200 cents. `f0_correlation`: Pearson's correlation of log F0 in an
utterance (-1 to 1), then the mean over utterances, as Codec-SUPERB's F0Corr without its time
warping.
Both speak of the frames that kept their voice and of no others, so they do not fall steadily with
noise: fewer, clearer frames remain. Frames that lose or gain a voice are counted by `voicing`; read
the three together. One octave jump weighs much in the root mean square.
"""

from __future__ import annotations

import numpy as np

from bench.contracts import Judged, MetricInfo, MetricRow, Sums, Utterance
from bench.errors import ItemFailure
from bench.f0 import track
from bench.metrics import _inputs

SHORTEST = 0.25  # s
FRAMES = 10  # voiced frames needed


class Pitch:
    """Mean over utterances of the F0 error in cents and of the correlation of log F0."""

    info = MetricInfo(
        name="pitch",
        version="1",
        task="signal",
        rows=(
            MetricRow(
                name="f0_rmse",
                unit="cents",
                higher_is_better=False,
                source="Boersma 1993",
                description="Root-mean-square F0 error on frames voiced in both.",
                identity=0.0,
                bounds=(0.0, float("inf")),
            ),
            MetricRow(
                name="f0_correlation",
                unit="",
                higher_is_better=True,
                source="Boersma 1993, Codec-SUPERB (arXiv:2402.13071)",
                description="Correlation of log F0 on frames voiced in both.",
                identity=1.0,
                bounds=(-1.0, 1.0),
            ),
        ),
        needs_audio=True,
    )

    def score(self, utterance: Utterance, original: Judged, audio: Judged) -> dict[str, Sums]:
        """F0 error and correlation of one utterance."""
        a, b = (track(samples) for samples in _inputs.pair(original, audio, SHORTEST))
        both = (a > 0) & (b > 0)
        if int(both.sum()) < FRAMES:
            raise ItemFailure(f"{int(both.sum())} frames are voiced in both, under {FRAMES}")
        x, y = np.log2(a[both]), np.log2(b[both])
        if min(x.std(), y.std()) < 1e-6:
            raise ItemFailure("pitch is constant: its correlation is undefined")
        return {
            "f0_rmse": Sums(float(np.sqrt(np.mean((1200 * (y - x)) ** 2)))),
            "f0_correlation": Sums(float(np.clip(np.corrcoef(x, y)[0, 1], -1.0, 1.0))),
        }


def load() -> Pitch:
    """The metric."""
    return Pitch()
