"""Letters to phones for words that no lexicon has: a small network, read greedily by CTC.

Two places a letter, each a phone or nothing; what repeats without a nothing between is one phone
(Graves et al. 2006).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from bench import checkpoint
from bench.errors import UserError
from bench.nn.causal import ConvNeXt
from bench.nn.taste_text import PHONES, SLOTS, Phones, Pronouncer, read_lexicon

KIND = "taste-spelling"
FOLDER, LEXICON = "spelling", "lexicon.txt.gz"
LETTERS = "abcdefghijklmnopqrstuvwxyz'"
NOTHING = len(PHONES)


class Speller(nn.Module):
    """Letters int64 [B, N], 0 for padding, → logits [B, 2·N, 40]."""

    def __init__(self, width: int = 96, depth: int = 4) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(LETTERS) + 1, width, padding_idx=0)
        self.places = nn.Parameter(torch.zeros(2, width))
        self.blocks = nn.ModuleList(
            ConvNeXt(width, kernel=9, expansion=2, scale=0.5, causal=False) for _ in range(depth)
        )
        self.out = nn.Linear(width, len(PHONES) + 1)
        nn.init.normal_(self.places, std=0.5)

    def forward(self, letters: Tensor) -> Tensor:
        real = (letters > 0).repeat_interleave(2, 1)[:, None].to(self.places.dtype)
        x = (self.embed(letters)[:, :, None] + self.places).flatten(1, 2).transpose(1, 2) * real
        for block in self.blocks:
            x = block(x) * real
        return self.out(x.transpose(1, 2))

    @torch.inference_mode()
    def spell(self, word: str) -> Phones:
        """Phones of a lower-case word; none where it has no letters, or all stay silent."""
        letters = numbers(word)
        if not letters:
            return ()
        best = self(torch.tensor([letters]))[0].argmax(-1).tolist()
        heard = [p for n, p in enumerate(best) if p != NOTHING and (n == 0 or best[n - 1] != p)]
        return tuple(p + len(SLOTS) for p in heard)


def numbers(word: str) -> list[int]:
    """Each letter's number, from 1 on; other signs are left out."""
    return [LETTERS.index(c) + 1 for c in word if c in LETTERS]


def load_pronouncer(folder: Path) -> Pronouncer:
    """The lexicon and the speller that lie in a `taste` checkpoint; UserError where they do not."""
    path = folder / LEXICON
    if not path.is_file():
        raise UserError(f"{folder} lacks {LEXICON}; make the checkpoint with `bench train taste`")
    try:
        lexicon = read_lexicon(path)
    except (OSError, EOFError, KeyError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} is no lexicon of a taste checkpoint ({type(error).__name__}); make it anew "
            "with `bench train taste`"
        ) from error
    speller = Speller()
    checkpoint.load(folder / FOLDER, KIND).fill(speller)
    return Pronouncer(lexicon, speller.eval().spell)
