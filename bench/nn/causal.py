"""Convolutions that look back only, offline or chunk by chunk with the same result.

Every module here takes `state`: None computes a whole signal (zeros before it); a dict carries
what a later chunk needs, keyed by module, and is changed in place.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

State = dict[nn.Module, Tensor]


def look_back(key: nn.Module, x: Tensor, left: int, state: State | None) -> Tensor:
    """`x` [B, C, T] after the `left` frames that came before it (zeros at the start)."""
    if not left:
        return x
    past = None if state is None else state.get(key)
    x = F.pad(x, (left, 0)) if past is None else torch.cat([past, x], dim=-1)
    if state is not None:
        state[key] = x[..., -left:]
    return x


class CausalConv(nn.Conv1d):
    """Conv1d [B, C, T] → [B, C', T/stride]; an output depends on inputs up to its last one.

    T is a multiple of the stride.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, **kwargs: Any) -> None:
        super().__init__(inputs, outputs, kernel, **kwargs)
        self.left = (kernel - 1) * self.dilation[0] + 1 - self.stride[0]

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        return super().forward(look_back(self, x, self.left, state))


class CausalConvTranspose(nn.ConvTranspose1d):
    """Transposed convolution [B, C, T] → [B, C', T·stride], kernel 2·stride, right side cut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, 2 * stride, stride=stride)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:  # type: ignore[override]
        stride = self.stride[0]
        y = F.conv_transpose1d(x, self.weight, None, stride)
        body, tail = y[..., :-stride], y[..., -stride:]
        past = None if state is None else state.get(self)
        if past is not None:
            body = torch.cat([body[..., :stride] + past, body[..., stride:]], dim=-1)
        if state is not None:
            state[self] = tail
        assert self.bias is not None
        return body + self.bias[:, None]


class ConvNeXt(nn.Module):
    """A ConvNeXt block on [B, C, T] (Liu et al. 2022; in one dimension as in Vocos, Siuzdak 2023).

    causal: the depthwise convolution looks back only, else it is centred (and takes no state).
    """

    def __init__(self, width: int, *, kernel: int = 7, expansion: int = 3, scale: float = 0.1,
                 causal: bool = True) -> None:  # fmt: skip
        super().__init__()
        self.mix: nn.Conv1d
        if causal:
            self.mix = CausalConv(width, width, kernel, groups=width)
        else:
            self.mix = nn.Conv1d(width, width, kernel, groups=width, padding=kernel // 2)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, expansion * width)
        self.down = nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        y = self.mix(x, state) if isinstance(self.mix, CausalConv) else self.mix(x)
        y = self.down(F.gelu(self.up(self.norm(y.transpose(1, 2)))))
        return x + (self.scale * y).transpose(1, 2)
