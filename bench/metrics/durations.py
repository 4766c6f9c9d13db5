"""Durations of words against the original's (100 % within 50 ms is best).

The reference text is aligned with the original and with the resynthesis by the same forced aligner
(`bench.nn.taste_align`, frames of 24 ms, English only). `word_durations`: share of the words whose
durations differ by no more than 50 ms; sums are words. It needs no equal length, so it speaks of
tokenizers that do not keep time too. Source: the duration consistency of TASTE (Tseng et al. 2025),
with a tolerance instead of a ratio.
"""

from __future__ import annotations

import numpy as np

from bench.contracts import Judged, MetricInfo, MetricRow, Sums, Utterance
from bench.errors import ItemFailure

NEAR = 0.050  # s
SOURCE = "after TASTE (arXiv:2504.07053)"


class Durations:
    """Words whose duration is kept."""

    info = MetricInfo(
        name="durations",
        version="1",
        task="transcription",
        rows=(
            MetricRow(
                name="word_durations",
                unit="%",
                higher_is_better=True,
                source=SOURCE,
                description="Words whose duration lies within 50 ms of the original's.",
                scale=100.0,
                identity=1.0,
                bounds=(0.0, 1.0),
            ),
        ),
        needs_audio=True,
    )

    def score(self, utterance: Utterance, original: Judged, audio: Judged) -> dict[str, Sums]:
        """Words that are near, of all."""
        from bench.nn.taste_align import aligner

        if utterance.text is None or utterance.language != "en":
            raise ItemFailure("words are aligned in English with a transcript only")
        if original.audio is None or audio.audio is None:
            raise ItemFailure("there is no audio")
        pair = (aligner().words(side.audio, utterance.text) for side in (original, audio)
                if side.audio is not None)  # fmt: skip
        before, after = ([word.seconds for word in words] for words in pair)
        near = np.abs(np.subtract(after, before)) <= NEAR + 1e-9
        return {"word_durations": Sums(float(near.sum()), float(len(near)))}


def load() -> Durations:
    """The metric."""
    return Durations()
