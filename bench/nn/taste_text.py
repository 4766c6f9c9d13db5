"""Text as `taste` reads it: words of a transcript, their phones, and the pause after each.

Phones are the 39 of the CMU Pronouncing Dictionary without stress. A word is what stands between
spaces; digits are read as numbers, signs by name.
"""

from __future__ import annotations

import gzip
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.contracts import Ids

PHONES = (
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH",
    "IH", "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH",
    "UW", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
SLOTS = ("<begin>", "<none>", ",", ".", "?")
"""What may stand between words: the beginning, no sign, a short and a long pause, a question."""
SYMBOLS = (*SLOTS, *PHONES)
NUMBER = {name: i for i, name in enumerate(SYMBOLS)}
SIGNS = {
    "&": "and", "%": "percent", "@": "at", "+": "plus", "=": "equals", "#": "number",
    "$": "dollars", "£": "pounds", "€": "euros", "°": "degrees",
}  # fmt: skip
SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
LARGE = ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
            "nine": "ninth", "twelve": "twelfth"}  # fmt: skip
PARTS = re.compile(r"\d[\d,]*(?:\.\d+)?(?:st|nd|rd|th)?|[a-z']+")

Phones = tuple[int, ...]


@dataclass(frozen=True)
class Word:
    """phones: numbers in SYMBOLS, at least one; slot: the number of what follows the word; units:
    how many of the transcript's tokens it is made of."""

    phones: Phones
    slot: int
    units: int = 1


@dataclass(frozen=True)
class Script:
    """An utterance as a row of symbols: a slot, then each word's phones and the slot after it.

    symbols, word int64 [S]: numbers in SYMBOLS, and the word that each belongs to (a slot to the
    word before it, the first slot to the first word). slot: bool [S].
    """

    symbols: Ids
    word: Ids
    slot: np.ndarray[tuple[int], np.dtype[np.bool_]]

    @property
    def words(self) -> int:
        return int(self.word[-1]) + 1


def script(words: Sequence[Word]) -> Script:
    """The row of symbols of `words`, of which there is at least one."""
    symbols, word, slot = [NUMBER["<begin>"]], [0], [True]
    for n, item in enumerate(words):
        symbols += [*item.phones, item.slot]
        word += [n] * (len(item.phones) + 1)
        slot += [False] * len(item.phones) + [True]
    return Script(np.array(symbols), np.array(word), np.array(slot))


def slot_of(chunk: str) -> int:
    """The pause that a word's own punctuation tells."""
    tail = re.sub(r"[\"'”’)\]]+$", "", chunk)[-3:]
    for sign, name in (("?", "?"), (".", "."), ("!", "."), ("…", ".")):
        if tail.endswith(sign):
            return NUMBER[name]
    return NUMBER[","] if tail.endswith((",", ";", ":", "-", "–", "—")) else NUMBER["<none>"]


def number_words(value: int) -> list[str]:
    """The words of a number from 0 to 999,999,999,999."""
    if value < 20:
        return [SMALL[value]]
    if value < 100:
        return [TENS[value // 10 - 2], *([SMALL[value % 10]] if value % 10 else [])]
    size, name = next((s, n) for s, n in LARGE if value >= s)
    rest = value % size
    return [*number_words(value // size), name, *(number_words(rest) if rest else [])]


def _read_number(text: str) -> list[str]:
    """`1,250`, `3.14`, `2nd` or `0800` as words; long rows of digits and those that begin with a
    zero are read digit by digit."""
    ordinal = text[-2:] in ("st", "nd", "rd", "th")
    whole, _, part = text.rstrip("stndrh").replace(",", "").partition(".")
    if len(whole) > 12 or (len(whole) > 1 and whole[0] == "0"):
        words = [SMALL[int(d)] for d in whole]
    else:
        words = number_words(int(whole))
    if part:
        words += ["point", *(SMALL[int(d)] for d in part)]
    if ordinal:
        last = words[-1]
        words[-1] = ORDINALS.get(last, last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return words


def spoken_words(chunk: str) -> list[str]:
    """The lower-case words that are said for what stands between two spaces."""
    for sign, name in SIGNS.items():
        chunk = chunk.replace(sign, f" {name} ")
    plain = unicodedata.normalize("NFKD", chunk.lower().replace("’", "'"))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    found: list[str] = []
    for part in PARTS.findall(plain):
        found += _read_number(part) if part[0].isdigit() else [part]
    return [word for word in found if word.strip("'")]


class Pronouncer:
    """Words to phones, by a lexicon and, for what it lacks, by `spell`."""

    def __init__(self, lexicon: Mapping[str, Phones], spell: Callable[[str], Phones]) -> None:
        self.lexicon, self._spell = lexicon, spell

    def __contains__(self, word: str) -> bool:
        return word in self.lexicon or word.strip("'") in self.lexicon

    def phones(self, word: str) -> Phones:
        """Of one lower-case word; may be empty where `spell` knows nothing to say."""
        bare = word.strip("'")
        return self.lexicon.get(word) or self.lexicon.get(bare) or self._spell(bare)

    def words(self, chunks: Sequence[str], units: Sequence[int] | None = None) -> list[Word]:
        """Words of what stands between spaces; what has no sound goes to its neighbour.

        units: tokens of each chunk. Empty where nothing of it is said.
        """
        found: list[Word] = []
        waiting = 0
        for chunk, count in zip(chunks, units or [1] * len(chunks), strict=True):
            phones = tuple(p for w in spoken_words(chunk) for p in self.phones(w))
            if phones:
                found.append(Word(phones, slot_of(chunk), count + waiting))
                waiting = 0
            elif found:
                last = found[-1]
                found[-1] = Word(last.phones, max(last.slot, slot_of(chunk)), last.units + count)
            else:
                waiting += count
        return found


def read_lexicon(path: Path) -> dict[str, Phones]:
    """Word → phones from lines `word PH PH ...`, the first pronunciation of each; plain or .gz."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        lines = [line.split() for line in file]
    return {
        parts[0]: tuple(NUMBER[p] for p in parts[1:])
        for parts in lines
        if len(parts) > 1 and "(" not in parts[0]
    }


def write_lexicon(path: Path, lexicon: Mapping[str, Phones]) -> None:
    """Write what `read_lexicon` reads, as .gz; the same lexicon gives the same bytes."""
    lines = (f"{w} {' '.join(SYMBOLS[p] for p in phones)}\n" for w, phones in lexicon.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(lines).encode(), mtime=0))
