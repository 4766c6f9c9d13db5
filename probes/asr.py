"""Characters by CTC: how much of the text the ids carry (CER, WER, greedy, no language model)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bench.probing import sequence
from bench.probing.contract import (
    Batch,
    Capacity,
    Ids,
    Labels,
    Losses,
    Outputs,
    Shape,
    Unusable,
    Values,
)
from bench.probing.inputs import Layout
from bench.probing.kinds import row
from bench.tracks.contract import TokenItem

if TYPE_CHECKING:
    from torch import Tensor

CTC = "Graves et al. 2006"


def characters(text: str) -> str:
    """Lower-case letters, digits, apostrophes, and single spaces."""
    kept = "".join(c if c.isalnum() or c == "'" else " " for c in text.casefold())
    return " ".join(kept.split())


class Asr:
    task, version, disjoint = "asr", "1", False
    rows = (
        row("asr_cer", "%", False, CTC, "character errors of a probe", (0.0, float("inf"))),
        row("asr_wer", "%", False, CTC, "word errors of a probe", (0.0, float("inf"))),
    )

    uses: Mapping[str, tuple[str, ...]] = {}

    def wants(self, item: TokenItem) -> bool:
        return bool(item.utterance.text and characters(item.utterance.text))

    def validate(self, items: Sequence[TokenItem], train: Ids) -> Labels:
        """Of the language with the most training speech; letters are those of its training text."""
        seconds: Counter[str] = Counter()
        for i in train:
            seconds[items[i].utterance.language] += items[i].seconds
        if not seconds:
            raise Unusable("the training data have no text")
        language = max(sorted(seconds), key=lambda name: seconds[name])
        texts = [characters(item.utterance.text or "") for item in items]
        own = [item.utterance.language == language for item in items]
        letters = tuple(sorted({c for i in train if own[i] for c in texts[i]}))
        if len(letters) < 2:
            raise Unusable("the training text has a single letter")
        index = {c: n for n, c in enumerate(letters)}
        layout = Layout.of([item.seconds for item in items])
        sequences, left_out = [], {}
        for i, text in enumerate(texts):
            found = [index[c] for c in text if c in index] if own[i] else []
            if found and not sequence.fits(found, int(layout.counts[i])):
                found, left_out[i] = (
                    [],
                    "its text is longer than CTC can place at 25 steps a second",
                )
            sequences.append(np.array(found, dtype=np.int64))
        notes = () if len(seconds) == 1 else (f"of the language '{language}' alone",)
        return Labels(sequence.empty(len(items)), letters, sequences=tuple(sequences),
                      left_out=left_out, notes=notes)  # fmt: skip

    def control(self, items: Sequence[TokenItem], labels: Labels, seed: int) -> Labels | None:
        """Each word's letters drawn at random once, the same wherever it recurs."""
        assert labels.sequences is not None
        texts = ["".join(labels.classes[n] for n in s) for s in labels.sequences]
        letters = [c for c in labels.classes if c != " "]
        drawn = sequence.random_words([w for t in texts for w in t.split(" ")], letters, seed)
        index = {c: n for n, c in enumerate(labels.classes)}
        made = []
        for text, item in zip(texts, items, strict=True):
            found = [index[c] for c in " ".join(drawn[w] for w in text.split(" "))]
            fit = sequence.fits(found, Layout.of([item.seconds]).frames)
            made.append(np.array(found if fit else [], dtype=np.int64))
        return replace(labels, sequences=tuple(made))

    def trivial(self, labels: Labels, train: Ids, test: Ids) -> Values | None:
        """Nothing at all: every character is missing."""
        return _counted(labels, test, [""] * len(test))

    def model(self, streams: int, size: Capacity, labels: Labels) -> Shape:
        return Shape("frame", 1 + len(labels.classes), size)

    def loss(self, output: Tensor, batch: Batch, labels: Labels) -> Losses:
        return Losses(sequence.ctc_loss(output, batch), batch.lengths.float())

    def symbols(self, labels: Labels) -> float:
        return sequence.bits(len(labels.classes))

    def score(self, outputs: Outputs, items: Sequence[TokenItem], labels: Labels) -> Values:
        said = ["".join(labels.classes[n] for n in sequence.greedy(o)) for o in outputs.output]
        return _counted(labels, outputs.items, said)

    def figures(self, values: Values, keep: npt.NDArray[np.bool_]) -> dict[str, float]:
        kept = keep[values["item"].astype(np.int64)]
        return {
            "asr_cer": sequence.share(values["wrong"][kept], values["letters"][kept]),
            "asr_wer": sequence.share(values["wrong_words"][kept], values["words"][kept]),
        }


def _counted(labels: Labels, items: Ids, said: Sequence[str]) -> Values:
    """Edits and lengths, in letters and words, of the items that have a text."""
    assert labels.sequences is not None
    made = []
    for item, text in zip(items.tolist(), said, strict=True):
        true = "".join(labels.classes[n] for n in labels.sequences[item])
        if true:
            words, heard = true.split(), text.split()
            made.append([item, sequence.edits(true, " ".join(heard)), len(true),
                         sequence.edits(words, heard), len(words)])  # fmt: skip
    table = np.array(made, dtype=np.float64).reshape(-1, 5)
    names = ("item", "wrong", "letters", "wrong_words", "words")
    return {name: table[:, n] for n, name in enumerate(names)}


def load() -> Asr:
    return Asr()
