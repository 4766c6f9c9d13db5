"""How far byte-pair encoding shortens sequences: merges learnt on one set, counted on another.

By Hugging Face's `tokenizers`, one character a symbol, neither normalizer nor pre-tokenizer
("acoustic BPE": Shen et al. 2024, arXiv:2310.14580; over several codebooks: codec-bpe).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.tokenstats.counts import Ids

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FIRST, SURROGATES, LAST = 0x4E00, (0xD800, 0xE000), 0x110000
PIECE = 256  # symbols of a training sequence that may merge with each other; longer ones are slow
TWICE = 2  # times a pair must occur to be merged


@dataclass(frozen=True)
class Alphabet:
    """The symbols that occur, each as one character. symbols: int64 [M], rising."""

    symbols: Ids

    @classmethod
    def of(cls, sequences: Iterable[Ids]) -> Alphabet:
        """Of everything that is to be learnt from or counted; ValueError for over a million."""
        found = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *map(np.unique, sequences)]))
        if len(found) > LAST - FIRST - (SURROGATES[1] - SURROGATES[0]):
            raise ValueError(f"{len(found)} different symbols are more than there are characters")
        return cls(found.astype(np.int64))

    def text(self, symbols: Ids) -> str:
        """Characters of symbols [N]."""
        codes = np.searchsorted(self.symbols, symbols) + FIRST
        codes = codes + (codes >= SURROGATES[0]) * (SURROGATES[1] - SURROGATES[0])
        return codes.astype("<u4").tobytes().decode("utf-32-le")

    def characters(self) -> list[str]:
        return list(self.text(self.symbols))


@dataclass(frozen=True)
class Merges:
    """Pairs in the order in which they were merged; the first n are what n merges would learn."""

    alphabet: Alphabet
    pairs: tuple[tuple[str, str], ...]

    def words(self, count: int) -> set[str]:
        """What the first `count` merges make, as characters."""
        return {a + b for a, b in self.pairs[:count]}

    def split(self, sequences: Sequence[Ids], count: int) -> list[list[str]]:
        """Tokens of each sequence under the first `count` merges, as characters."""
        if not sequences:
            return []
        made = _model(self.alphabet, self.pairs[:count]).encode_batch(
            [self.alphabet.text(s) for s in sequences], add_special_tokens=False
        )
        return [encoding.tokens for encoding in made]


def learn(sequences: Sequence[Ids], alphabet: Alphabet, merges: int) -> Merges:
    """At most `merges` merges of pairs that occur twice or more; deterministic.

    Sequences are cut into pieces of `PIECE` symbols, over whose ends nothing is merged.
    """
    import json

    from tokenizers import Tokenizer, models, trainers

    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet.symbols) + merges,
        min_frequency=TWICE,
        initial_alphabet=alphabet.characters(),
        special_tokens=[],
        show_progress=False,
    )
    made = Tokenizer(models.BPE())
    texts = (alphabet.text(s[i : i + PIECE]) for s in sequences for i in range(0, len(s), PIECE))
    made.train_from_iterator(texts, trainer)
    stored = json.loads(made.to_str())["model"]["merges"]
    return Merges(alphabet, tuple((a, b) for a, b in stored))


def _model(alphabet: Alphabet, pairs: tuple[tuple[str, str], ...]) -> Tokenizer:
    from tokenizers import Tokenizer, models

    tokens = dict.fromkeys([*alphabet.characters(), *(a + b for a, b in pairs)])
    vocabulary = {token: index for index, token in enumerate(tokens)}
    return Tokenizer(models.BPE(vocab=vocabulary, merges=list(pairs)))
