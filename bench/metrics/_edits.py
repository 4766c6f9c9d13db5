"""Edit counts between transcripts, as the word and character error rates count them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Edits:
    """Fewest edits that turn a reference of `length` units into a hypothesis."""

    insertions: int
    deletions: int
    substitutions: int
    length: int

    @property
    def total(self) -> int:
        return self.insertions + self.deletions + self.substitutions


def normalise(text: str, language: str) -> str:
    """`text` as it is compared: Whisper's normaliser, words joined by single spaces.

    The English normaliser leaves a lone "." of an ellipsis; what holds no letter or digit is no
    word and is left out.
    """
    words = _normaliser(language)(text).split()
    return " ".join(word for word in words if any(sign.isalnum() for sign in word))


@cache
def _normaliser(language: str) -> Callable[[str], str]:
    """Whisper's text normaliser: the English one for English, the basic one for the rest."""
    if language.lower().split("-")[0].split("_")[0] in ("en", "eng", "english"):
        from whisper_normalizer.english import EnglishTextNormalizer

        return EnglishTextNormalizer()
    from whisper_normalizer.basic import BasicTextNormalizer

    return BasicTextNormalizer()


def words(reference: str, hypothesis: str) -> Edits:
    """Edits between two texts that are already normalised; words are split at white space."""
    import jiwer

    found = jiwer.process_words(reference, hypothesis)
    return Edits(found.insertions, found.deletions, found.substitutions, len(reference.split()))


def characters(reference: str, hypothesis: str) -> Edits:
    """The same in characters, with the spaces between words."""
    import jiwer

    found = jiwer.process_characters(reference, hypothesis)
    return Edits(found.insertions, found.deletions, found.substitutions, len(reference))
