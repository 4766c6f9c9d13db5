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

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.checkpoint import Checkpoint
from bench.contracts import Ids
from bench.errors import UserError
from bench.nn.causal import ConvNeXt
from bench.nn.rvq import ResidualQuantizer
from bench.nn.taste_listen import MELS, VALUES, Heard, PhoneReader
from bench.nn.taste_text import SYMBOLS, Script
from bench.nn.taste_times import LENGTHS, PLACES, fine_frames, lay_out, lengths_of, spread
from bench.nn.vocoder import PROSODY, UnitVocoder, VocoderConfig
from bench.ssl_encoders import MoonshineEncoder

KIND = "taste"
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
    width: int = 192
    text_depth: int = 3
    frame_depth: int = 4

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Blocks(nn.Module):
    """Centred ConvNeXt blocks on padded rows [B, W, N]; padding stays zero."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            ConvNeXt(width, expansion=2, causal=False) for _ in range(depth)
        )

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

    def __init__(self, config: TasteConfig, width: int = 128, heads: int = 4) -> None:
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
        self.dropout = nn.Dropout(0.1)
        self.joint = Blocks(width, 1)
        self.lengths = nn.Sequential(
            nn.Linear(width + config.dimension, width), nn.GELU(), nn.Linear(width, LENGTHS)
        )
        self.parts = nn.Linear(width, 1)
        self.speaker = nn.Embedding(len(config.speakers), width)
        self.places = nn.Linear(PLACES, width)
        self.frames = Blocks(width, config.frame_depth)
        self.norm = nn.LayerNorm(width)
        self.mel = nn.Linear(width, MELS)
        self.prosody = nn.Linear(width, PROSODY)
        self.vocoder = UnitVocoder(VocoderConfig(**config.vocoder))
        self.logits = nn.Linear(width, self.vocoder.config.units)
        self.rest = nn.Linear(width, self.vocoder.config.width)
        nn.init.zeros_(self.rest.weight)
        nn.init.zeros_(self.rest.bias)

    # ------------------------------------------------------------------------------ the tokens
    @torch.inference_mode()
    def listen(self, heard: Heard, text: Script, pace: Ids) -> Tensor:
        """Vectors [W, D], not quantized, of the words of one utterance; pace: frames of each symbol
        int64 [S]."""
        device = self.mean.device
        lengths, inside, place = lengths_of(text, pace)
        parts = (heard.deep, heard.values(heard.base(self.config.octave)), place, inside, lengths)
        return self.aggregator(
            Text.of([text], device), *(torch.from_numpy(p)[None].to(device) for p in parts)
        )[0]

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
        both = self.dropout(written_share * written + said_share * said)
        return self.joint(both * mask[:, None],
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
        spread = self.dropout(spread + self.places(places) + self.speaker(speaker)[:, None])
        mask = mask.to(x.dtype)
        return self.norm(self.frames((spread * mask[..., None]).transpose(1, 2), mask)
                         .transpose(1, 2)) * mask[..., None]  # fmt: skip

    def own_prosody(self, shaped: Tensor) -> Tensor:
        """[B, F, C] → voiced (0 or 1) and octaves above the voice's mean [B, 2, F], decided."""
        voicing, pitch = self.prosody(shaped).unbind(-1)
        voiced = (voicing > 0).to(pitch.dtype)
        return torch.stack([voiced, pitch.clamp(-PITCH_LIMIT, PITCH_LIMIT) * voiced], dim=1)

    def sound(self, shaped: Tensor, prosody: Tensor, at: Tensor, mask: Tensor) -> Tensor:
        """[B, F, C] and prosody [B, 2, T] → [B, 320·T], from expected units and the rest.

        at: int64 [B, T], the 24 ms frame in whose time each 20 ms frame's middle lies; mask [B, F].
        """
        units = self.logits(shaped).softmax(-1) @ self.vocoder.embed.weight
        x = (units * mask[..., None]).transpose(1, 2)
        for block in self.vocoder.blocks:
            x = block(x)
        x = x + self.rest(shaped).transpose(1, 2)
        x = x.gather(2, at[:, None].expand(-1, x.shape[1], -1))
        return self.vocoder.sound(x, prosody)

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
        mask = torch.ones(1, len(at), device=device)
        shaped = self.shape(x, torch.from_numpy(at)[None].to(device),
                            torch.from_numpy(places)[None].to(device),
                            torch.zeros(1, dtype=torch.long, device=device), mask)  # fmt: skip
        fine = torch.from_numpy(fine_frames(0, len(at)))[None].to(device)
        prosody = self.own_prosody(shaped)[..., fine[0]]
        return self.sound(shaped, prosody, fine, mask)[0].clamp(-1, 1).cpu()


def read_config(found: Checkpoint) -> TasteConfig:
    """The configuration of a checkpoint; UserError where it is of another version."""
    try:
        return TasteConfig(**found.config)
    except TypeError as error:
        raise UserError(
            f"{found.folder}: its configuration is of another version ({error})"
        ) from error
