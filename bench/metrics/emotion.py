"""Emotion kept: class by an emotion classifier (%, 0 to 100, higher is better).

`emotion_accuracy` compares the class predicted from the audio with the corpus's label, as the
Codec-SUPERB challenge does (Wu et al. 2024, arXiv:2409.14085); `emotion_agreement` with the class
predicted from the original audio, so that it needs no correct classifier and a copy has 100 %.
"""

from __future__ import annotations

from bench.contracts import Judged, MetricInfo, MetricRow, Sums, Utterance
from bench.errors import ItemFailure
from bench.metrics import _inputs

SOURCE = "Codec-SUPERB @ SLT 2024 (arXiv:2409.14085)"


class Emotion:
    """Share of utterances whose predicted emotion is the labelled one, and the original's."""

    info = MetricInfo(
        name="emotion",
        version="1",
        task="emotion",
        rows=(
            MetricRow(
                name="emotion_accuracy",
                unit="%",
                higher_is_better=True,
                source=SOURCE,
                description="Predicted emotion is the labelled one.",
                scale=100.0,
                bounds=(0.0, 1.0),
            ),
            MetricRow(
                name="emotion_agreement",
                unit="%",
                higher_is_better=True,
                source=SOURCE,
                description="Predicted emotion is the one predicted from the original audio.",
                scale=100.0,
                identity=1.0,
                bounds=(0.0, 1.0),
            ),
        ),
        judges=("emotion",),
    )

    def score(self, utterance: Utterance, original: Judged, audio: Judged) -> dict[str, Sums]:
        """1 or 0 for each row."""
        if utterance.affect is None:
            raise ItemFailure("utterance has no emotion label")
        heard = _inputs.text(audio, "emotion", "class")
        before = _inputs.text(original, "emotion", "class")
        return {
            "emotion_accuracy": Sums(float(heard == utterance.affect)),
            "emotion_agreement": Sums(float(heard == before)),
        }


def load() -> Emotion:
    """The metric."""
    return Emotion()
