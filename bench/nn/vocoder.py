"""Units to speech: a duration predictor, a pitch predictor and a waveform generator.

The task and the duration predictor are those of unit HiFi-GAN (Polyak et al. 2021, "Speech
Resynthesis from Discrete Disentangled Self-Supervised Representations"; Lee et al. 2022). Pitch
stands between units and sound and is predicted when it speaks, as in FastSpeech 2 (Ren et al.
2021). The generator is the frame-rate decoder of `soundstream`, at 50 Hz whatever the rate of the
units.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench import checkpoint
from bench.errors import UserError
from bench.nn.causal import ConvNeXt
from bench.nn.soundstream import HOP, FrameDecoder, SoundStreamConfig
from bench.nn.spectra import RATE

KIND = "unit-vocoder"
PROSODY = 2
"""Channels of prosody at 50 Hz: voiced (0 or 1), and octaves above the voice's mean F0 (0 where
unvoiced)."""
LONGEST = 200
"""Frames that a predicted duration is limited to."""


@dataclass(frozen=True)
class VocoderConfig:
    """units: vocabulary size; rate: of the units (Hz); kmeans: revision of the k-means whose
    units it was trained on; depth: blocks over the units; the decoder as in SoundStreamConfig."""

    units: int
    rate: float
    kmeans: str
    width: int = 256
    depth: int = 4
    decoder_width: int = 320
    decoder_depth: int = 6

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class DurationPredictor(nn.Module):
    """Deduplicated units int64 [B, N] → log(duration + 1) [B, N], durations in frames.

    Two convolutions of kernel 3, as in FastSpeech 2 and in unit HiFi-GAN.
    """

    def __init__(self, units: int, width: int = 128) -> None:
        super().__init__()
        self.embed = nn.Embedding(units, width)
        self.convs = nn.ModuleList(nn.Conv1d(width, width, 3, padding=1) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.out = nn.Linear(width, 1)

    def forward(self, units: Tensor, mask: Tensor) -> Tensor:
        """mask: bool [B, N], False for padding."""
        x = self.embed(units) * mask[..., None]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(F.relu(conv(x.transpose(1, 2)).transpose(1, 2))) * mask[..., None]
        return self.out(x)[..., 0]


class UnitVocoder(nn.Module):
    """Units at their rate → speech at 16 kHz in the one voice it was trained on."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.durations = DurationPredictor(config.units)
        self.embed = nn.Embedding(config.units, width)
        self.blocks = nn.ModuleList(ConvNeXt(width, causal=False) for _ in range(config.depth))
        self.prosody_blocks = nn.ModuleList(ConvNeXt(width, causal=False) for _ in range(2))
        self.prosody_out = nn.Linear(width, PROSODY)
        self.prosody_in = nn.Conv1d(PROSODY, width, 5, padding=2)
        self.decoder = FrameDecoder(
            SoundStreamConfig(
                dimension=width,
                decoder_width=config.decoder_width,
                decoder_depth=config.decoder_depth,
            )
        )

    def hidden(self, units: Tensor, frames: int) -> Tensor:
        """Units [B, N] → [B, W, frames] at 50 Hz; frame j takes the unit at its middle."""
        x = self.embed(units).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        at = (torch.arange(frames, device=x.device) + 0.5) * (HOP / RATE * self.config.rate)
        return x[..., at.long().clamp(max=units.shape[1] - 1)]

    def prosody(self, hidden: Tensor) -> Tensor:
        """[B, W, T] → [B, 2, T]: logit of voicing, and pitch."""
        for block in self.prosody_blocks:
            hidden = block(hidden)
        return self.prosody_out(hidden.transpose(1, 2)).transpose(1, 2)

    def own_prosody(self, hidden: Tensor) -> Tensor:
        """[B, W, T] → [B, 2, T] as `sound` takes it, decided by the prediction."""
        voicing, pitch = self.prosody(hidden).unbind(1)
        voiced = (voicing > 0).to(pitch.dtype)
        return torch.stack([voiced, pitch * voiced], dim=1)

    def sound(self, hidden: Tensor, prosody: Tensor) -> Tensor:
        """[B, W, T] and prosody [B, 2, T] → [B, 320·T]."""
        x = hidden + self.prosody_in(prosody)
        made = self.decoder(F.pad(x, (0, self.decoder.flush)))[:, 0]
        return made[:, self.decoder.lag : self.decoder.lag + HOP * x.shape[-1]]

    def predict_durations(self, units: Tensor) -> Tensor:
        """Deduplicated units int64 [N] → frames int64 [N], 1 to LONGEST."""
        logs = self.durations(units[None], torch.ones_like(units[None], dtype=torch.bool))[0]
        return (logs.exp() - 1).round().long().clamp(1, LONGEST)

    @torch.inference_mode()
    def speak(self, units: Tensor, durations: Tensor | None) -> Tensor:
        """Speech float32 [L] of one utterance, L = Σ durations · 16000/rate rounded.

        units: int64 [N]; durations: frames at the units' rate, int64 [N], or None to predict them.
        """
        if not len(units):
            return torch.zeros(0)
        device = self.embed.weight.device
        units = units.to(device)
        lengths = self.predict_durations(units) if durations is None else durations.to(device)
        units = units.repeat_interleave(lengths)
        samples = round(len(units) / self.config.rate * RATE)
        hidden = self.hidden(units[None], -(-samples // HOP))
        return self.sound(hidden, self.own_prosody(hidden))[0, :samples].clamp(-1, 1).cpu()


def load_vocoder(folder: Path, device: str) -> UnitVocoder:
    """The vocoder of a checkpoint; UserError where the folder holds none."""
    found = checkpoint.load(folder, KIND)
    try:
        vocoder = UnitVocoder(VocoderConfig(**found.config))
    except TypeError as error:
        raise UserError(f"{folder}: its configuration is of another version ({error})") from error
    found.fill(vocoder)
    return vocoder.to(device).eval()
