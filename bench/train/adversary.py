"""Discriminators on complex spectra and the losses of adversarial training.

STFT discriminators as in SoundStream and EnCodec (Défossez et al. 2022, MS-STFTD), small; hinge
losses and feature matching as in SoundStream, equations 2 to 5.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm


class SpectrumDiscriminator(nn.Module):
    """[B, L] → logits and the feature maps before them, over time and frequency."""

    def __init__(self, window: int, channels: int) -> None:
        super().__init__()
        self.size = window
        self.register_buffer("window", torch.hann_window(window), persistent=False)
        c = channels
        shapes = [(2, c, (1, 2)), (c, c, (1, 2)), (c, c, (2, 2)), (c, c, (2, 2))]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(i, o, (3, 7), stride=s, padding=(1, 3))) for i, o, s in shapes
        )
        self.out = weight_norm(nn.Conv2d(c, 1, 3, padding=1))

    def forward(self, audio: Tensor) -> tuple[Tensor, list[Tensor]]:
        assert isinstance(self.window, Tensor)
        bins = torch.stft(audio, self.size, self.size // 4, window=self.window,
                          normalized=True, return_complex=True)  # fmt: skip
        size = bins.abs().clamp(min=1e-5)
        squeezed = bins * (size.sqrt() / size)  # magnitude to the power 0.5: quiet parts count
        x = torch.stack([squeezed.real, squeezed.imag], 1).transpose(2, 3)
        maps = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x)
        return self.out(x), maps


class Adversary(nn.Module):
    """Several SpectrumDiscriminators and both sides' losses.

    A step plays against some of them (`parts` by number; all, where none is told): the losses are
    means, so a discriminator drawn by chance gives the gradient of all of them in expectation for
    a part of the time.
    """

    def __init__(self, windows: tuple[int, ...] = (1024, 512, 256), channels: int = 24) -> None:
        super().__init__()
        self.parts = nn.ModuleList(SpectrumDiscriminator(w, channels) for w in windows)

    def draw(self, count: int, seed: tuple[int, ...]) -> list[int]:
        """`count` different discriminators, by chance that depends on the seed alone."""
        random = np.random.default_rng(seed)
        return [int(i) for i in random.permutation(len(self.parts))[:count]]

    def judge_loss(self, real: Tensor, made: Tensor, chosen: Sequence[int] | None = None) -> Tensor:
        """Hinge loss of the discriminators; `made` carries no gradient."""
        losses = []
        for part in self._chosen(chosen):
            logits = part(torch.cat([real, made.detach()]))[0].chunk(2)
            losses.append(F.relu(1 - logits[0]).mean() + F.relu(1 + logits[1]).mean())
        return torch.stack(losses).mean()

    def maker_losses(
        self, real: Tensor, made: Tensor, chosen: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Adversarial (hinge) and relative feature-matching losses of the generator."""
        fool, match = [], []
        for part in self._chosen(chosen):
            with torch.no_grad():
                _, wanted = part(real)
            logits, maps = part(made)
            fool.append(F.relu(1 - logits).mean())
            for a, b in zip(maps, wanted, strict=True):
                match.append((a - b).abs().mean() / b.abs().mean())
        return torch.stack(fool).mean(), torch.stack(match).mean()

    def _chosen(self, chosen: Sequence[int] | None) -> list[nn.Module]:
        return [self.parts[i] for i in (range(len(self.parts)) if chosen is None else chosen)]
