"""Connectionist temporal classification: the loss and its gradient in one pass, compiled.

Graves et al. 2006. Forward and backward variables are kept as a mantissa and a power of 2^256, so
that a cell is a few products and neither underflows nor needs a logarithm; in torch's own, which
adds logarithms, half the training of a linear probe was spent.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.compiling import compiled

BIG, TINY = 2.0**256, 2.0**-256
HIGH, LOW = 2.0**128, 2.0**-128  # between which a mantissa is kept
NEVER = -(2**30)  # exponent of nothing
STEEP = -340.0  # log-probabilities below this are split into mantissa and exponent
NATS = 256 * math.log(2)
Floats = npt.NDArray[np.floating]
Ids = npt.NDArray[np.int64]


class _Ctc(torch.autograd.Function):
    """−ln p of each segment, with the gradient kept for the way back."""

    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, first: Ids, counts: Ids, targets: Ids, lengths: Ids
    ) -> Tensor:
        learn = ctx.needs_input_grad[0]
        logs = scores.detach().double()
        nats = np.zeros(len(first))
        shares = np.zeros(scores.shape if learn else (1, 1), dtype=np.float32)
        _segments(
            logs.numpy(), logs.exp().numpy(), first, counts, targets, lengths, nats, shares, learn
        )
        ctx.shares, ctx.first, ctx.counts = shares, first, counts
        return torch.from_numpy(nats).to(scores.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        weight = np.zeros(len(ctx.shares), dtype=np.float32)
        for at, count, grad in zip(ctx.first, ctx.counts, grads[0].tolist(), strict=True):
            weight[at : at + count] = -grad
        return torch.from_numpy(ctx.shares * weight[:, None]), None, None, None, None


def nats_of(scores: Tensor, first: Ids, counts: Ids, targets: Ids, lengths: Ids) -> Tensor:
    """−ln p(labels) of segments of `scores`, [S].

    scores: log-probabilities [N, 1 + classes] on a CPU (0: blank); the segments are rows `first`
    to `first + counts` [S] and do not overlap. targets: [S, L], of each the first `lengths` ≥ 1.
    Infinite, and without a gradient, where the labels do not fit.
    """
    made = _Ctc.apply(scores, first, counts, targets, lengths)  # type: ignore[no-untyped-call]
    assert isinstance(made, Tensor)
    return made


@compiled
def _kept(m, e):  # type: ignore[no-untyped-def]
    """The same value with its mantissa in reach."""
    if LOW <= m <= HIGH:
        return m, e
    if m == 0.0:
        return 0.0, NEVER
    while m < LOW:
        m *= BIG
        e -= 1
    while m > HIGH:
        m *= TINY
        e += 1
    return m, e


@compiled
def _plus(m, e, n, f):  # type: ignore[no-untyped-def]
    """m·2^256e + n·2^256f."""
    if e == f:
        return m + n, e
    if e > f:
        return (m + n * TINY if e == f + 1 else m), e
    return (n + m * TINY if f == e + 1 else n), f


@compiled
def _chance(logs, probabilities, row, label):  # type: ignore[no-untyped-def]
    """Mantissa and exponent of one probability."""
    if logs[row, label] > STEEP:
        return probabilities[row, label], 0
    if not logs[row, label] > -1e300:
        return 0.0, NEVER
    parts = math.floor(logs[row, label] / NATS)
    return math.exp(logs[row, label] - parts * NATS), parts


@compiled
def _segments(logs, probabilities, first, counts, targets, lengths, nats, shares, learn):  # type: ignore[no-untyped-def]
    """Fill `nats`, and in `shares` how likely each symbol is at each row, given the labels."""
    classes = logs.shape[1]
    most = 2 * lengths.max() + 1
    ahead, ahead_e = np.zeros((counts.max(), most)), np.zeros((counts.max(), most), np.int64)
    back, back_e = np.zeros(most + 2), np.zeros(most + 2, np.int64)
    chance, chance_e = np.zeros(classes), np.zeros(classes, np.int64)
    label, skips = np.zeros(most + 2, np.int64), np.zeros(most + 2, np.bool_)
    for n in range(len(first)):
        steps, states = counts[n], 2 * lengths[n] + 1
        label[:] = 0
        skips[:] = False
        for s in range(1, states, 2):
            label[s] = targets[n, s // 2]
            skips[s] = s > 1 and label[s] != label[s - 2]
        # Forward: state s is reached from s, s − 1 and, between different labels, s − 2. States
        # that cannot be reached yet, or from which the end cannot be, are left out.
        for t in range(steps):
            low, high = max(0, states - 2 * (steps - t)), min(states, 2 * t + 2)
            for c in range(classes):
                chance[c], chance_e[c] = _chance(logs, probabilities, first[n] + t, c)
            for s in range(low, high):
                if t == 0:
                    m, e = 1.0, 0
                else:
                    m, e = ahead[t - 1, s], ahead_e[t - 1, s]
                    if s >= 1:
                        m, e = _plus(m, e, ahead[t - 1, s - 1], ahead_e[t - 1, s - 1])
                    if skips[s]:
                        m, e = _plus(m, e, ahead[t - 1, s - 2], ahead_e[t - 1, s - 2])
                ahead[t, s], ahead_e[t, s] = _kept(m * chance[label[s]], e + chance_e[label[s]])
            for s in range(high, min(states, high + 2)):
                ahead[t, s], ahead_e[t, s] = 0.0, NEVER
        m, e = 0.0, NEVER
        if steps:
            m, e = ahead[steps - 1, states - 1], ahead_e[steps - 1, states - 1]
            m, e = _plus(m, e, ahead[steps - 1, states - 2], ahead_e[steps - 1, states - 2])
        nats[n] = -(math.log(m) + NATS * e) if m > 0 else (math.inf if m == 0 else math.nan)
        if not learn or not m > 0:
            continue
        whole, whole_e = _kept(m, e)
        whole = 1.0 / whole
        # Backward: `back` is what follows from each state of this row, its own symbol included
        # once the row is done; two states of nothing behind the last.
        back[:], back_e[:] = 0.0, NEVER
        for t in range(steps - 1, -1, -1):
            low, high = max(0, states - 2 * (steps - t)), min(states, 2 * t + 2)
            for c in range(classes):
                chance[c], chance_e[c] = _chance(logs, probabilities, first[n] + t, c)
            for s in range(low, high):  # from below, so that s + 1 and s + 2 are still of t + 1
                if t == steps - 1:
                    m, e = 1.0, 0
                else:
                    m, e = _plus(back[s], back_e[s], back[s + 1], back_e[s + 1])
                    if skips[s + 2]:
                        m, e = _plus(m, e, back[s + 2], back_e[s + 2])
                distance = ahead_e[t, s] + e - whole_e
                if -2 < distance < 2:
                    share = ahead[t, s] * m * whole
                    if distance:
                        share *= BIG if distance > 0 else TINY
                    shares[first[n] + t, label[s]] += share
                back[s], back_e[s] = _kept(m * chance[label[s]], e + chance_e[label[s]])
            for s in range(low):  # no longer on a way to the end
                back[s], back_e[s] = 0.0, NEVER
