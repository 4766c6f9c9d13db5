"""Training of `taste`: reconstruction without quantizer, with it, with quantizer dropout; sound.

1. Up to `warmup` without quantizer. 2. From there on k-means of real words starts it; from
`dropout` on some words get fewer codebooks, or none, in whose place their mean stands. What is
reconstructed are the encoder's units, log-mels, voicing, pitch and all durations. 3. From
`sound_from` on the tokens are fixed and the waveform is learned too, by its log-mel distance.
4. From `adversarial_from` on against discriminators. What is kept from 3 on is the moving average
of all weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bench import checkpoint
from bench.nn.spectra import MelDistance
from bench.nn.taste import KIND, Taste, TasteConfig
from bench.train.adversary import Adversary
from bench.train.gan import Fade, average, constant, descend, optimizer
from bench.train.loop import cosine
from bench.train.soundstream import MEL_SCALES
from bench.train.taste_data import WindowBatch, Windows

START_WORDS = 3000
"""Words from which k-means starts the quantizer."""
DEPTHS = (0.08, 0.1, 0.12, 0.15, 0.55)
"""How often quantizer dropout leaves 0, 1, 2, ... codebooks (of four; the last: all)."""
WEIGHTS = {"units": 1.0, "mels": 1.0, "voice": 0.5, "pitch": 4.0, "word": 2.0, "pause": 0.7,
           "shares": 0.3}  # fmt: skip
NEAR = 0.05
"""Seconds within which a predicted duration counts as right."""


@dataclass(frozen=True)
class Settings:
    """Everything a run depends on besides the speech and what it starts from.

    batch: windows with sound; others: windows of any voice and tempo beside them. mel, match:
    weights of the log-mel distance and of feature matching beside the adversarial loss. start:
    revision of the unit vocoder that it began with.
    """

    model: TasteConfig
    seed: int = 0
    batch: int = 6
    others: int = 4
    warmup: int = 1000
    dropout: int = 1800
    sound_from: int = 4000
    adversarial_from: int = 6000
    rate: float = 8e-4
    sound_rate: float = 3e-4
    judge_rate: float = 2e-4
    commitment: float = 0.5
    mel: float = 8.0
    match: float = 2.0
    discriminators: int = 1
    average: float = 0.999
    start: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Trainer:
    """One run; `step(n)` trains once and returns its losses.

    fade: factor of the learning rate once sound is learned.
    """

    def __init__(self, settings: Settings, train: Windows, held: Windows, device: str,
                 fade: Fade = constant) -> None:  # fmt: skip
        self.settings, self.train, self.device, self.fade = settings, train, device, fade
        torch.manual_seed(settings.seed)
        self.model = Taste(settings.model).to(device)
        self.average = Taste(settings.model).to(device)
        self.adversary = Adversary().to(device)
        self.distance = MelDistance(MEL_SCALES).to(device)
        frozen = (*self.model.reader.parameters(), *self.model.vocoder.durations.parameters())
        for parameter in frozen:
            parameter.requires_grad_(False)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.makers = optimizer(trained, settings.rate, (0.8, 0.95))
        self.judges = optimizer(self.adversary.parameters(), settings.judge_rate, (0.5, 0.9))
        self._random = torch.Generator().manual_seed(settings.seed)
        self._held = held.at(0, device)
        self.complete: Callable[[Path], None] = lambda folder: None
        """Puts beside exported weights what belongs to them."""

    def start_from(self, vocoder: checkpoint.Checkpoint, reader: dict[str, Tensor]) -> None:
        """Take the detokenizer's vocoder and the trained reader of phones."""
        vocoder.fill(self.model.vocoder)
        self.model.reader.load_state_dict(reader)

    @property
    def parts(self) -> dict[str, Any]:
        """What a checkpoint of the run holds."""
        return {"model": self.model, "averages": self.model.quantizer.averages(),
                "average": self.average, "adversary": self.adversary, "makers": self.makers,
                "judges": self.judges}  # fmt: skip

    def step(self, number: int) -> dict[str, float]:
        s = self.settings
        torch.manual_seed(s.seed * 10**9 + number)  # dropout
        batch = self.train.at(number, self.device)
        self._prepare(number)
        vectors, commitment = self._tokens(batch, number)
        losses, shaped = self._reconstruct(self.model, batch, vectors)
        loss = sum((WEIGHTS[n] * v for n, v in losses.items()), s.commitment * commitment)
        told = {**{n: v.item() for n, v in losses.items()}, "commit": commitment.item(),
                "mel": 0.0, "adv": 0.0, "match": 0.0, "judge": 0.0}  # fmt: skip
        if number < s.sound_from:
            descend(self.makers, loss, self.model)
            return told
        made = self._sound(self.model, batch, shaped, batch.tune)
        mel = self.distance(made, batch.audio)
        told["mel"] = mel.item()
        if number < s.adversarial_from:
            descend(self.makers, loss + 2 * mel, self.model)
        else:
            chosen = self.adversary.draw(s.discriminators, (s.seed, number, 2))
            judge = self.adversary.judge_loss(batch.audio, made, chosen)
            descend(self.judges, judge, self.adversary)
            self.adversary.requires_grad_(False)
            fool, match = self.adversary.maker_losses(batch.audio, made, chosen)
            descend(self.makers, loss + s.mel * mel + fool + s.match * match, self.model)
            self.adversary.requires_grad_(True)
            told |= {"adv": fool.item(), "match": match.item(), "judge": judge.item()}
        average(self.average, self.model, s.average)
        return told

    def _prepare(self, number: int) -> None:
        s = self.settings
        if number == s.warmup:
            self._start_quantizer()
        if number == s.sound_from:
            self.average.load_state_dict(self.model.state_dict())
        rate = s.sound_rate * self.fade(number)
        if number < s.sound_from:
            rate = s.rate * cosine(number, s.sound_from, floor=0.2)
        for group in self.makers.param_groups:
            group["lr"] = rate

    def _latents(self, batch: WindowBatch) -> Tensor:
        return self.model.aggregator(batch.text, batch.deep, batch.values, batch.place,
                                     batch.inside, batch.lengths)  # fmt: skip

    def _tokens(self, batch: WindowBatch, number: int) -> tuple[Tensor, Tensor]:
        """What the detokenizer gets for each word [B, W, D], and the commitment loss."""
        s, quantizer = self.settings, self.model.quantizer
        none = batch.deep.new_zeros(())
        if number < s.warmup:
            return self._latents(batch), none
        depth = self._depths(batch.real, number)
        if number >= s.sound_from:
            with torch.no_grad():
                ids = quantizer.encode(self._latents(batch)[batch.real])
                steps = torch.stack([quantizer.decode(ids[: k + 1]) for k in range(len(ids))])
                found = steps[depth.clamp(min=1) - 1, torch.arange(len(depth))]
            loss = none
        else:
            latents = self._latents(batch)
            flat = latents[batch.real]
            quantized, loss = quantizer(flat[:, None], depth, self._seeded(number))
            found = quantized[:, 0]
            self.model.mean.lerp_(flat.detach().mean(0), 0.01)
        found = torch.where(depth[:, None] > 0, found, self.model.mean)
        return found.new_zeros(*batch.real.shape, found.shape[1]).masked_scatter(
            batch.real[..., None], found), loss  # fmt: skip

    def _seeded(self, number: int) -> torch.Generator:
        return self._random.manual_seed(self.settings.seed * 10**6 + number)

    def _depths(self, real: Tensor, number: int) -> Tensor:
        """Codebooks of each real word: one draw a window."""
        s, books = self.settings, self.settings.model.books
        random = np.random.default_rng((s.seed, number, 1))
        drawn = np.minimum(random.choice(len(DEPTHS), len(real), p=DEPTHS), books)
        if number < s.dropout:
            drawn[:] = books
        return torch.from_numpy(drawn).to(real.device)[:, None].expand(real.shape)[real]

    @torch.no_grad()
    def _start_quantizer(self) -> None:
        """k-means of the words of steps that are never trained on."""
        found: list[Tensor] = []
        while sum(map(len, found)) < START_WORDS:
            batch = self.train.at(10**9 + len(found), self.device)
            found.append(self._latents(batch)[batch.real])
        words = torch.cat(found)
        self.model.quantizer.start(words, self.settings.seed)
        self.model.mean.copy_(words.mean(0))

    def _reconstruct(self, model: Taste, batch: WindowBatch, vectors: Tensor
                     ) -> tuple[dict[str, Tensor], Tensor]:  # fmt: skip
        """Losses on all windows, and their frames [B, F, C]."""
        x = model.read(batch.text, vectors)
        lengths, parts = model.durations(batch.text, x, vectors)
        shaped = model.shape(x, batch.at, batch.places, batch.speaker, batch.frames)
        logits = model.logits(shaped[batch.frames])
        prosody = model.prosody(shaped).transpose(1, 2)
        voiced = batch.prosody[:, 0]
        wrong = (lengths - batch.lengths).abs()
        first = batch.whole[:, None] & (torch.arange(wrong.shape[1], device=wrong.device) == 0)
        shares = batch.pace / torch.expm1(batch.lengths[..., 0]).gather(1, batch.text.word).clamp(1)
        return {
            "units": F.cross_entropy(logits, batch.units[batch.frames]),
            "mels": (model.mel(shaped) - batch.mels).abs()[batch.frames].mean(),
            "voice": F.binary_cross_entropy_with_logits(
                prosody[:, 0], voiced, batch.frames.float()
            ),
            "pitch": ((prosody[:, 1] - batch.prosody[:, 1]).abs() * voiced).sum()
            / voiced.sum().clamp(1),
            "word": wrong[..., 0][batch.real].mean(),
            "pause": wrong[..., 1][batch.real].mean() + wrong[..., 2][first].sum() / len(wrong),
            "shares": -(shares * parts)[batch.text.phone].sum() / batch.real.sum(),
        }, shaped

    def _sound(self, model: Taste, batch: WindowBatch, shaped: Tensor, tune: Tensor) -> Tensor:
        """[n, 320·T] of the crops; tune: prosody [n, 2, T]."""
        index = batch.context[..., None].expand(-1, -1, shaped.shape[-1])
        crop = shaped[: len(index)].gather(1, index)
        return model.sound(crop, tune, batch.fine, batch.near)

    @torch.no_grad()
    def validate(self, number: int) -> dict[str, float]:
        """Losses on held-out windows of what would be exported, with tokens and (`floor_...`)
        with their mean; shares of words whose duration is right; entries in use."""
        s, batch = self.settings, self._held
        model = self.kept(number).eval()
        latents = model.aggregator(batch.text, batch.deep, batch.values, batch.place,
                                   batch.inside, batch.lengths)  # fmt: skip
        found: dict[str, float] = {}
        used = latents
        if number > s.warmup:
            ids = model.quantizer.encode(latents[batch.real])
            found["entries"] = float(np.mean([len(row.unique()) for row in ids]))
            used = latents.masked_scatter(batch.real[..., None], model.quantizer.decode(ids))
        for name, vectors in (("", used), ("floor_", model.mean.expand_as(latents))):
            losses, shaped = self._reconstruct(model, batch, vectors)
            x = model.read(batch.text, vectors)
            lengths, _ = model.durations(batch.text, x, vectors)
            seconds = (lengths[..., 0].exp() - batch.lengths[..., 0].exp()) * 0.024
            losses["near"] = (seconds.abs() <= NEAR)[batch.real].float().mean()
            own = model.own_prosody(shaped)
            own = own.gather(2, batch.context.gather(1, batch.fine)[:, None].expand(-1, 2, -1))
            made = self._sound(model, batch, shaped, own)
            losses["mel"] = self.distance(made, batch.audio)
            found |= {name + n: float(v) for n, v in losses.items()}
        model.train()
        return found

    def kept(self, number: int) -> Taste:
        """The weights that an export at step `number` holds."""
        return self.average if number > self.settings.sound_from else self.model

    def export(self, folder: Path, number: int, card: str = "") -> None:
        """Write the tokenizer as a checkpoint in float16."""
        checkpoint.save(folder, KIND, self.settings.model.to_dict(),
                        self.kept(number).state_dict(), card=card, half=True)  # fmt: skip
        self.complete(folder)
