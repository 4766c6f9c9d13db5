"""Training of SoundStream: reconstruction, quantization, then discriminators.

1. Without quantizer for the first `warmup` steps, so that k-means starts from frames that mean
   something. 2. With it, quantizer dropout, and log-mel and commitment losses. 3. From
   `adversarial_from` on, against STFT discriminators too; what is kept from there is the moving
   average of weights and codebooks.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench import checkpoint
from bench.errors import UserError
from bench.nn.soundstream import SoundStream, SoundStreamConfig
from bench.nn.spectra import MelDistance
from bench.train.adversary import Adversary
from bench.train.corpus import Crops
from bench.train.gan import Fade, average, constant, descend, optimizer
from bench.train.loop import cosine

KIND = "soundstream"
MEL_SCALES = ((256, 40), (512, 64), (1024, 80), (2048, 128))
START_FRAMES = 20  # frames an entry for the k-means that starts the quantizer
DEPTHS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Settings:
    """Everything a run depends on besides the speech. Rates are AdamW's, before the schedule.

    depths: how often quantizer dropout leaves 1, 2, 4 and 8 codebooks. start: revision of the
    checkpoint that the run began with, if any; then there is no warm-up. mel, match: weights of
    the log-mel distance and of feature matching beside the adversarial loss. discriminators: how
    many of them a step plays against.
    """

    model: SoundStreamConfig = field(default_factory=SoundStreamConfig)
    seed: int = 0
    batch: int = 8
    seconds: float = 1.0
    adversarial_seconds: float = 0.6
    warmup: int = 1000
    adversarial_from: int = 12_000
    rate: float = 8e-4
    adversarial_rate: float = 3e-4
    judge_rate: float = 2e-4
    commitment: float = 1.0
    mel: float = 15.0
    match: float = 2.0
    discriminators: int = 1
    average: float = 0.999
    depths: tuple[float, ...] = (0.15, 0.15, 0.2, 0.5)
    start: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Trainer:
    """One run; `step(n)` trains once and returns its losses.

    fade: factor of the learning rate against discriminators.
    """

    def __init__(self, settings: Settings, train: Crops, short: Crops, validation: Crops,
                 device: str, fade: Fade = constant) -> None:  # fmt: skip
        self.settings, self.train, self.short, self.device = settings, train, short, device
        self.fade = fade
        torch.manual_seed(settings.seed)
        self.model = SoundStream(settings.model).to(device)
        self.average = SoundStream(settings.model).to(device)
        self.adversary = Adversary().to(device)
        self.distance = MelDistance(MEL_SCALES).to(device)
        coder = [*self.model.encoder.parameters(), *self.model.decoder.parameters()]
        self.makers = optimizer(coder, settings.rate, (0.8, 0.95))
        self.judges = optimizer(self.adversary.parameters(), settings.judge_rate, (0.5, 0.9))
        self._held = torch.from_numpy(validation.at(0)).to(device)

    def start_from(self, found: checkpoint.Checkpoint) -> None:
        """Go on from a finished codec of the same configuration."""
        if found.config != self.settings.model.to_dict():
            raise UserError(f"--start {found.folder}: its configuration is not that of this run")
        found.fill(self.model)
        self.model.quantizer.restart_averages()

    @property
    def parts(self) -> dict[str, Any]:
        """What a checkpoint of the run holds."""
        return {"model": self.model, "averages": self.model.quantizer.averages(),
                "average": self.average, "adversary": self.adversary, "makers": self.makers,
                "judges": self.judges}  # fmt: skip

    def step(self, number: int) -> dict[str, float]:
        """One step of whatever stage `number` lies in."""
        s = self.settings
        if number == s.warmup and not s.start:
            self._start_quantizer()
        if number == s.adversarial_from:
            self.average.load_state_dict(self.model.state_dict())
        return self._compete(number) if number >= s.adversarial_from else self._reconstruct(number)

    def _reconstruct(self, number: int) -> dict[str, float]:
        self._set_rate(self.settings.rate * cosine(number, self.settings.adversarial_from))
        audio = torch.from_numpy(self.train.at(number)).to(self.device)
        _, mel, commitment = self._coded(audio, number)
        descend(self.makers, mel + self.settings.commitment * commitment, self.model)
        return {"mel": mel.item(), "commit": commitment.item(), "adv": 0.0, "match": 0.0,
                "judge": 0.0}  # fmt: skip

    def _compete(self, number: int) -> dict[str, float]:
        s = self.settings
        warm = min(1.0, (number - s.adversarial_from + 1) / 200)
        self._set_rate(s.adversarial_rate * warm * self.fade(number))
        audio = torch.from_numpy(self.short.at(number)).to(self.device)
        made, mel, commitment = self._coded(audio, number)
        chosen = self.adversary.draw(s.discriminators, (s.seed, number, 2))
        judge = self.adversary.judge_loss(audio, made, chosen)
        descend(self.judges, judge, self.adversary)
        self.adversary.requires_grad_(False)
        fool, match = self.adversary.maker_losses(audio, made, chosen)
        loss = s.mel * (mel + s.commitment * commitment) + fool + s.match * match
        descend(self.makers, loss, self.model)
        self.adversary.requires_grad_(True)
        average(self.average, self.model, s.average)
        kept = self.average.quantizer.vectors
        kept.lerp_(self.model.quantizer.vectors, 1 - s.average)
        return {"mel": mel.item(), "commit": commitment.item(), "adv": fool.item(),
                "match": match.item(), "judge": judge.item()}  # fmt: skip

    def _coded(self, audio: Tensor, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """[B, L] → resynthesis, log-mel distance, commitment loss (0 before the quantizer)."""
        latents = self.model.latents(audio)
        commitment = audio.new_zeros(())
        if number >= self.settings.warmup:
            generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + number)
            used = self._depths(number, len(audio)).to(self.device)
            latents, commitment = self.model.quantizer(latents, used, generator)
        made = self.model.decode(latents)
        return made, self.distance(made, audio), commitment

    def _set_rate(self, rate: float) -> None:
        for group in self.makers.param_groups:
            group["lr"] = rate

    def _depths(self, number: int, count: int) -> Tensor:
        """Codebooks for each item of the batch: quantizer dropout."""
        random = np.random.default_rng((self.settings.seed, number, 1))
        depths = [min(d, self.settings.model.books) for d in DEPTHS]
        return torch.from_numpy(random.choice(depths, count, p=self.settings.depths))

    @torch.no_grad()
    def _start_quantizer(self) -> None:
        """k-means on frames of steps that are never trained on."""
        wanted = START_FRAMES * self.settings.model.entries
        frames: list[Tensor] = []
        while sum(len(f) for f in frames) < wanted:
            audio = torch.from_numpy(self.train.at(10**9 + len(frames))).to(self.device)
            frames.append(self.model.latents(audio).flatten(0, 1))
        self.model.quantizer.start(torch.cat(frames), self.settings.seed)

    def kept(self, number: int) -> SoundStream:
        """The weights that an export at step `number` holds."""
        return self.average if number > self.settings.adversarial_from else self.model

    @torch.no_grad()
    def validate(self, number: int) -> dict[str, float]:
        """Log-mel distance on held-out crops for every depth, of what would be exported."""
        model, found = self.kept(number), {}
        latents = model.latents(self._held)
        ids = model.quantizer.encode(latents.flatten(0, 1))
        for depth in sorted({min(d, len(ids)) for d in DEPTHS}):
            made = model.decode(model.quantizer.decode(ids[:depth]).reshape(latents.shape))
            found[f"mel{depth}"] = float(self.distance(made, self._held))
        return found

    def export(self, folder: Path, number: int, card: str = "") -> None:
        """Write the codec as a checkpoint in float16."""
        checkpoint.save(folder, KIND, self.settings.model.to_dict(),
                        self.kept(number).state_dict(), card=card, half=True)  # fmt: skip
