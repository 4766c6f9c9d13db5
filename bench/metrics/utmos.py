"""Predicted naturalness by UTMOS (MOS, 1 to 5, higher is better).

Saeki et al. 2022, "UTMOS: UTokyo-SaruLab System for VoiceMOS Challenge 2022", Interspeech
(arXiv:2204.02152): the strong learner, without a reference, trained on synthetic English speech.
"""

from __future__ import annotations

from bench.contracts import Judged, MetricInfo, MetricRow, Sums, Utterance
from bench.metrics import _inputs


class Utmos:
    """Mean over utterances of the predicted MOS."""

    info = MetricInfo(
        name="utmos",
        version="1",
        task="quality",
        rows=(
            MetricRow(
                name="utmos",
                unit="MOS",
                higher_is_better=True,
                source="UTMOS (arXiv:2204.02152)",
                description="Predicted mean opinion score of naturalness.",
                bounds=(0.0, 6.0),
            ),
        ),
        judges=("utmos",),
    )

    def score(self, utterance: Utterance, original: Judged, audio: Judged) -> dict[str, Sums]:
        """The predicted MOS of one utterance."""
        return {"utmos": Sums(_inputs.number(audio, "utmos", "mos"))}


def load() -> Utmos:
    """The metric."""
    return Utmos()
