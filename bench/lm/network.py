"""The small transformer: a causal trunk over the rows of a layout, and a head for each stream.

Shapes: B sequences, S rows, H cells a row, D width. A cell has a stream and an id; stream EMPTY is
padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.layouts import EMPTY

Kind = Literal["flat", "rows", "depth"]
CELLS_AT_ONCE = 2**24
"""Logits that are in memory at once when nothing is trained."""


@dataclass(frozen=True)
class Shape:
    """Size of the network, the same for every tokenizer; embeddings and heads come on top.

    width: D; layers, heads of the trunk; depth_layers: of the depth transformer, of width D too;
    context: rows that a position can see.
    """

    width: int = 128
    layers: int = 4
    heads: int = 4
    depth_layers: int = 2
    context: int = 512


class Block(nn.Module):
    """Causal self-attention with rotary positions, then an MLP, both after RMSNorm.

    RoPE: Su et al. 2021, "RoFormer". The rest as in Llama (Touvron et al. 2023) with a GELU MLP.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before = nn.RMSNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.between = nn.RMSNorm(width)
        self.wide = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, turn: Tensor) -> Tensor:
        """[B, S, D] → [B, S, D]; `turn` as `rotations` makes it."""
        rows, steps, width = x.shape
        q, k, v = self.qkv(self.before(x)).view(rows, steps, 3, self.heads, -1).unbind(2)
        q, k, v = (y.transpose(1, 2) for y in (rotate(q, turn), rotate(k, turn), v))
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(rows, steps, width))
        return x + self.narrow(F.gelu(self.wide(self.between(x))))


def rotations(context: int, width: int) -> Tensor:
    """cos and sin of each position and pair of channels: float32 [2, context, width/2]."""
    speed = 10_000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angle = torch.arange(context, dtype=torch.float64)[:, None] * speed
    return torch.stack([angle.cos(), angle.sin()]).float()


def rotate(x: Tensor, turn: Tensor) -> Tensor:
    """Turn the two halves of the channels of [B, S, heads, width] by their position."""
    cos, sin = (t[: x.shape[1], None] for t in turn)
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class TokenNetwork(nn.Module):
    """−ln likelihood of every cell.

    "flat": a row is one cell, of the stream whose turn it is. "rows": the H cells of a row are
    predicted from the rows before, independent of each other (delay, parallel). "depth": a second
    transformer goes over the cells of a row, each after those before it (Moshi, RQ-Transformer).
    Each stream has embeddings and a head of its own, to which the products with its embeddings are
    added (Press and Wolf 2017), times a factor that is learned: what came before is then likelier
    after a few steps. Heads and factors begin at zero, so that an untrained network gives each id
    1/V.
    """

    def __init__(self, vocabularies: Sequence[int], kind: Kind, shape: Shape) -> None:
        super().__init__()
        self.kind, self.shape, self.vocabularies = kind, shape, tuple(vocabularies)
        width = shape.width
        # One table: the ids of stream k, its padding, the ids of stream k + 1, …
        starts = torch.tensor([0, *(v + 1 for v in vocabularies)]).cumsum(0)
        self.starts: Tensor
        self.register_buffer("starts", starts, persistent=False)
        self.embed = nn.Embedding(int(starts[-1]), width)
        self.start = nn.Parameter(torch.zeros(width))
        self.whose = nn.Embedding(len(vocabularies), width)
        self.trunk = self._blocks(shape.layers)
        self.last = nn.RMSNorm(width)
        if kind == "depth":
            self.across = nn.Linear(width, width)
            self.depth = self._blocks(shape.depth_layers)
            self.depth_last = nn.RMSNorm(width)
        self.heads = nn.ModuleList(nn.Linear(width, v) for v in vocabularies)
        self.tied = nn.Parameter(torch.zeros(len(vocabularies)))
        longest = max(shape.context, len(self.vocabularies))
        turn = rotations(longest, width // shape.heads)
        self.register_buffer("turn", turn, persistent=False)
        for table in (self.embed, self.whose):
            nn.init.normal_(table.weight, std=width**-0.5)
        for parameter in self.heads.parameters():
            nn.init.zeros_(parameter)

    def _blocks(self, count: int) -> nn.ModuleList:
        shape = self.shape
        return nn.ModuleList(Block(shape.width, shape.heads) for _ in range(count))

    def forward(self, ids: Tensor, streams: Tensor) -> Tensor:
        """−ln P of each cell, float32 [B, S, H], 0 where there is none; S ≤ context.

        ids, streams: int64 [B, S, H]; stream EMPTY for padding, at the end of a row's column or
        of a sequence.
        """
        made = self._told(ids, streams)
        x = torch.cat([self.start.expand(len(ids), 1, -1), made.sum(2)[:, :-1]], dim=1)
        if self.kind == "flat":  # whose turn it is
            x = x + self.whose(streams[:, :, 0].clamp(min=0))
        for block in self.trunk:
            x = block(x, self.turn)
        x = self.last(x)
        if self.kind != "depth":
            return self._nats(x[:, :, None], ids, streams)
        alive = (streams != EMPTY).any(2)
        before = torch.cat([torch.zeros_like(made[:, :, :1]), made[:, :, :-1]], dim=2)
        y = (self.across(x)[:, :, None] + before + self.whose.weight)[alive]
        for block in self.depth:
            y = block(y, self.turn)
        nats = ids.new_zeros(ids.shape, dtype=torch.float32)
        found = self._nats(self.depth_last(y), ids[alive], streams[alive])
        return nats.masked_scatter(alive[:, :, None].expand_as(nats), found)

    def _told(self, ids: Tensor, streams: Tensor) -> Tensor:
        """Embedding of each cell [B, S, H, D]; a column's padding has one of its own."""
        column = torch.arange(ids.shape[-1], device=ids.device).expand_as(ids)
        padding = self.starts[column + 1] - 1
        place = torch.where(streams == EMPTY, padding, self.starts[streams.clamp(min=0)] + ids)
        made: Tensor = self.embed(place)
        return made

    def _outputs(self) -> list[tuple[Tensor, Tensor]]:
        """Weights [V, D] and biases [V] of each stream's head, its embeddings added."""
        tables = self.embed.weight.split([v + 1 for v in self.vocabularies])  # one cat backwards
        weights = [head.get_parameter("weight") for head in self.heads]
        return [
            (torch.addcmul(weight, table[:-1], tied), head.get_parameter("bias"))
            for weight, table, tied, head in zip(
                weights, tables, self.tied, self.heads, strict=True
            )
        ]

    def _nats(self, x: Tensor, ids: Tensor, streams: Tensor) -> Tensor:
        """−ln P of each cell [..., H] from its state [..., H, D], or its row's [..., 1, D]."""
        owner = streams.reshape(-1)
        counts = torch.bincount(owner + 1, minlength=len(self.heads) + 1).tolist()  # EMPTY first
        cells = owner.argsort(stable=True)[counts[0] :]
        states = x.reshape(-1, x.shape[-1])[cells // (ids.shape[-1] // x.shape[-2])]
        targets = ids.reshape(-1)[cells]
        found = []
        for (weight, bias), mine, wanted in zip(
            self._outputs(), states.split(counts[1:]), targets.split(counts[1:]), strict=True
        ):
            # All of them when training, which keeps them anyway; else some at a time.
            some = max(1, len(wanted) if self.training else CELLS_AT_ONCE // len(weight))
            found += [
                F.cross_entropy(F.linear(s, weight, bias), t, reduction="none")
                for s, t in zip(mine.split(some), wanted.split(some), strict=True)
            ]
        nats = x.new_zeros(owner.shape, dtype=torch.float32)
        return nats.index_copy(0, cells, torch.cat(found)).reshape(ids.shape)
