"""Residual vector quantization with codebooks kept by exponential moving averages."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


class ResidualQuantizer(nn.Module):
    """K codebooks of V vectors, each quantizing what the ones before left over.

    SoundStream (Zeghidour et al. 2021, section III-C): EMA of 0.99, k-means of real frames as
    start, entries that fall out of use replaced by frames of the batch, quantizer dropout. "Out
    of use" is relative here, `dead` times the mean count, since a batch may hold fewer frames
    than a codebook entries.
    """

    vectors: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, books: int, entries: int, dimension: int, *, decay: float = 0.99,
                 dead: float = 0.1) -> None:  # fmt: skip
        super().__init__()
        self.books, self.entries, self.decay, self.dead = books, entries, decay, dead
        self.register_buffer("vectors", torch.zeros(books, entries, dimension))
        # The averages are needed to train only, and are no part of a checkpoint.
        self.register_buffer("counts", torch.ones(books, entries), persistent=False)
        self.register_buffer("sums", torch.zeros(books, entries, dimension), persistent=False)

    def nearest(self, x: Tensor, book: int) -> Tensor:
        """Ids int64 [N] of the entries closest to `x` [N, D]."""
        vectors = self.vectors[book]
        return (vectors.square().sum(1) - 2 * x @ vectors.T).argmin(1)

    def encode(self, x: Tensor, books: int | None = None) -> Tensor:
        """Frames [N, D] → ids int64 [K, N] of the first `books` codebooks."""
        ids = []
        for book in range(books or self.books):
            ids.append(self.nearest(x, book))
            x = x - self.vectors[book][ids[-1]]
        return torch.stack(ids)

    def decode(self, ids: Tensor) -> Tensor:
        """Ids [K, N], K of any size up to `books`, → frames [N, D]."""
        parts = [self.vectors[book][row] for book, row in enumerate(ids)]
        return torch.stack(parts).sum(0)

    def forward(self, x: Tensor, used: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """One training step on [B, T, D]: quantized frames (straight through) and commitment loss.

        used: int [B], codebooks that quantize each item (quantizer dropout).
        """
        flat = x.detach().reshape(-1, x.shape[-1])
        depth = used.repeat_interleave(x.shape[1])
        left, total, loss = flat, torch.zeros_like(flat), x.new_zeros(())
        for book in range(self.books):
            on = (depth > book)[:, None]
            ids = self.nearest(left, book)
            chosen = self.vectors[book][ids]
            error = (x.reshape(flat.shape) - total - chosen).square().mean(1, keepdim=True)
            loss = loss + (error * on).mean()
            self._update(book, left, ids, generator)
            total = total + chosen * on
            left = left - chosen
        quantized = total.reshape(x.shape)
        return x + (quantized - x).detach(), loss / self.books

    @torch.no_grad()
    def _update(self, book: int, x: Tensor, ids: Tensor, generator: torch.Generator) -> None:
        counts = torch.bincount(ids, minlength=self.entries).to(x.dtype)
        sums = torch.zeros_like(self.sums[book]).index_add_(0, ids, x)
        self.counts[book].lerp_(counts, 1 - self.decay)
        self.sums[book].lerp_(sums, 1 - self.decay)
        mean = self.counts[book].mean()
        lost = (self.counts[book] < self.dead * mean).nonzero()[:, 0]
        if len(lost):
            fresh = torch.randint(len(x), (len(lost),), generator=generator).to(x.device)
            self.counts[book][lost] = mean
            self.sums[book][lost] = x[fresh] * mean
        self.vectors[book] = self.sums[book] / self.counts[book][:, None].clamp(min=1e-6)

    def averages(self) -> Averages:
        """The moving averages, for the state of a training run."""
        return Averages(self)

    def restart_averages(self) -> None:
        """Averages of entries that were all used alike, after vectors were loaded."""
        self.counts.fill_(1.0)
        self.sums.copy_(self.vectors)

    @torch.no_grad()
    def start(self, frames: Tensor, seed: int) -> None:
        """Set every codebook to k-means of what the ones before leave of `frames` [N, D]."""
        from sklearn.cluster import MiniBatchKMeans

        left = frames.float()
        for book in range(self.books):
            fit = MiniBatchKMeans(self.entries, random_state=seed + book, n_init=1,
                                  batch_size=4096, max_iter=8)  # fmt: skip
            fit.fit(left.cpu().numpy())
            self.vectors[book] = torch.from_numpy(fit.cluster_centers_).to(left)
            ids = self.nearest(left, book)
            mean = len(left) / self.entries
            counts = torch.bincount(ids, minlength=self.entries).to(left)
            self.counts[book] = counts.clamp(min=0.2 * mean)
            self.counts[book] /= self.counts[book].mean()
            self.sums[book] = self.vectors[book] * self.counts[book][:, None]
            left = left - self.vectors[book][ids]


@dataclass
class Averages:
    """What a quantizer needs to go on training, in the form of a state dict."""

    quantizer: ResidualQuantizer

    def state_dict(self) -> dict[str, Tensor]:
        return {"counts": self.quantizer.counts, "sums": self.quantizer.sums}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.quantizer.counts.copy_(state["counts"])
        self.quantizer.sums.copy_(state["sums"])
