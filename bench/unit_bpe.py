"""Byte-pair encoding over units: one character a unit, by Hugging Face's `tokenizers`.

"Acoustic BPE" (Shen et al., 2024, arXiv:2310.14580): pairs of units that follow each other often
become one token. There is no pre-tokenizer, so a token may reach over anything, and no
normalizer, so every sequence of units comes back as it was. A folder holds `tokenizer.json` (of
the package `tokenizers`), `config.json` and `CARD.md`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.checkpoint import CARD, CONFIG, PICKLES
from bench.contracts import Ids
from bench.errors import UserError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

KIND, FORMAT = "unit-bpe", 1
TABLE = "tokenizer.json"
FIRST = 0x4E00
"""Character of unit 0, the first CJK ideograph."""
MOST = 0xD800 - FIRST
"""Units there are characters for: from here on they are surrogates."""
TWICE = 2
"""Times that a pair must occur to be merged."""


class UnitBpe:
    """Units in [0, k) to tokens in [0, vocabulary) and back; vocabulary = k + merges.

    Token i < k is unit i. config: k, merges, dedup (trained on units without repetitions) and
    kmeans (revision of the k-means whose units they are). revision: identifies all of it.
    """

    def __init__(self, tokenizer: Tokenizer, config: dict[str, Any], revision: str) -> None:
        self.config, self.revision, self._tokenizer = config, revision, tokenizer
        self.k, self.merges = int(config["k"]), int(config["merges"])
        self.vocabulary = self.k + self.merges
        table = tokenizer.get_vocab()
        if sorted(table.values()) != list(range(self.vocabulary)) or any(
            table.get(chr(FIRST + unit)) != unit for unit in range(self.k)
        ):
            raise ValueError(f"its vocabulary is not of {self.k} units and {self.merges} merges")
        self._units = [_units(text) for text, _ in sorted(table.items(), key=lambda i: i[1])]

    def encode(self, units: Ids) -> Ids:
        """int64 [N] → int64 [M], M <= N."""
        return np.array(self._tokenizer.encode(_text(units)).ids, dtype=np.int64)

    def decode(self, tokens: Ids) -> Ids:
        """Inverse of `encode`; any sequence of tokens gives units."""
        if not len(tokens):
            return np.zeros(0, dtype=np.int64)
        return np.concatenate([self._units[token] for token in tokens.tolist()])


def learn(sequences: Sequence[Ids], k: int, merges: int) -> Tokenizer:
    """The first `merges` merges of `sequences` of units; UserError where there are not so many."""
    from tokenizers import Tokenizer, models, trainers

    if not 1 <= k <= MOST:
        raise UserError(f"k={k} is not possible with BPE: choose at most {MOST}")
    if merges < 1:
        raise UserError(f"--merges {merges} is not possible: choose 1 or more")
    made = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=k + merges,
        min_frequency=TWICE,
        initial_alphabet=[chr(FIRST + unit) for unit in range(k)],
        special_tokens=[],
        show_progress=False,
    )
    made.train_from_iterator((_text(units) for units in sequences), trainer)
    if (found := made.get_vocab_size() - k) < merges:
        raise UserError(
            f"--merges {merges} is more than the {found} pairs that occur twice in this speech: "
            "give more --data or choose fewer"
        )
    return made


def save(folder: Path, tokenizer: Tokenizer, config: dict[str, Any], card: str) -> None:
    """Write the folder; each file appears whole, `config.json` last."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {"format": FORMAT, "kind": KIND, "config": config}
    for name, text in (
        (TABLE, tokenizer.to_str()),
        (CARD, card),
        (CONFIG, json.dumps(about, indent=1) + "\n"),
    ):
        scratch = folder / f".{name}.part"
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(folder / name)


def load_bpe(folder: Path) -> UnitBpe:
    """Read the merges in `folder`; UserError where there are none or they are damaged."""
    from tokenizers import Tokenizer

    for name in (CONFIG, TABLE):
        if not (folder / name).is_file():
            pickled = sorted(p.name for glob in PICKLES for p in folder.glob(glob))
            found = f" ({pickled[0]} is a pickle and is refused)" if pickled else ""
            raise UserError(
                f"{folder} is no {KIND} folder: it lacks {name}{found}; make one with "
                "`bench train bpe`"
            )
    text = (folder / TABLE).read_bytes()
    try:
        about = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        kind, version, config = about["kind"], about["format"], about["config"]
        if kind != KIND or version != FORMAT:
            raise ValueError(f"it is of kind {kind!r}, format {version}")
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode() + text)
        return UnitBpe(Tokenizer.from_str(text.decode()), config, digest.hexdigest()[:12])
    except Exception as error:  # the package raises bare Exceptions
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{folder} is damaged or of another version ({reason}); fetch it again or make it anew "
            "with `bench train bpe`"
        ) from error


def folder_of(merges: int, dedup: bool) -> str:
    """Name of the folder of such merges beside `kmeans/`."""
    return f"bpe-{merges}" if dedup else f"bpe-{merges}-frames"


def _text(units: Ids) -> str:
    return "".join(map(chr, (units + FIRST).tolist()))


def _units(text: str) -> Ids:
    return np.array([ord(c) - FIRST for c in text], dtype=np.int64)
