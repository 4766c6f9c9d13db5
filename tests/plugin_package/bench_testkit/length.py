"""Whether an utterance is long: a probe as a third party would ship it."""

from bench.probing.kinds import Classification, row
from bench.tracks.contract import TokenItem


class Length(Classification):
    task, version = "length", "1"
    rows = (row("length_accuracy", "%", True, "none", "utterances over 1.2 seconds"),)

    def label(self, item: TokenItem) -> str | None:
        return "long" if item.seconds > 1.2 else "short"


def load() -> Length:
    return Length()
