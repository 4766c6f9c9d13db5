"""Language of the utterance, among those that the training data hold."""

from collections.abc import Sequence
from dataclasses import replace

from bench.probing.contract import Ids, Labels
from bench.probing.kinds import Classification, row
from bench.tracks.contract import TokenItem


class Language(Classification):
    task, version = "language", "1"
    rows = (row("language_accuracy", "%", True, "SUPERB", "utterances whose language is told"),)
    min_seconds = 1.0

    def label(self, item: TokenItem) -> str | None:
        return item.utterance.language

    def validate(self, items: Sequence[TokenItem], train: Ids) -> Labels:
        """As any classification; a note says where a language has too few voices."""
        made = super().validate(items, train)
        voices = {
            name: len({items[i].utterance.speaker for i in train
                       if items[i].utterance.language == name})
            for name in made.classes
        }  # fmt: skip
        few = [name for name, count in voices.items() if count < 3]
        if not few:
            return made
        note = (
            f"fewer than 3 training voices speak {', '.join(few)}: the probe may tell the voice "
            "instead of the language"
        )
        return replace(made, notes=(*made.notes, note))


def load() -> Language:
    return Language()
