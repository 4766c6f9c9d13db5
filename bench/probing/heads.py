"""The heads of M models as one computation: every parameter has a leading axis M.

"linear": the embedding of the ids (or a projection of continuous features), summed over streams,
averaged over the utterance or taken frame by frame, and one linear map. "network": patches of 80
ms, residual convolutions, and a perceptron over the utterance's mean (and spread). Its size is
fixed: about 1 M parameters for an utterance, 0.8 M for frames, whatever the streams. Convolutions
are matrix products of shifted copies (`bmm`), which on a CPU outruns grouped convolution and
recurrent layers by far.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.probing.contract import Shape
from bench.probing.inputs import PATCH, Source

DIM = 32  # of an embedding
WIDTH = {"utterance": 128, "frame": 192}
LAYERS = {"utterance": 1, "frame": 4}
HIDDEN = {"utterance": (1024, 640), "frame": (768,)}
SPREAD = 0.3  # of an embedding's first values

Params = dict[str, Tensor]


@dataclass(frozen=True)
class Packed:
    """One step of M models. frames: int64 [M, N], −1 empty. starts, counts: int64 [M, S]."""

    frames: Tensor
    starts: Tensor
    counts: Tensor

    def inside(self, patch: int) -> Tensor:
        """float32 [M, S, N/patch]: 1 where a place (or patch) belongs to a segment."""
        at = torch.arange(0, self.frames.shape[1], patch, device=self.frames.device)
        first = self.starts[:, :, None]
        return ((at >= first) & (at < first + self.counts[:, :, None])).float()


class Models:
    """How parameters of one shape on one source are made, counted and applied."""

    def __init__(
        self, shape: Shape, source: Source, pooled: bool, device: str, drawn: int | None = None
    ) -> None:
        """drawn: rows for which initial values are drawn, though only the source's are kept."""
        self.shape, self.source, self.pooled = shape, source, pooled
        self.device = device
        self._drawn = drawn or source.rows
        self.sparse = () if source.ids is None else ("table", "streams")
        """Parameters that a step changes for few ids: see Settings.boost."""
        self._stream = torch.from_numpy(source.stream).to(device)
        self._rows = np.bincount(source.stream, minlength=source.streams).tolist()
        if source.dense is not None:
            dense = np.concatenate([source.dense, np.zeros((1, source.rows), np.float32)])
            self._dense: Tensor | None = torch.from_numpy(dense).to(device)
        else:
            assert source.ids is not None and source.weights is not None
            self._dense = None
            ids = np.where(source.ids < source.rows, source.ids, 0)  # weighs nothing there
            self._ids = F.pad(torch.from_numpy(ids).to(device).long(), (0, 0, 0, 1))
            self._weights = F.pad(torch.from_numpy(source.weights).to(device), (0, 0, 0, 1))

    def only(self, streams: int | None) -> Models:
        """The models that know of the first so many streams alone (None: all), with the initial
        values that they have here."""
        if streams is None or streams >= self.source.streams:
            return self
        source = self.source.first(streams)
        return Models(self.shape, source, self.pooled, self.device, self._drawn)

    # --------------------------------------------------------------------------------- parameters
    def sizes(self) -> dict[str, tuple[int, ...]]:
        """Name → shape of each parameter of one model."""
        level, outputs, source = self.shape.level, self.shape.outputs, self.source
        made: dict[str, tuple[int, ...]] = {"table": (source.rows, DIM)}
        if source.streams > 1:
            made["streams"] = (source.streams,)
        if self.shape.capacity == "linear":
            return {**made, "out.w": (DIM, outputs), "out.b": (outputs,)}
        width = WIDTH[level]
        made["patch.w"] = (PATCH * DIM, width)
        for n in range(LAYERS[level]):
            made |= {f"conv{n}.w": (3 * width, width), f"conv{n}.b": (width,)}
        if level == "utterance":
            a, b = HIDDEN[level]
            made |= {"mlp0.w": (2 * width, a), "mlp0.b": (a,), "mlp1.w": (a, b), "mlp1.b": (b,)}
            return {**made, "out.w": (b, outputs), "out.b": (outputs,)}
        (a,) = HIDDEN[level]
        made |= {"mlp0.w": (width, a), "mlp0.b": (a,), "mlp1.w": (a, width), "mlp1.b": (width,)}
        made |= {"out.w": (width, PATCH * outputs), "out.b": (PATCH * outputs,)}
        return {**made, "skip.w": (DIM, outputs)}

    def parameters(self) -> int:
        """Trainable parameters of one model."""
        return sum(math.prod(size) for size in self.sizes().values())

    def init(self, seeds: Sequence[int], codes: Sequence[bool]) -> Params:
        """Parameters of as many models, each drawn from a generator of its own seed."""
        made: dict[str, list[Tensor]] = {name: [] for name in self.sizes()}
        for seed, coded in zip(seeds, codes, strict=True):
            generator = torch.Generator().manual_seed(seed)
            for name, size in self.sizes().items():
                rows = (self._drawn, *size[1:]) if name == "table" else size
                made[name].append(self._first(name, rows, generator)[: size[0]])
            if coded:
                made["table"][-1] = self._from_codes(generator)
        return {name: torch.stack(parts).to(self.device) for name, parts in made.items()}

    def _first(self, name: str, size: tuple[int, ...], generator: torch.Generator) -> Tensor:
        if name == "streams" or name.endswith(".b"):
            return torch.zeros(size)
        values = torch.randn(size, generator=generator)
        if name == "table" and self.source.names is not None:
            return values * SPREAD
        return values / math.sqrt(size[0])

    def _from_codes(self, generator: torch.Generator) -> Tensor:
        """Code vectors, standardised by stream and turned to DIM axes at random."""
        assert self.source.codes is not None
        table = torch.zeros(self.source.rows, DIM)
        for k, book in enumerate(self.source.codes):
            x = torch.from_numpy(np.asarray(book, dtype=np.float32))
            if not len(x):
                continue
            x = (x - x.mean(0)) / x.std(unbiased=False).clamp_min(1e-6)
            turn = torch.randn(x.shape[1], DIM, generator=generator) / math.sqrt(x.shape[1])
            table[torch.from_numpy(self.source.stream == k)] = SPREAD * (x @ turn)
        return table

    # ------------------------------------------------------------------------------------- forward
    def shares(self, params: Params) -> Tensor | None:
        """Softmax weights of the streams [M, K]."""
        return params["streams"].softmax(-1) if "streams" in params else None

    def _embed(self, params: Params, frames: Tensor) -> Tensor:
        """[M, N, DIM]: per-stream embeddings, averaged in the frame and summed over streams."""
        table, shares = params["table"], self.shares(params)
        if shares is not None:  # at the start the sum is as large as one stream's
            shares = shares * math.sqrt(self.source.streams)
        if self._dense is not None:
            frame = self._dense[frames]
            if shares is None:
                return torch.bmm(frame, table)
            # Stream after stream, so that the table is read once and a few sums are weighted.
            parts = zip(frame.split(self._rows, 2), table.split(self._rows, 1), strict=True)
            each = torch.stack([torch.bmm(x, rows) for x, rows in parts])
            return (each * shares.T[:, :, None, None]).sum(0)
        models, count = frames.shape
        ids, weights = self._ids[frames], self._weights[frames]
        if shares is not None:  # on the few ids of a step, not on the table
            own = self._stream[ids].reshape(models, -1)
            weights = weights * shares.gather(1, own).reshape(weights.shape)
        base = torch.arange(models, device=frames.device)[:, None, None] * self.source.rows
        made = F.embedding_bag(
            (ids + base).reshape(models * count, -1),
            table.reshape(-1, DIM),
            mode="sum",
            per_sample_weights=weights.reshape(models * count, -1),
        )
        return made.reshape(models, count, DIM)

    def forward(self, params: Params, packed: Packed, keep: Tensor | None) -> tuple[Tensor, Tensor]:
        """Outputs [M, S, C] or [M, N, C], and the last hidden layer [M, S or N, H].

        keep: [M, 1, DIM] factors of dropout on whole embedding axes, or None.
        """
        frames = packed.frames
        if self.pooled:  # a place an utterance, from the first on
            frames = frames[:, : packed.starts.shape[1]]
        x = self._embed(params, frames)
        if keep is not None:
            x = x * keep
        if self.shape.capacity == "linear":
            if self.shape.level == "utterance" and not self.pooled:
                inside = packed.inside(1)
                x = torch.bmm(inside / packed.counts.clamp_min(1)[:, :, None], x)
            return _linear(params, "out", x), x
        inside = packed.inside(PATCH)  # [M, S, P]
        there = inside.sum(1)[:, :, None]  # [M, P, 1]
        models, count = packed.frames.shape
        h = torch.bmm(x.reshape(models, count // PATCH, PATCH * DIM), params["patch.w"])
        for n in range(LAYERS[self.shape.level]):
            z = F.layer_norm(h, h.shape[-1:]) * there
            z = torch.cat([F.pad(z, (0, 0, 1, 0))[:, :-1], z, F.pad(z, (0, 0, 0, 1))[:, 1:]], -1)
            h = (h + F.gelu(_linear(params, f"conv{n}", z))) * there
        mean = inside / inside.sum(-1, keepdim=True).clamp_min(1)
        centre = torch.bmm(mean, h)
        if self.shape.level == "utterance":
            spread = (torch.bmm(mean, h.square()) - centre.square()).clamp_min(1e-6).sqrt()
            z = F.gelu(_linear(params, "mlp0", torch.cat([centre, spread], -1)))
            z = F.gelu(_linear(params, "mlp1", z))
            return _linear(params, "out", z), z
        z = _linear(params, "mlp1", F.gelu(_linear(params, "mlp0", centre)))
        h = h + torch.bmm(inside.transpose(1, 2), z)
        out = _linear(params, "out", F.layer_norm(h, h.shape[-1:]))
        out = out.reshape(models, count, self.shape.outputs)
        return out + torch.bmm(x, params["skip.w"]), x


def _linear(params: Params, name: str, x: Tensor) -> Tensor:
    return torch.baddbmm(params[f"{name}.b"][:, None], x, params[f"{name}.w"])
