"""Training of the unit vocoder: reconstruction with the true prosody, then discriminators.

The duration and prosody predictors learn beside it. What is kept is the moving average of all
weights.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bench import checkpoint
from bench.errors import UserError
from bench.nn.spectra import MelDistance
from bench.nn.vocoder import KIND, UnitVocoder, VocoderConfig
from bench.train.adversary import Adversary
from bench.train.gan import Fade, average, constant, descend, optimizer
from bench.train.loop import cosine
from bench.train.soundstream import MEL_SCALES
from bench.train.units import UnitBatch, UnitCrops


@dataclass(frozen=True)
class Settings:
    """Everything a run depends on besides the speech and what it starts from.

    mel, match: weights of the log-mel distance and of feature matching beside the adversarial
    loss. discriminators: how many of them a step plays against.
    """

    model: VocoderConfig
    seed: int = 0
    batch: int = 8
    frames: int = 36
    adversarial_from: int = 4000
    rate: float = 6e-4
    adversarial_rate: float = 3e-4
    judge_rate: float = 2e-4
    mel: float = 8.0
    match: float = 2.0
    discriminators: int = 1
    average: float = 0.999
    start: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Trainer:
    """One run; `step(n)` trains once and returns its losses.

    fade: factor of the learning rate against discriminators.
    """

    def __init__(self, settings: Settings, train: UnitCrops, held: UnitCrops, device: str,
                 fade: Fade = constant) -> None:  # fmt: skip
        self.settings, self.train, self.device, self.fade = settings, train, device, fade
        torch.manual_seed(settings.seed)
        self.model = UnitVocoder(settings.model).to(device)
        self.average = UnitVocoder(settings.model).to(device)
        self.adversary = Adversary().to(device)
        self.distance = MelDistance(MEL_SCALES).to(device)
        self.makers = optimizer(self.model.parameters(), settings.rate, (0.8, 0.95))
        self.judges = optimizer(self.adversary.parameters(), settings.judge_rate, (0.5, 0.9))
        self._held = held.at(0)

    def start_from(self, found: checkpoint.Checkpoint) -> None:
        """Begin with the tensors of a `soundstream` checkpoint's decoder (its input excepted), or
        of a vocoder's, whose embeddings are taken where it speaks the same units."""
        own = self.model.state_dict()
        if found.kind == KIND:
            same = found.config["kmeans"] == self.settings.model.kmeans
            given = {n: t for n, t in found.tensors.items() if same or "embed." not in n}
        else:
            given = {n: t for n, t in found.tensors.items()
                     if n.startswith("decoder.") and not n.startswith("decoder.into.")}  # fmt: skip
        if not given or any(n not in own or t.shape != own[n].shape for n, t in given.items()):
            raise UserError(f"--start {found.folder}: its sizes are not those of this vocoder")
        self.model.load_state_dict(own | {n: t.float() for n, t in given.items()})

    @property
    def parts(self) -> dict[str, Any]:
        """What a checkpoint of the run holds."""
        return {"model": self.model, "average": self.average, "adversary": self.adversary,
                "makers": self.makers, "judges": self.judges}  # fmt: skip

    def step(self, number: int) -> dict[str, float]:
        s = self.settings
        batch = self.train.at(number)
        if number == s.adversarial_from:
            self.average.load_state_dict(self.model.state_dict())
        competes = number >= s.adversarial_from
        for group in self.makers.param_groups:
            group["lr"] = (s.adversarial_rate * self.fade(number) if competes else
                           s.rate * cosine(number, s.adversarial_from, floor=0.1))  # fmt: skip
        audio = torch.from_numpy(batch.audio).to(self.device)
        hidden, prosody = self._conditions(batch)
        made = self.model.sound(hidden, prosody)
        mel = self.distance(made, audio)
        predictors = self._predictors(self.model, batch, hidden, prosody)
        losses = {"mel": mel.item(), **{n: v.item() for n, v in predictors.items()},
                  "adv": 0.0, "match": 0.0, "judge": 0.0}  # fmt: skip
        if not competes:
            descend(self.makers, mel + sum(predictors.values()), self.model)
            return losses
        chosen = self.adversary.draw(s.discriminators, (s.seed, number, 2))
        judge = self.adversary.judge_loss(audio, made, chosen)
        descend(self.judges, judge, self.adversary)
        self.adversary.requires_grad_(False)
        fool, match = self.adversary.maker_losses(audio, made, chosen)
        loss = s.mel * mel + fool + s.match * match + sum(predictors.values())
        descend(self.makers, loss, self.model)
        self.adversary.requires_grad_(True)
        average(self.average, self.model, s.average)
        return losses | {"adv": fool.item(), "match": match.item(), "judge": judge.item()}

    def _conditions(self, batch: UnitBatch) -> tuple[Tensor, Tensor]:
        units = torch.from_numpy(batch.units).to(self.device)
        prosody = torch.from_numpy(batch.prosody).to(self.device)
        return self.model.hidden(units, prosody.shape[-1]), prosody

    def _predictors(self, model: UnitVocoder, batch: UnitBatch, hidden: Tensor,
                    prosody: Tensor) -> dict[str, Tensor]:  # fmt: skip
        """Losses of voicing, pitch (octaves, voiced frames) and log(duration + 1)."""
        runs, lengths, known = (torch.from_numpy(a).to(self.device)
                                for a in (batch.runs, batch.lengths, batch.known))  # fmt: skip
        found = model.prosody(hidden)
        voiced = prosody[:, 0]
        wrong = (model.durations(runs, torch.ones_like(known)) - torch.log1p(lengths)).square()
        return {
            "voice": F.binary_cross_entropy_with_logits(found[:, 0], voiced),
            "pitch": ((found[:, 1] - prosody[:, 1]).abs() * voiced).sum() / voiced.sum().clamp(1),
            "duration": (wrong * known).sum() / known.sum().clamp(1),
        }

    @torch.no_grad()
    def validate(self, number: int) -> dict[str, float]:
        """Log-mel distance on held-out crops with true and with predicted prosody, and the
        predictors' losses, of what would be exported."""
        model = self.average if number > self.settings.adversarial_from else self.model
        units = torch.from_numpy(self._held.units).to(self.device)
        prosody = torch.from_numpy(self._held.prosody).to(self.device)
        audio = torch.from_numpy(self._held.audio).to(self.device)
        hidden = model.hidden(units, prosody.shape[-1])
        own = model.own_prosody(hidden)
        found = {"mel": self.distance(model.sound(hidden, prosody), audio),
                 "mel_predicted": self.distance(model.sound(hidden, own), audio),
                 **self._predictors(model, self._held, hidden, prosody)}  # fmt: skip
        return {name: float(value) for name, value in found.items()}

    def export(self, folder: Path, number: int, card: str = "") -> None:
        """Write the vocoder as a checkpoint in float16."""
        model = self.average if number > self.settings.adversarial_from else self.model
        checkpoint.save(folder, KIND, self.settings.model.to_dict(), model.state_dict(),
                        card=card, half=True)  # fmt: skip
