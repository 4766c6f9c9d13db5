"""Affect of the utterance, on voices that the probe never heard."""

from bench.probing.kinds import Classification, row
from bench.tracks.contract import TokenItem


class Emotion(Classification):
    task, version, disjoint = "emotion", "1", True
    rows = (
        row("emotion_accuracy", "%", True, "SUPERB", "utterances whose affect is told"),
        row("emotion_uar", "%", True, "Schuller et al. 2009", "unweighted mean of recalls"),
    )

    def label(self, item: TokenItem) -> str | None:
        return item.utterance.affect


def load() -> Emotion:
    return Emotion()
