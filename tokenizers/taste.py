"""TASTE: one group of speech ids for each token of the transcript, beside the transcript itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench import checkpoint
from bench.contracts import AudioBatch, Samples, Stream, Tokenizer, TokenizerInfo, Tokens
from bench.errors import ItemFailure
from bench.moonshine import Moonshine
from bench.nn.taste_text import Pronouncer, Word, script

RATE = 16_000
SILENCE_SECONDS = 0.5  # what an empty text sounds like
CARD: dict[str, Any] = {
    "family": "text-aligned",
    "sample_rate": 16_000,
    "frame_rate": None,
    "streams": ((1, 32_768), (4, 256)),
    "kbps": None,
    "licence": "Apache-2.0 (weights); MIT (Moonshine); speech: see CARD.md",
    "weights": ("package:moonshine-voice", "shipped:taste/model.safetensors"),
}


class Taste:
    """A text stream and K speech streams, all of the length of the text.

    Words are found in the sound by a forced alignment on the encoder's frames; what attention
    over a word's frames gives is quantized once a word, and its ids stand at each of the word's
    text tokens. Decoding takes a word's ids from its first token. A prefix of the streams decodes
    too: the text alone is spoken with the mean of the speech vectors.
    """

    def __init__(self, found: checkpoint.Checkpoint, pronouncer: Pronouncer, recogniser: Moonshine,
                 text: str, device: str) -> None:  # fmt: skip
        from bench.nn.taste import Taste as Network
        from bench.nn.taste import read_config
        from bench.nn.taste_listen import Ears

        config = read_config(found)
        self._network = Network(config)
        found.fill(self._network)
        self._network = self._network.to(device).eval()
        self._pronouncer, self._recogniser, self._text = pronouncer, recogniser, text
        self._ears, self._device = Ears(device), device
        books = (Stream(f"q{k + 1}", config.entries) for k in range(config.books))
        self.info = TokenizerInfo(
            name="taste",
            family="text-aligned",
            sample_rate=RATE,
            streams=(Stream("text", recogniser.vocabulary), *books),
            nested=True,
            parameters=27_000_000 + sum(t.numel() for t in found.tensors.values()),
            licence=CARD["licence"],
            source="Tseng et al. 2025, TASTE, arXiv:2504.07053",
            training_data="see CARD.md and data.csv beside the weights",
            training_speakers=found.speakers(),
            revision=f"{found.revision};{recogniser.revision}",
            batching="any",
        )

    # ------------------------------------------------------------------------------ sound to ids
    def encode(self, batch: AudioBatch) -> list[Tokens]:
        """int64 [N] for the text and for each codebook, N the tokens of the text (0: nothing was
        heard). ItemFailure where a text is wanted and none given, or it does not fit the sound."""
        return [self._encode(*item) for item in zip(batch.items(), batch.texts, strict=True)]

    def features(self, batch: AudioBatch) -> list[Samples]:
        """What is quantized, float32 [N, D]: a vector for each token of the text."""
        found = []
        for audio, text in zip(batch.items(), batch.texts, strict=True):
            words = self.words(self._written(audio, text))
            vectors = self._vectors(audio, words).cpu().numpy()
            found.append(np.repeat(vectors, [word.units for word in words], axis=0))
        return found

    def _encode(self, audio: Samples, text: str | None) -> Tokens:
        written = self._written(audio, text)
        words = self.words(written)
        ids = self._network.quantizer.encode(self._vectors(audio, words)).cpu().numpy()
        counts = [word.units for word in words]
        books = [np.repeat(row, counts) for row in ids]
        if not words:  # tokens that say nothing
            books = [np.zeros(len(written), dtype=np.int64) for _ in books]
        return Tokens((np.array(written, dtype=np.int64), *books))

    def _written(self, audio: Samples, text: str | None) -> list[int]:
        if self._text == "asr":
            return self._recogniser.transcribe_ids([audio])[0]
        if text is None:
            raise ItemFailure("text=reference, but the manifest has no transcript of it")
        return self._recogniser.tokenize(text)

    def _vectors(self, audio: Samples, words: list[Word]) -> Any:
        """float32 [W, D]."""
        import torch

        if not words:
            return torch.zeros(0, self._network.config.dimension, device=self._device)
        heard, text = self._ears(audio), script(words)
        return self._network.listen(heard, text, self._network.reader.align(heard, text))

    # ------------------------------------------------------------------------------ ids to sound
    def decode(self, tokens: list[Tokens]) -> list[Samples]:
        """Speech as long as the tokens make it, float32 [L] at 16 kHz."""
        return [self._decode(item) for item in tokens]

    def _decode(self, item: Tokens) -> Samples:
        import torch

        written, *books = item.streams
        if any(len(ids) != len(written) for ids in books):
            raise ItemFailure(f"{len(written)} text ids have {[len(b) for b in books]} speech ids")
        words = self.words(written.tolist())
        if not words:
            return np.zeros(int(SILENCE_SECONDS * RATE), dtype=np.float32)
        first = np.cumsum([0, *(word.units for word in words[:-1])])
        ids = np.stack([b[first] for b in books]) if books else np.zeros((0, len(words)), np.int64)
        made = self._network.speak(script(words), torch.from_numpy(ids))
        return made.numpy().astype(np.float32, copy=False)

    def spans(self, tokens: Tokens) -> list[tuple[str, int]]:
        """The words of an item as written, each with how many ids of every stream are its own."""
        written = tokens.streams[0].tolist()
        found, at = [], 0
        for word in self.words(written):
            own = written[at : at + word.units]
            found.append((self._recogniser.detokenize(own), word.units))
            at += word.units
        return found

    def words(self, written: list[int]) -> list[Word]:
        """Words of text ids, each with how many of them are its own; Σ units = len(written) where
        there is a word at all."""
        groups: list[list[int]] = []
        for token in written:
            if not groups or self._recogniser.pieces[token].startswith("▁".encode()):
                groups.append([])
            groups[-1].append(token)
        chunks = [self._recogniser.detokenize(group) for group in groups]
        return self._pronouncer.words(chunks, [len(group) for group in groups])


def load(
    *,
    device: str = "cpu",
    text: Literal["asr", "reference"] = "asr",
    weights: str | None = None,
) -> Tokenizer:
    """text: what is written beside the speech tokens, Moonshine's transcript or the manifest's;
    weights: folder of a checkpoint made by `bench train taste`, folder or hub id of the published
    model (needs its package), else what ships."""
    from bench.tokenizers import _taste_published as published

    if weights is not None and published.is_published(weights):
        return published.load_published(weights, text=text, device=device)
    from bench.nn.taste import KIND
    from bench.nn.taste_spelling import load_pronouncer

    folder: Path = checkpoint.find("taste", weights)
    found = checkpoint.load(folder, KIND)
    pronouncer = load_pronouncer(folder)
    return Taste(found, pronouncer, Moonshine(threads=1), text, device)
