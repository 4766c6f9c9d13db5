"""Speaking rate against the original, by counting syllables (0 % error is best).

Syllable nuclei as in de Jong and Wempe 2009, "Praat script to detect syllable nuclei and measure
speech rate automatically", Behavior Research Methods 41: peaks of the intensity contour (64 ms
window, every 10 ms) within 25 dB of the loud (99th percentile) frames, followed by a dip of 2 dB
or more, and voiced (`bench.f0`); peaks with no such dip between them are one. Original and
resynthesis have one length, so the ratio of the counts is the ratio of the rates. `rate_error`, 0
for a copy: |count' - count| over count, both summed over the set. `rate_ratio`, stored but not
tabled since neither direction is better, 1 for a copy: Σ count' / Σ count. Both see what is lost,
added or cut off, whatever the words.
"""

from __future__ import annotations

import numpy as np

from bench.contracts import Judged, MetricInfo, MetricRow, Sums, Utterance
from bench.errors import ItemFailure
from bench.f0 import HOP as F0_HOP
from bench.f0 import track
from bench.metrics import _inputs

WINDOW, HOP = 1024, 160  # samples: 64 ms, 10 ms
BELOW, DIP = 25.0, 2.0  # dB
SHORTEST = 0.25  # s
SOURCE = "de Jong and Wempe 2009"


def intensity(samples: _inputs.Signal) -> _inputs.Signal:
    """Level in dB (arbitrary reference) of Hann-weighted frames 10 ms apart, [T], edges padded."""
    padded = np.pad(samples - samples.mean(), WINDOW // 2) ** 2
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    return 10 * np.log10(np.maximum(frames @ np.hanning(WINDOW), 1e-12))


def syllables(samples: _inputs.Signal) -> int:
    """Number of syllable nuclei in a recording [L] at 16 kHz."""
    level = intensity(samples)
    f0 = track(samples)
    if len(f0) == 0:
        return 0
    late = (len(samples) / _inputs.RATE - (len(f0) - 1) * F0_HOP) / 2  # time of its first frame
    inner = level[1:-1]
    peaks = 1 + np.flatnonzero((inner > level[:-2]) & (inner >= level[2:]))
    peaks = peaks[level[peaks] > np.quantile(level, 0.99) - BELOW]
    ends = np.append(peaks[1:], len(level) - 1) if len(peaks) else peaks
    count = 0
    top = -np.inf  # of the peaks since the last dip, as a run without a dip is one syllable
    voiced = False
    for peak, end in zip(peaks, ends, strict=True):
        frame = round((peak * HOP / _inputs.RATE - late) / F0_HOP)
        voiced |= bool(f0[min(max(frame, 0), len(f0) - 1)] > 0)
        top = max(top, float(level[peak]))
        if top - float(level[peak : end + 1].min()) >= DIP:
            count += voiced
            top, voiced = -np.inf, False
    return count


class Rate:
    """Relative difference of the syllable counts."""

    info = MetricInfo(
        name="rate",
        version="1",
        task="signal",
        rows=(
            MetricRow(
                name="rate_error",
                unit="%",
                higher_is_better=False,
                source=SOURCE,
                description="Relative difference of the syllable count to the original's.",
                scale=100.0,
                identity=0.0,
                bounds=(0.0, float("inf")),
            ),
            MetricRow(
                name="rate_ratio",
                unit="",
                higher_is_better=True,
                source=SOURCE,
                description="Syllable count over the original's (1 is best).",
                identity=1.0,
                bounds=(0.0, float("inf")),
                shown=False,
            ),
        ),
        needs_audio=True,
    )

    def score(self, utterance: Utterance, original: Judged, audio: Judged) -> dict[str, Sums]:
        """Sums over the original's syllables."""
        x, y = _inputs.pair(original, audio, SHORTEST)
        before, after = syllables(x), syllables(y)
        if before == 0:
            raise ItemFailure("no syllable is found in the original")
        return {
            "rate_error": Sums(float(abs(after - before)), float(before)),
            "rate_ratio": Sums(float(after), float(before)),
        }


def load() -> Rate:
    """The metric."""
    return Rate()
