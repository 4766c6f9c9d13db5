"""Forced alignment of English utterances with PocketSphinx: words and phones with their times."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from pocketsphinx import Decoder

from bench.suites.mini_sources import RATE, Pcm

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
PRONUNCIATIONS = {  # words that the dictionary of the package lacks
    "backtick": "B AE K T IH K", "caret": "K EH R AH T", "digium": "D IH JH IY AH M",
    "forevermore": "F ER EH V ER M AO R", "lowercase": "L OW ER K EY S",
    "pbx": "P IY B IY EH K S", "prepend": "P R IY P EH N D",
    "prepending": "P R IY P EH N D IH NG", "semicolon": "S EH M IY K OW L AH N",
    "undelete": "AH N D IH L IY T", "undeleted": "AH N D IH L IY T IH D",
    "unmute": "AH N M Y UW T", "unmuted": "AH N M Y UW T IH D",
    "uppercase": "AH P ER K EY S",
}  # fmt: skip
BEAMS: tuple[dict[str, float], ...] = (
    {},
    {"beam": 1e-80, "wbeam": 1e-80, "pbeam": 1e-80},
    {"beam": 1e-200, "wbeam": 1e-200, "pbeam": 1e-200},
)
FRAME = 0.01  # seconds
PADS = (0, 20, 10)  # frames of faint noise set around the recording, tried in order
Spans = list[dict[str, Any]]


def spoken(text: str) -> list[str] | None:
    """The words as said, lower case; None where the text does not tell (numbers, addresses)."""
    if re.search(r"\d\d|www\.", text):
        return None
    text = re.sub(r"\d", lambda m: f" {DIGITS[int(m[0])]} ", text.lower())
    return re.findall(r"[a-z']+", text.replace("-", " ").replace(".", " ")) or None


class Aligner:
    """Aligns one utterance at a time; the same input gives the same output in any order."""

    def __init__(self) -> None:
        self.decoders = [Decoder(lm=None, loglevel="FATAL", **beam) for beam in BEAMS]
        for decoder in self.decoders:
            for word, phones in PRONUNCIATIONS.items():
                if decoder.lookup_word(word) is None:
                    decoder.add_word(word, phones, True)
        self.mean = self.decoders[0].get_cmn(False)

    def align(self, pcm: Pcm, text: str) -> tuple[Spans, Spans] | None:
        """(words, phones), or None: a word without pronunciation, or no path to the end."""
        words = spoken(text)
        if words is None or any(self.decoders[0].lookup_word(w) is None for w in words):
            return None
        for pad in PADS:
            for decoder in self.decoders:
                decoder.set_cmn(self.mean)
                try:
                    found = _align(decoder, pcm, words, pad)
                except RuntimeError:  # the search did not reach the last state
                    continue
                if found is not None:
                    return found
        return None


def _align(decoder: Decoder, pcm: Pcm, words: list[str], pad: int) -> tuple[Spans, Spans] | None:
    length = len(pcm) / RATE
    noise = np.random.default_rng(0).integers(-4, 5, (2, int(pad * FRAME * RATE)), dtype=np.int16)
    pcm = np.concatenate([noise[0], pcm, noise[1]])
    decoder.set_align_text(" ".join(words))
    _process(decoder, pcm)
    if decoder.hyp() is None or decoder.hyp().hypstr.split() != words:
        return None
    decoder.set_alignment()
    _process(decoder, pcm)
    word_spans: Spans = []
    phone_spans: Spans = []
    for word in decoder.get_alignment():
        name = re.sub(r"\(\d+\)$", "", word.name)
        if not name.startswith(("<", "(")):
            word_spans.append({"word": name} | _span(word, pad, length))
        for phone in word:
            span = _span(phone, pad, length)
            if span["end"] > span["start"]:  # not silence of the padding alone
                phone_spans.append({"phone": phone.name} | span)
    if [w["word"] for w in word_spans] != words:
        return None
    return word_spans, phone_spans


def _process(decoder: Decoder, pcm: Pcm) -> None:
    decoder.start_utt()
    decoder.process_raw(np.ascontiguousarray(pcm).tobytes(), full_utt=True)
    decoder.end_utt()


def _span(item: Any, pad: int, length: float) -> dict[str, float]:
    """Start and end in seconds of the recording without its padding, inside it."""
    start, end = (round((n - pad) * FRAME, 2) for n in (item.start, item.start + item.duration))
    return {"start": min(max(start, 0.0), length), "end": min(max(end, 0.0), length)}
