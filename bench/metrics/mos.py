"""Predicted quality by DistillMOS (MOS, 1 to 5, higher is better).

Stahl and Gamper 2025, "Distillation and Pruning for Scalable Self-Supervised
Representation-Based Speech Quality Assessment", ICASSP (arXiv:2502.05356): a distilled
wav2vec 2.0 (XLS-R) predictor of the mean opinion score, without a reference. The judge's output
may leave [1, 5] by a little; it is kept as it came.
"""

from __future__ import annotations

from bench.contracts import Judged, MetricInfo, MetricRow, Sums, Utterance
from bench.metrics import _inputs


class Mos:
    """Mean over utterances of the predicted MOS."""

    info = MetricInfo(
        name="mos",
        version="1",
        task="quality",
        rows=(
            MetricRow(
                name="distillmos",
                unit="MOS",
                higher_is_better=True,
                source="DistillMOS (arXiv:2502.05356)",
                description="Predicted mean opinion score of overall quality.",
                bounds=(0.0, 6.0),
            ),
        ),
        judges=("distillmos",),
    )

    def score(self, utterance: Utterance, original: Judged, audio: Judged) -> dict[str, Sums]:
        """The predicted MOS of one utterance."""
        return {"distillmos": Sums(_inputs.number(audio, "distillmos", "mos"))}


def load() -> Mos:
    """The metric."""
    return Mos()
