"""Predicted quality by DNSMOS (MOS, 1 to 5, higher is better).

Reddy, Gopal, Cutler 2022, "DNSMOS P.835: A Non-Intrusive Perceptual Objective Speech Quality
Metric to Evaluate Noise Suppressors", ICASSP (arXiv:2110.01763), with its overall, signal and
background scales, and the P.808 scale of DNSMOS 2021 (arXiv:2010.15258). Without a reference.
"""

from __future__ import annotations

from bench.contracts import Judged, MetricInfo, MetricRow, Sums, Utterance
from bench.metrics import _inputs

P835 = "DNSMOS P.835 (arXiv:2110.01763)"
SCALES = {
    "ovrl": (P835, "Predicted overall quality (P.835 OVRL)."),
    "sig": (P835, "Predicted quality of the speech signal (P.835 SIG)."),
    "bak": (P835, "Predicted quality of the background (P.835 BAK)."),
    "p808": ("DNSMOS (arXiv:2010.15258)", "Predicted overall quality (P.808)."),
}


class DnsMos:
    """Mean over utterances of each predicted MOS."""

    info = MetricInfo(
        name="dnsmos",
        version="1",
        task="quality",
        rows=tuple(
            MetricRow(f"dnsmos_{key}", "MOS", True, source, description, bounds=(0.0, 6.0))
            for key, (source, description) in SCALES.items()
        ),
        judges=("dnsmos",),
    )

    def score(self, utterance: Utterance, original: Judged, audio: Judged) -> dict[str, Sums]:
        """The predicted MOS of one utterance on each scale."""
        return {f"dnsmos_{key}": Sums(_inputs.number(audio, "dnsmos", key)) for key in SCALES}


def load() -> DnsMos:
    """The metric."""
    return DnsMos()
