"""Speaker verification: does the resynthesis still tell people apart? Equal error rate (%).

Enrolment is always an original recording; the test is the resynthesis of another utterance (or,
for reference, its original), as a system enrolled on real speech would meet it.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.contracts import Judged, MetricInfo, MetricRow, Sums, Utterance
from bench.eer import Trial, trials
from bench.metrics import _inputs
from bench.metrics.speaker import cosine


class Verification:
    """A corpus metric: it has trials instead of sums, and the engine keeps each trial's score."""

    info = MetricInfo(
        name="verification",
        version="1",
        task="speaker",
        rows=(
            MetricRow(
                name="speaker_eer",
                unit="%",
                higher_is_better=False,
                source="Codec-SUPERB @ SLT 2024 (arXiv:2409.14085)",
                description="Equal error rate of verification, enrolled on original recordings.",
                scale=100.0,
                bounds=(0.0, 1.0),
            ),
        ),
        judges=("resemblyzer",),
    )

    def trials(self, utterances: Sequence[Utterance]) -> list[Trial]:
        """The trials of these utterances; the same for every tokenizer."""
        return trials(utterances)

    def similarity(self, enrolment: Judged, test: Judged) -> float:
        """Score of one trial: the cosine of the two embeddings, in [-1, 1]."""
        return cosine(
            _inputs.vector(enrolment, "resemblyzer", "embedding"),
            _inputs.vector(test, "resemblyzer", "embedding"),
        )

    def score(self, utterance: Utterance, original: Judged, audio: Judged) -> dict[str, Sums]:
        """Nothing: an equal error rate is no sum over utterances."""
        return {}


def load() -> Verification:
    """The metric."""
    return Verification()
