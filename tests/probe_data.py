"""Made-up speech for the tests of probes: items with labels and ids, and the engine's context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.contracts import Stream, TokenizerInfo, Tokens, Utterance
from bench.progress import Quiet
from bench.suites.spans import Span
from bench.tracks.contract import OWN, TRAIN, VALIDATION, TokenItem

PHONES = ("AA", "B", "IY", "K", "SIL")
RATE = 50.0
INFO = TokenizerInfo("made", "reference", 16_000, (Stream("a", 16, RATE),), revision="1")
Code = Callable[[TokenItem, np.random.Generator], np.ndarray]


def phone_of(item: TokenItem, rate: float = RATE) -> np.ndarray:
    """Number of the phone in the middle of each id."""
    middle = (np.arange(int(item.seconds * rate)) + 0.5) / rate
    spans = item.phones or ()
    return np.array(
        [next((PHONES.index(s.label) for s in spans if s.start <= t < s.end), 4) for t in middle]
    )


def speaker_of(item: TokenItem, rng: np.random.Generator) -> np.ndarray:
    """The speaker's number, over and over."""
    return np.full(int(item.seconds * RATE), int(item.utterance.speaker[1:]))


def random_of(item: TokenItem, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(16, size=int(item.seconds * RATE))


def spoken_of(item: TokenItem, rng: np.random.Generator) -> np.ndarray:
    """Two ids for each phone, by turns at random."""
    phones = phone_of(item)
    return 2 * phones + rng.integers(2, size=len(phones))


def items(code: Code, count: int = 120, speakers: int = 6, seed: int = 0) -> list[TokenItem]:
    """Utterances of 1 to 1.4 s: half to train on, a quarter each to choose by and to score."""
    rng = np.random.default_rng(seed)
    made = []
    for n in range(count):
        split = (TRAIN, OWN, TRAIN, VALIDATION)[n % 4]
        seconds = float(rng.uniform(1.0, 1.4))
        spans, at = [], 0.0
        while at < seconds - 0.1:
            end = min(seconds, at + float(rng.uniform(0.06, 0.2)))
            spans.append(Span(PHONES[int(rng.integers(5))], at, end))
            at = end
        text = " ".join("".join(rng.choice(list("abc"), size=2)) for _ in range(2))
        speaker = f"s{(n // 4) % speakers}"
        affect = ("calm", "angry")[int(rng.integers(2))]
        said = Utterance(f"u{n:03d}", "made", "en", speaker, seconds, text, affect)
        samples = rng.normal(0, 0.1, int(seconds * 16_000)).astype(np.float32)
        item = TokenItem(said, split, seconds, tuple(spans), None, _none, lambda rate, x=samples: x)
        tokens = Tokens((code(item, rng).astype(np.int64),))
        made.append(replace(item, read=lambda tokens=tokens: tokens))
    return made


def _none() -> Tokens:
    raise AssertionError("no ids yet")


@dataclass
class Context:
    """`bench.tracks.contract.TokenContext` over made items; rows: those wanted, all if empty."""

    made: Sequence[TokenItem]
    cache: Path
    rows: set[str] = field(default_factory=set)
    info: TokenizerInfo = INFO
    seed: int = 0
    threads: int = 1
    batch_seconds: float = 60.0
    tokenizer: Any = None
    identity: Any = field(default_factory=dict)
    reporter: Any = field(default_factory=Quiet)

    def items(self, split: str = OWN) -> list[TokenItem]:
        return [item for item in self.made if item.split == split]

    def expected(self, split: str = OWN) -> int:
        return len(self.items(split))

    def wanted(self, row: str) -> bool:
        return not self.rows or row in self.rows
