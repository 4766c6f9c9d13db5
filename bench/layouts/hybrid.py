"""Layouts of text and speech together, as spoken language models use them.

N text ids, T speech rows of K ids at a fixed rate. A row is whatever one step of the model makes:
a frame of K books (delayed or not), or one id of a flattened stream (then K = 1).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bench.contracts import Ids
from bench.errors import UserError

EPSILON = -1  # the channel is predicted at this step, and holds padding (ε)
NONE = -2  # the channel is not there at this step: the other one has the position for itself


@dataclass(frozen=True)
class Word:
    """One aligned word: start and end in seconds, and its text ids [n], n ≥ 1."""

    start: float
    end: float
    ids: Ids


@dataclass(frozen=True)
class Spoken:
    """One utterance: its words in order of start, speech int64 [T, K], rows a second (Hz)."""

    words: tuple[Word, ...]
    speech: Ids
    rate: float

    def text(self) -> Ids:
        """All text ids [N]."""
        return np.concatenate([np.empty(0, dtype=np.int64), *(w.ids for w in self.words)])


@dataclass(frozen=True)
class Mixed:
    """The model's sequence: text int64 [S] and speech int64 [S, K]; ids, or EPSILON, or NONE."""

    text: Ids
    speech: Ids


@dataclass(frozen=True)
class MixedCost:
    """What one utterance costs.

    length: positions S, which is also the forward steps of the large model. text_ids, speech_rows:
    what they carry. padding: share of all predicted cells (a text cell or a speech row) that hold
    ε. wait: steps until the first speech row is made; divided by the model's steps a second it is
    how long a listener waits. lead: seconds of speech at the start that hold no word's start, which
    the listener hears as silence after the wait (0 for no words).
    """

    length: int
    text_ids: int
    speech_rows: int
    padding: float
    wait: int
    lead: float


class Hybrid(ABC):
    """An invertible map (text, speech) ↔ one sequence. `UserError` where an item does not suit."""

    name: ClassVar[str]
    source: ClassVar[str]

    def encode(self, item: Spoken) -> Mixed:
        """The model's sequence of one utterance."""
        _check(item)
        return self._lay(item)

    @abstractmethod
    def _lay(self, item: Spoken) -> Mixed: ...

    def decode(self, mixed: Mixed) -> tuple[Ids, Ids]:
        """Text ids [N] and speech rows [T, K]: all cells that hold ids, in order."""
        return mixed.text[mixed.text >= 0], mixed.speech[mixed.speech[:, 0] >= 0]

    def cost(self, item: Spoken) -> MixedCost:
        """Counted on the sequence itself."""
        mixed = self.encode(item)
        text, speech = mixed.text, mixed.speech[:, 0]
        cells = int((text != NONE).sum() + (speech != NONE).sum())
        padded = int((text == EPSILON).sum() + (speech == EPSILON).sum())
        made = np.flatnonzero(speech >= 0)
        return MixedCost(
            length=len(text),
            text_ids=int((text >= 0).sum()),
            speech_rows=len(made),
            padding=padded / cells if cells else 0.0,
            wait=int(made[0]) + 1 if len(made) else 0,
            lead=item.words[0].start if item.words else 0.0,
        )


# -------------------------------------------------------------------- one channel: text, speech
class _InTurn(Hybrid):
    """Pieces of text ids and of speech rows, one after the other."""

    @abstractmethod
    def _pieces(self, item: Spoken) -> list[tuple[Ids, Ids]]:
        """(text ids [n], speech rows [t, K]) in the order of the sequence, either may be empty."""

    def _lay(self, item: Spoken) -> Mixed:
        books = item.speech.shape[1]
        text, speech = [np.empty(0, dtype=np.int64)], [np.empty((0, books), dtype=np.int64)]
        for ids, rows in self._pieces(item):
            text += [ids, np.full(len(rows), NONE)]
            speech += [np.full((len(ids), books), NONE), rows]
        return Mixed(np.concatenate(text), np.concatenate(speech))


class TextThenSpeech(_InTurn):
    """All the text, then all the speech: S = N + T, the listener waits for the whole text."""

    name = "text-then-speech"
    source = "Spectron (Nachmani et al., 2023)"

    def _pieces(self, item: Spoken) -> list[tuple[Ids, Ids]]:
        return [(item.text(), item.speech)]


class WordByWord(_InTurn):
    """Each word's text, then the speech from its start to the next word's start: S = N + T.

    A row belongs to the word in whose span its middle lies; what comes before the first word goes
    with the first.
    """

    name = "word-by-word"
    source = (
        "alignment-wise interleaving as in ELLA-V (Song et al., 2024; there of phones); SpiRit-LM "
        "(Nguyen et al., 2024) changes channel at word boundaries without saying a word twice"
    )

    def _pieces(self, item: Spoken) -> list[tuple[Ids, Ids]]:
        if not item.words:
            return [(item.text(), item.speech)]
        middles = (np.arange(len(item.speech)) + 0.5) / item.rate
        cuts = np.searchsorted(middles, [w.start for w in item.words[1:]])
        pieces = np.split(item.speech, cuts)
        return [(w.ids, rows) for w, rows in zip(item.words, pieces, strict=True)]


class FixedChunks(_InTurn):
    """`text` text ids, `speech` speech rows, and again; what is left of either goes on alone."""

    name = "fixed-chunks"
    source = "GLM-4-Voice (Zeng et al., 2024): 13 text, 26 speech"

    def __init__(self, text: int = 13, speech: int = 26) -> None:
        if text < 1 or speech < 1:
            raise UserError(f"{self.name}: chunks of {text} and {speech}; give 1 or more each")
        self.text, self.speech = text, speech

    def _pieces(self, item: Spoken) -> list[tuple[Ids, Ids]]:
        ids = item.text()
        count = max(math.ceil(len(ids) / self.text), math.ceil(len(item.speech) / self.speech))
        return [
            (
                ids[n * self.text : (n + 1) * self.text],
                item.speech[n * self.speech : (n + 1) * self.speech],
            )
            for n in range(count)
        ]


# ------------------------------------------------------------------- two channels at every step
def _side_by_side(rows: int, text: Ids, at: Ids, speech: Ids, late: int) -> Mixed:
    """Two channels of `rows` steps: text[i] at step at[i], speech `late` steps on, ε elsewhere."""
    words = np.full(rows, EPSILON, dtype=np.int64)
    words[at] = text
    sounds = np.full((rows, speech.shape[1]), EPSILON, dtype=np.int64)
    sounds[late : late + len(speech)] = speech
    return Mixed(words, sounds)


class AtOnce(Hybrid):
    """Text and speech at the same steps: the text from step 0 on, the speech `wait` steps later.

    S = max(N, wait + T). After the text is told, its channel is ε to the end.
    """

    name = "at-once"
    source = "Mini-Omni (Xie & Wu, 2024): wait 1"

    def __init__(self, wait: int = 1) -> None:
        if wait < 0:
            raise UserError(f"{self.name}: wait={wait}; give 0 or more steps")
        self.wait = wait

    def _lay(self, item: Spoken) -> Mixed:
        text = item.text()
        rows = max(len(text), self.wait + len(item.speech) if len(item.speech) else 0)
        return _side_by_side(rows, text, np.arange(len(text)), item.speech, self.wait)


class FixedWait(AtOnce):
    """`AtOnce` with a wait that lets some text be ready before the first sound."""

    name = "fixed-wait"
    source = (
        "LLaMA-Omni (Fang et al., 2024), which speaks once a fixed number of units is there; here "
        "the wait is in steps"
    )

    def __init__(self, wait: int = 3) -> None:
        super().__init__(wait)


class AsAligned(Hybrid):
    """Speech at every step; each word's text from the step in which the word starts, else ε.

    A word that is still being written when the next one starts pushes it on; text left after the
    last row is written while the speech is ε. Speech may be `late` steps behind the text.
    """

    name = "as-aligned"
    source = "Moshi's inner monologue (Défossez et al., 2024), section 3.4.4; PAD and EPAD are ε"

    def __init__(self, late: int = 0) -> None:
        if late < 0:
            raise UserError(f"{self.name}: late={late}; give 0 or more steps")
        self.late = late

    def _lay(self, item: Spoken) -> Mixed:
        at: list[int] = []
        free = 0
        for word in item.words:
            step = max(free, math.floor(word.start * item.rate + 1e-6))
            free = step + len(word.ids)
            at += range(step, free)
        rows = max(free, self.late + len(item.speech) if len(item.speech) else 0)
        where = np.array(at, dtype=np.int64)
        return _side_by_side(rows, item.text(), where, item.speech, self.late)


class OneToOne(Hybrid):
    """A speech row for each text id: S = N = T, no padding. For text-aligned tokenizers."""

    name = "one-to-one"
    source = "TASTE (Tseng et al., 2025)"

    def _lay(self, item: Spoken) -> Mixed:
        text = item.text()
        if len(text) != len(item.speech):
            raise UserError(
                f"layout {self.name} wants a speech row for each text id, not {len(item.speech)} "
                f"rows for {len(text)} ids; it is for text-aligned tokenizers"
            )
        return Mixed(text, item.speech)


HYBRIDS: tuple[type[Hybrid], ...] = (
    TextThenSpeech,
    WordByWord,
    FixedChunks,
    AtOnce,
    FixedWait,
    AsAligned,
    OneToOne,
)


def _check(item: Spoken) -> None:
    if item.speech.ndim != 2 or item.speech.shape[1] < 1:
        raise UserError(f"speech is [T, K] with K ≥ 1, not {list(item.speech.shape)}")
    if not (item.rate > 0 and math.isfinite(item.rate)):
        raise UserError(f"speech of {item.rate} rows a second; give a positive rate")
    if (item.speech < 0).any() or (item.text() < 0).any():
        raise UserError("a text or speech id is negative; ids are 0 or more")
    starts = [w.start for w in item.words]
    if starts != sorted(starts) or any(s < 0 for s in starts):
        raise UserError("the words of an item must be in order of start, from 0 s on")
