"""A `taste` checkpoint with random weights, as small as its parts allow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from bench import checkpoint
from bench.nn.taste import KIND, Taste, TasteConfig
from bench.nn.taste_listen import READER
from bench.nn.taste_spelling import FOLDER, LEXICON, Speller
from bench.nn.taste_spelling import KIND as SPELLING
from bench.nn.taste_text import NUMBER, write_lexicon
from bench.nn.vocoder import KIND as VOCODER
from bench.nn.vocoder import UnitVocoder, VocoderConfig

VOICE: dict[str, Any] = VocoderConfig(
    500, 16_000 / 384, "12d4c2df0fd1", width=16, depth=1, decoder_width=16, decoder_depth=1
).to_dict()
CONFIG = TasteConfig(VOICE, ("someone",), 7.6, entries=16, width=16, text_depth=1, frame_depth=1)
LEXICON_WORDS = {
    "please": "P L IY Z", "enter": "EH N T ER", "your": "Y AO R", "agent": "EY JH AH N T",
    "number": "N AH M B ER", "the": "DH AH", "key": "K IY", "pound": "P AW N D", "five": "F AY V",
    "a": "AH", "cat": "K AE T", "two": "T UW", "twenty": "T W EH N T IY", "don't": "D OW N T",
}  # fmt: skip
WORDS = {word: tuple(NUMBER[p] for p in phones.split()) for word, phones in LEXICON_WORDS.items()}


def network(seed: int = 0) -> Taste:
    """Random weights, the codebooks spread over what the aggregator gives."""
    torch.manual_seed(seed)
    made = Taste(CONFIG)
    torch.nn.init.normal_(made.quantizer.vectors, std=0.5)
    torch.nn.init.normal_(made.mean, std=0.1)
    torch.nn.init.normal_(made.rest.weight, std=0.05)
    return made.eval()


def speller(folder: Path, seed: int = 0) -> None:
    torch.manual_seed(seed)
    checkpoint.save(folder, SPELLING, {"steps": 0}, Speller().state_dict())


def write(folder: Path, seed: int = 0) -> Path:
    """The whole folder that `--set weights=` names."""
    checkpoint.save(folder, KIND, CONFIG.to_dict(), network(seed).state_dict(), half=True)
    write_lexicon(folder / LEXICON, WORDS)
    speller(folder / FOLDER, seed)
    return folder


def write_aligner(folder: Path) -> Path:
    """What measures words, with a reader of random weights."""
    checkpoint.save(folder, READER, {}, network().reader.state_dict())
    write_lexicon(folder / LEXICON, WORDS)
    speller(folder / FOLDER)
    return folder


def write_units(folder: Path) -> Path:
    """A folder with `vocoder/` of the shipped k-means, which is linked beside it."""
    torch.manual_seed(1)
    checkpoint.save(
        folder / "vocoder", VOCODER, VOICE, UnitVocoder(VocoderConfig(**VOICE)).state_dict()
    )
    (folder / "kmeans").symlink_to(checkpoint.SHIPPED / "moonshine-k500" / "kmeans")
    return folder
