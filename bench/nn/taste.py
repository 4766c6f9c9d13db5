"""Text-aligned speech tokens: an aggregator, a residual quantizer, and a detokenizer.

After TASTE (Tseng et al. 2025, "TASTE: Text-Aligned Speech Tokenization and Embedding for Spoken
Language Modeling"). Cross-attention asks, with each word of the text as query, a deep layer of a
speech encoder (keys) for what a shallow one holds (values); the answer is quantized. The
detokenizer reads the text's phones and the speech tokens, gives durations, then units of the
encoder and pitch (non-autoregressively, as FastSpeech 2 does), and speaks with the unit vocoder.

Shapes: B utterances, S symbols (phones and slots), W words, F frames of 24 ms, T frames of 20 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.causal import ConvNeXt
from bench.nn.rvq import ResidualQuantizer
from bench.nn.soundstream import HOP as SOUND_HOP
from bench.nn.spectra import RATE
from bench.nn.taste_listen import HOP, MELS, VALUES, PhoneReader
from bench.nn.taste_text import SYMBOLS, Script
from bench.nn.vocoder import UnitVocoder, VocoderConfig
from bench.ssl_encoders import MoonshineEncoder

KIND = "taste"
LENGTHS = 3
"""Of a word, natural logs of 1 + frames: the word, the slot after it, the slot before the first."""
PLACES = 4
"""Of a frame: how far into its symbol and its word, log lengths of both."""
LONGEST = 250
"""Frames that a predicted word or pause is limited to."""
PITCH_LIMIT = 1.2
"""Octaves from the voice's mean that predicted pitch is limited to."""


@dataclass(frozen=True)
class TasteConfig:
    """vocoder: configuration of the unit vocoder inside; books, entries, dimension of the
    quantizer; width, text_depth, frame_depth of the detokenizer; speakers: those it was trained
    with, the first of whom it speaks as; octave: log2 of that voice's mean F0 in Hz."""

    vocoder: Mapping[str, Any]
    speakers: tuple[str, ...]
    octave: float
    books: int = 4
    entries: int = 256
    dimension: int = 32
    width: int = 256
    text_depth: int = 4
    frame_depth: int = 6

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Blocks(nn.Module):
    """Centred ConvNeXt blocks on padded rows [B, W, N]; padding stays zero."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ConvNeXt(width, causal=False) for _ in range(depth))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x) * mask[:, None]
        return x


def word_mean(x: Tensor, word: Tensor, real: Tensor, words: int) -> Tensor:
    """Mean over each word's phones: x [B, S, C], word [B, S], real [B, S] → [B, W, C]."""
    share = F.one_hot(word, words).to(x.dtype) * real[..., None]
    return (share / share.sum(1, keepdim=True).clamp(min=1)).transpose(1, 2) @ x


class Aggregator(nn.Module):
    """One vector for each word, from the frames that lie in it.

    Query: the word's phones; keys: the deep layer; values: the shallow layer, log-mels and pitch.
    Attention is confined to the word's own frames, and the word's lengths, which a mean over
    frames cannot tell, are added to what it gives.
    """

    def __init__(self, config: TasteConfig, width: int = 192, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.embed = nn.Embedding(len(SYMBOLS), width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(MoonshineEncoder.dimension + 2, width)
        self.value = nn.Linear(VALUES + 2, width)
        self.lengths = nn.Linear(LENGTHS, width)
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, width)
        self.out = nn.Linear(width, config.dimension)

    def forward(self, text: Text, deep: Tensor, values: Tensor, place: Tensor,
                inside: Tensor, lengths: Tensor) -> Tensor:  # fmt: skip
        """deep [B, F, 288], values [B, F, VALUES], place [B, F, 2] (how far into its word a frame
        lies, and the square), inside: bool [B, W, F], lengths [B, W, LENGTHS] → [B, W, D]."""
        asked = self.query(word_mean(self.embed(text.symbols), text.word, text.phone, text.words))
        key = self.key(torch.cat([deep, place], dim=-1))
        value = self.value(torch.cat([values, place], dim=-1))
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (asked, key, value))
        allowed = inside | ~inside.any(-1, keepdim=True)  # a word of padding may look anywhere
        told = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed[:, None])
        x = self.norm(told.transpose(1, 2).flatten(2) + self.lengths(lengths))
        return self.out(x + F.gelu(self.hidden(x)))


@dataclass(frozen=True)
class Text:
    """Scripts as a batch: symbols, word int64 [B, S]; slot, phone: bool [B, S] (both False for
    padding); words: W."""

    symbols: Tensor
    word: Tensor
    slot: Tensor
    phone: Tensor
    words: int

    @classmethod
    def of(cls, scripts: list[Script], device: torch.device | str) -> Text:
        longest = max(len(s.symbols) for s in scripts)

        def rows(parts: list[Any]) -> Tensor:
            return torch.stack([F.pad(torch.from_numpy(p), (0, longest - len(p))) for p in parts])

        return cls(
            rows([s.symbols for s in scripts]).to(device),
            rows([s.word for s in scripts]).to(device),
            rows([s.slot for s in scripts]).to(device),
            rows([~s.slot for s in scripts]).to(device),
            max(s.words for s in scripts),
        )

    @property
    def real(self) -> Tensor:
        return self.slot | self.phone


class Taste(nn.Module):
    """Aggregator, quantizer, detokenizer and the reader that aligns text and speech."""

    mean: Tensor

    def __init__(self, config: TasteConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.reader = PhoneReader()
        self.aggregator = Aggregator(config)
        self.quantizer = ResidualQuantizer(config.books, config.entries, config.dimension)
        self.register_buffer("mean", torch.zeros(config.dimension))
        self.embed = nn.Embedding(len(SYMBOLS), width)
        self.text = Blocks(width, config.text_depth)
        self.speech = nn.Sequential(
            nn.Linear(config.dimension, width), nn.GELU(), nn.Linear(width, width)
        )
        self.shares = nn.Parameter(torch.zeros(2))
        self.joint = Blocks(width, 2)
        self.lengths = nn.Sequential(
            nn.Linear(width + config.dimension, width), nn.GELU(), nn.Linear(width, LENGTHS)
        )
        self.parts = nn.Linear(width, 1)
        self.speaker = nn.Embedding(len(config.speakers), width)
        self.places = nn.Linear(PLACES, width)
        self.frames = Blocks(width, config.frame_depth)
        self.norm = nn.LayerNorm(width)
        self.mel = nn.Linear(width, MELS)
        self.vocoder = UnitVocoder(VocoderConfig(**config.vocoder))
        self.logits = nn.Linear(width, self.vocoder.config.units)
        self.rest = nn.Linear(width, self.vocoder.config.width)
        nn.init.zeros_(self.rest.weight)
        nn.init.zeros_(self.rest.bias)

    # ------------------------------------------------------------------------------ the tokens
    def decode_ids(self, ids: Tensor) -> Tensor:
        """Ids [K, W] of the first K codebooks → vectors [W, D]; K = 0 gives the mean."""
        if not len(ids):
            return self.mean.expand(ids.shape[1], -1)
        return self.quantizer.decode(ids)

    # ------------------------------------------------------------------------- the detokenizer
    def read(self, text: Text, vectors: Tensor) -> Tensor:
        """Symbols and speech vectors [B, W, D] → [B, S, C]."""
        mask = text.real.to(vectors.dtype)
        written = self.text(self.embed(text.symbols).transpose(1, 2) * mask[:, None], mask)
        index = text.word[..., None].expand(-1, -1, self.config.width)
        said = self.speech(vectors).gather(1, index).transpose(1, 2)
        written_share, said_share = (2 * self.shares.softmax(0)).unbind()
        return self.joint((written_share * written + said_share * said) * mask[:, None],
                          mask).transpose(1, 2)  # fmt: skip

    def durations(self, text: Text, x: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """log(1 + frames) [B, W, LENGTHS], and log shares of the phones in their word [B, S]."""
        heads = word_mean(x, text.word, text.phone, text.words)
        lengths = self.lengths(torch.cat([heads, vectors], dim=-1))
        weight = self.parts(x)[..., 0].clamp(-8, 8)
        total = x.new_zeros(len(x), text.words).scatter_add(1, text.word, weight.exp() * text.phone)
        return lengths, weight - total.gather(1, text.word).clamp(min=1e-6).log()

    def shape(self, x: Tensor, at: Tensor, places: Tensor, speaker: Tensor,
              mask: Tensor) -> Tensor:  # fmt: skip
        """Symbols [B, S, C] spread over frames: at int64 [B, F], places [B, F, PLACES],
        speaker int64 [B], mask [B, F] → [B, F, C]."""
        spread = x.gather(1, at[..., None].expand(-1, -1, x.shape[-1]))
        spread = spread + self.places(places) + self.speaker(speaker)[:, None]
        mask = mask.to(x.dtype)
        return self.norm(self.frames((spread * mask[..., None]).transpose(1, 2), mask)
                         .transpose(1, 2)) * mask[..., None]  # fmt: skip

    def units(self, shaped: Tensor) -> Tensor:
        """[B, F, C] → logits of the encoder's units [B, F, V]."""
        return self.logits(shaped)

    def hidden(self, shaped: Tensor, logits: Tensor, at: Tensor) -> Tensor:
        """What the vocoder speaks from, [B, C', T]: expected units and what they do not tell.

        at: int64 [B, T], the 24 ms frame in whose time each 20 ms frame's middle lies.
        """
        x = (logits.softmax(-1) @ self.vocoder.embed.weight).transpose(1, 2)
        for block in self.vocoder.blocks:
            x = block(x)
        x = x + self.rest(shaped).transpose(1, 2)
        return x.gather(2, at[:, None].expand(-1, x.shape[1], -1))

    @torch.inference_mode()
    def speak(self, text: Script, ids: Tensor, pace: Tensor | None = None) -> Tensor:
        """Speech float32 [L] at 16 kHz of one utterance.

        ids: int64 [K, W] on any device; pace: frames of each symbol int64 [S], or None to predict
        them.
        """
        device = self.mean.device
        batch = Text.of([text], device)
        vectors = self.decode_ids(ids.to(device))[None]
        x = self.read(batch, vectors)
        if pace is None:
            lengths, parts = self.durations(batch, x, vectors)
            pace = lay_out(text, lengths[0].cpu(), parts[0].cpu())
        at, places = spread(text, pace.numpy())
        shaped = self.shape(x, torch.from_numpy(at)[None].to(device),
                            torch.from_numpy(places)[None].to(device),
                            torch.zeros(1, dtype=torch.long, device=device),
                            torch.ones(1, len(at), device=device))  # fmt: skip
        fine = torch.from_numpy(fine_frames(0, len(at)))[None].to(device)
        hidden = self.hidden(shaped, self.units(shaped), fine)
        prosody = self.vocoder.own_prosody(hidden)
        prosody = prosody.clamp(-PITCH_LIMIT, PITCH_LIMIT)
        return self.vocoder.sound(hidden, prosody)[0].clamp(-1, 1).cpu()


def lay_out(text: Script, lengths: Tensor, parts: Tensor) -> Tensor:
    """Frames of each symbol, int64 [S], from predicted lengths [W, LENGTHS] and log shares [S].

    A word gets at least a frame a phone; boundaries are rounded, not lengths, so that errors do
    not add up.
    """
    told = (lengths.double().exp() - 1).round().clamp(0, LONGEST).long()
    frames = torch.zeros(len(text.symbols), dtype=torch.long)
    word, slot = torch.from_numpy(text.word), torch.from_numpy(text.slot)
    frames[0] = told[0, 2]
    ends = slot.nonzero()[1:, 0]
    frames[ends] = told[:, 1]
    for n in range(text.words):
        own = ((word == n) & ~slot).nonzero()[:, 0]
        spare = int(told[n, 0].clamp(min=len(own))) - len(own)
        share = parts[own].double().exp()
        bounds = (share.cumsum(0) / share.sum() * (spare + len(own))).round().long()
        order = torch.arange(len(own))
        bounds = torch.maximum(bounds, order + 1)
        bounds = (bounds - order).cummax(0).values + order  # a frame a phone
        bounds = torch.minimum(bounds, spare + 1 + order)  # and one for each still to come
        frames[own] = bounds.diff(prepend=bounds.new_zeros(1))
    return frames


def spread(text: Script, pace: np.ndarray[Any, Any]) -> tuple[Any, Any]:
    """(at int64 [F], places float32 [F, PLACES]) of symbols that last `pace` frames each."""
    at = np.repeat(np.arange(len(pace)), pace)
    starts = np.cumsum(pace) - pace
    own = np.where(text.slot, text.words + np.arange(len(pace)), text.word)  # a slot is no word
    first = np.full(own.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, own, starts)
    whole = np.bincount(own, pace, minlength=len(first))
    step = np.arange(len(at)) + 0.5
    places = np.stack([
        (step - starts[at]) / pace[at],
        (step - first[own[at]]) / whole[own[at]],
        np.log1p(pace[at]) - 1.5,
        np.log1p(whole[own[at]]) - 2.5,
    ], axis=1).astype(np.float32)  # fmt: skip
    return at, places


def fine_frames(start: int, frames: int) -> Any:
    """For the 20 ms frames whose middles lie in `frames` frames of 24 ms from `start` on: the
    frame of each, counted from `start`; int64 [T]."""
    first = int(np.ceil(start * HOP / SOUND_HOP - 0.5))
    last = int(np.ceil((start + frames) * HOP / SOUND_HOP - 0.5))
    middle = (np.arange(first, last) + 0.5) * SOUND_HOP
    return np.clip((middle // HOP).astype(np.int64) - start, 0, frames - 1)


__all__ = [
    "HOP",
    "KIND",
    "RATE",
    "Taste",
    "TasteConfig",
    "Text",
    "fine_frames",
    "lay_out",
    "spread",
]
