"""Scale-invariant signal-to-distortion ratio (dB, higher is better, limited to ±100).

Le Roux et al. 2019, "SDR - Half-Baked or Well Done?", ICASSP (arXiv:1811.02508), with the mean of
both signals removed first: 10 log10(|a x|² / |a x - y|²) with a = <x, y> / <x, x>. The audio is
aligned before. A ratio outside ±100 dB, past what 16-bit audio resolves, counts as the limit, so
that a perfect copy (infinite) does not make a mean infinite. There is no value for a perfect copy
to compare with: `identity` is None, and the row is shown without a reference. Around or below 0 dB
the tokenizer does not follow the waveform, which says nothing of how it sounds.
"""

from __future__ import annotations

import math

from bench.contracts import Judged, MetricInfo, MetricRow, Sums, Utterance
from bench.metrics import _inputs

LIMIT = 100.0  # dB
SHORTEST = 0.1  # s


def si_sdr(x: _inputs.Signal, y: _inputs.Signal) -> float:
    """SI-SDR in dB of estimate y [L] for reference x [L], neither constant, within ±LIMIT."""
    x = x - x.mean()
    y = y - y.mean()
    target = (x @ y) / (x @ x) * x
    noise = y - target
    signal, distortion = float(target @ target), float(noise @ noise)
    if distortion == 0:
        return LIMIT
    if signal == 0:
        return -LIMIT
    return min(max(10 * math.log10(signal / distortion), -LIMIT), LIMIT)


class SiSdr:
    """Mean over utterances of SI-SDR in dB."""

    info = MetricInfo(
        name="sisdr",
        version="1",
        task="signal",
        rows=(
            MetricRow(
                name="si_sdr",
                unit="dB",
                higher_is_better=True,
                source="Le Roux et al. 2019 (arXiv:1811.02508)",
                description="Scale-invariant signal-to-distortion ratio, zero mean.",
                bounds=(-LIMIT, LIMIT),
            ),
        ),
        needs_audio=True,
    )

    def score(self, utterance: Utterance, original: Judged, audio: Judged) -> dict[str, Sums]:
        """SI-SDR of one utterance."""
        return {"si_sdr": Sums(si_sdr(*_inputs.pair(original, audio, SHORTEST)))}


def load() -> SiSdr:
    """The metric."""
    return SiSdr()
