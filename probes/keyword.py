"""A single spoken word or digit, where the suite has recordings of single words."""

from collections.abc import Sequence

from bench.probing.contract import Ids, Labels, Unusable
from bench.probing.kinds import Classification, row
from bench.tracks.contract import TokenItem

EXAMPLES = 5  # of each of at least two words, so that a few one-word sentences are no corpus


class Keyword(Classification):
    task, version = "keyword", "1"
    rows = (row("keyword_accuracy", "%", True, "SUPERB", "words that are told"),)

    def wants(self, item: TokenItem) -> bool:
        return bool(item.utterance.text)

    def label(self, item: TokenItem) -> str | None:
        words = (item.utterance.text or "").casefold().split()
        return words[0].strip(".,;:!?") if len(words) == 1 else None

    def validate(self, items: Sequence[TokenItem], train: Ids) -> Labels:
        """As any classification, where two words have enough examples."""
        names = [self.label(items[i]) for i in train]
        if sum(names.count(name) >= EXAMPLES for name in set(names)) < 2:
            raise Unusable("the suite has no corpus of single words")
        return super().validate(items, train)


def load() -> Keyword:
    return Keyword()
