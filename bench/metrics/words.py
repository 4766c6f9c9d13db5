"""Word and character error rate against the reference text (%, 0 is best, no upper bound).

A speech recogniser transcribes the audio; transcript and reference text both pass through
Whisper's normaliser (Radford et al. 2023, "Robust Speech Recognition via Large-Scale Weak
Supervision", arXiv:2212.04356, appendix C) and lose signs that stand alone. WER = edits /
reference words, with the edits of a Levenshtein alignment (jiwer); CER is the same in characters,
the spaces between words counted. Sums are the edits and units of one utterance, so the rate of a
set is Σ edits / Σ units: long utterances weigh more. The recogniser's own errors are in the
number: read it beside its value on the original audio.
"""

from __future__ import annotations

from bench.contracts import Judged, MetricInfo, MetricRow, Sums, Utterance
from bench.errors import ItemFailure
from bench.metrics import _edits, _inputs

SOURCE = "Whisper's normaliser (arXiv:2212.04356), edits by jiwer"
BOUNDS = (0.0, float("inf"))


def _row(name: str, description: str, shown: bool = True) -> MetricRow:
    return MetricRow(name, "%", False, SOURCE, description, 100.0, bounds=BOUNDS, shown=shown)


class Words:
    """WER and CER of the transcript by Moonshine."""

    info = MetricInfo(
        name="words",
        version="1",
        task="transcription",
        rows=(
            _row("wer", "Word errors against the reference text."),
            _row("cer", "Character errors against the reference text."),
            _row("wer_insertions", "Inserted words.", shown=False),
            _row("wer_deletions", "Deleted words.", shown=False),
            _row("wer_substitutions", "Substituted words.", shown=False),
        ),
        judges=("moonshine",),
    )

    def score(self, utterance: Utterance, original: Judged, audio: Judged) -> dict[str, Sums]:
        """Sums of edits over reference words (characters for `cer`)."""
        if utterance.text is None:
            raise ItemFailure("utterance has no reference text")
        reference = _edits.normalise(utterance.text, utterance.language)
        if not reference:
            raise ItemFailure("reference text is empty after normalisation")
        heard = _inputs.text(audio, "moonshine", "text")
        hypothesis = _edits.normalise(heard, utterance.language)
        words = _edits.words(reference, hypothesis)
        characters = _edits.characters(reference, hypothesis)
        return {
            "wer": Sums(words.total, words.length),
            "cer": Sums(characters.total, characters.length),
            "wer_insertions": Sums(words.insertions, words.length),
            "wer_deletions": Sums(words.deletions, words.length),
            "wer_substitutions": Sums(words.substitutions, words.length),
        }


def load() -> Words:
    """The metric."""
    return Words()
