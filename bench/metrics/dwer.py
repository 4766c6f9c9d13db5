"""Differential word error rate: against the transcript of the original audio (%, 0 is best).

WER with what the recogniser heard in the original as the reference (dWER of DASB: Mousavi et al.
2024, arXiv:2406.14294). It needs no reference text and leaves out the errors that the recogniser
makes on the original as well. An utterance whose original is heard as nothing is a failure of
this metric alone, which is why it is a plugin of its own beside `words`.
"""

from __future__ import annotations

from bench.contracts import Judged, MetricInfo, MetricRow, Sums, Utterance
from bench.errors import ItemFailure
from bench.metrics import _edits, _inputs


class DWer:
    """dWER of the transcript by Moonshine; 0 for a perfect copy."""

    info = MetricInfo(
        name="dwer",
        version="1",
        task="transcription",
        rows=(
            MetricRow(
                name="dwer",
                unit="%",
                higher_is_better=False,
                source="DASB (arXiv:2406.14294), edits by jiwer",
                description="Word errors against the transcript of the original audio.",
                scale=100.0,
                identity=0.0,
                bounds=(0.0, float("inf")),
            ),
        ),
        judges=("moonshine",),
    )

    def score(self, utterance: Utterance, original: Judged, audio: Judged) -> dict[str, Sums]:
        """Sums of edits over words of the original's transcript."""
        before = _inputs.text(original, "moonshine", "text")
        reference = _edits.normalise(before, utterance.language)
        if not reference:
            raise ItemFailure("transcript of the original audio is empty")
        after = _inputs.text(audio, "moonshine", "text")
        hypothesis = _edits.normalise(after, utterance.language)
        words = _edits.words(reference, hypothesis)
        return {"dwer": Sums(words.total, words.length)}


def load() -> DWer:
    """The metric."""
    return DWer()
