"""What every training step against discriminators shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

CLIP = 1.0
Fade = Callable[[int], float]
"""Step → factor of the learning rate."""


def constant(step: int) -> float:
    """The learning rate as it is."""
    return 1.0


def falling(steps: int, last: int) -> Fade:
    """1, and over the last `last` of `steps` steps linearly down to 0."""
    return lambda step: min(1.0, max(0.0, (steps - step) / last)) if last else 1.0


def optimizer(
    parameters: Iterable[nn.Parameter], rate: float, betas: tuple[float, float]
) -> torch.optim.AdamW:
    """AdamW with a little weight decay, in one kernel."""
    return torch.optim.AdamW(parameters, rate, betas=betas, weight_decay=0.01, fused=True)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor, *parts: nn.Module) -> None:
    """One step on `loss`, the gradient of each of `parts` clipped to norm 1."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    for part in parts:
        nn.utils.clip_grad_norm_(part.parameters(), CLIP)
    optimizer.step()


@torch.no_grad()
def average(kept: nn.Module, new: nn.Module, decay: float) -> None:
    """Move the weights of `kept` towards those of `new`."""
    for a, b in zip(kept.parameters(), new.parameters(), strict=True):
        a.lerp_(b, 1 - decay)
