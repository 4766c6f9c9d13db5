"""A small transformer trained for a fixed budget, and the bits that it then needs on other ids."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.contracts import Ids
from bench.errors import UserError
from bench.layouts import EMPTY, Flatten, Layout, TemporalDepth
from bench.layouts.rows import Rows
from bench.lm.laid import Item
from bench.lm.network import Kind, Shape, TokenNetwork
from bench.lm.ngram import Floats
from bench.pools import Halted
from bench.train.loop import cosine


@dataclass(frozen=True)
class Recipe:
    """How it is trained: the same for every tokenizer and layout.

    positions: rows that the trunk is trained on in all, however often that goes over the data;
    batch: rows in one step, few, since a small network learns by the number of steps;
    rate: of AdamW, after a linear warm-up and then down a cosine; boost: times which embeddings
    learn, since an id comes up in few of the steps;
    held_out: share of the training utterances, but at most `held_out_rows` rows, on which the
    weights to keep are chosen, `checks` times in the run; seed: of weights and order.
    """

    shape: Shape = field(default_factory=Shape)
    positions: int = 60_000
    batch: int = 256
    rate: float = 2e-3
    boost: float = 20.0
    weight_decay: float = 0.1
    held_out: float = 1 / 16
    held_out_rows: int = 4096
    checks: int = 6
    seed: int = 0


@dataclass(frozen=True)
class _Laid:
    """One utterance as the network reads it: ids and streams int64 [S, H]."""

    ids: Ids
    streams: Ids


class SmallLM:
    """The small transformer over one layout; `fit`, then `bits`.

    On one machine, with one number of threads and on a CPU, the same data and recipe give the same
    bits, to the last digit.
    """

    def __init__(self, layout: Layout, recipe: Recipe | None = None, device: str = "cpu") -> None:
        """device: "cpu" or "cuda". Raises UserError for layouts of several models."""
        if not isinstance(layout, Flatten | Rows):
            raise UserError(
                f"no small transformer over layout {layout.name}: it has several models; use "
                "flatten, delay, parallel, temporal+depth or text-aligned"
            )
        self.layout, self.recipe, self.device = layout, recipe or Recipe(), torch.device(device)
        kind: Kind = (
            "flat"
            if isinstance(layout, Flatten)
            else "depth"
            if isinstance(layout, TemporalDepth)
            else "rows"
        )
        with _seeded(self.recipe.seed):
            vocabularies = [s.vocabulary for s in layout.streams]
            self.network = TokenNetwork(vocabularies, kind, self.recipe.shape).to(self.device)
        self.history: list[tuple[int, float]] = []
        """(rows trained on, bits a held-out id) at each check."""

    @property
    def parameters(self) -> int:
        """Weights, embeddings and heads included."""
        return sum(p.numel() for p in self.network.parameters())

    # ---------------------------------------------------------------------------------- training
    def fit(self, items: Sequence[Item], halted: Event | None = None) -> SmallLM:
        """Train on these utterances and keep the weights that were best on the held-out ones.

        It begins with how often each id comes up. Without any ids, or before training, it gives
        each id 1/V. Raises Halted soon after another thread sets `halted`.
        """
        recipe = self.recipe
        rng = np.random.default_rng(recipe.seed)
        laid = [item for item in map(self._lay, items) if len(item.ids)]
        held, kept = _hold_out(laid, recipe, rng)
        if not kept:
            return self
        self._count(kept)
        optimizer = torch.optim.AdamW(
            self._groups(),
            lr=recipe.rate,
            betas=(0.9, 0.95),
            weight_decay=recipe.weight_decay,
            fused=True,
        )
        every = recipe.positions / recipe.checks
        done, checked, best = 0, 0, (float("inf"), self._weights())
        for windows in self._batches(kept, rng):
            if halted is not None and halted.is_set():
                raise Halted
            warmup = recipe.positions // 20
            for group in optimizer.param_groups:
                rate = recipe.rate * cosine(done, recipe.positions, warmup)
                group["lr"] = rate * group["boost"]
            done += self._step(optimizer, windows)
            if done >= every * (checked + 1):
                checked = int(done // every)
                best = self._check(held, done, best)
            if done >= recipe.positions:
                break
        if held:
            self.network.load_state_dict(best[1])
        return self

    @torch.no_grad()
    def _count(self, laid: list[_Laid]) -> None:
        """Start each head at the logarithm of its ids' shares, one added to each count."""
        for k, head in enumerate(self.network.heads):
            ids = np.concatenate([item.ids[item.streams == k] for item in laid])
            bias = head.get_parameter("bias")
            counts = np.bincount(ids, minlength=len(bias)) + 1.0
            bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))

    def _groups(self) -> list[dict[str, Any]]:
        """Matrices decay, vectors and embeddings do not."""
        network = self.network
        fast = [network.embed.weight, network.tied]
        rest = [p for p in network.parameters() if all(p is not f for f in fast)]
        return [
            {"params": fast, "weight_decay": 0.0, "boost": self.recipe.boost},
            {"params": [p for p in rest if p.ndim > 1], "boost": 1.0},
            {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0, "boost": 1.0},
        ]

    def _step(self, optimizer: torch.optim.Optimizer, windows: list[_Laid]) -> int:
        self.network.train()
        ids, streams = self._padded(windows)
        cells = int((streams != EMPTY).sum())
        loss = self.network(ids, streams).sum() / max(1, cells)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        optimizer.step()
        return sum(len(w.ids) for w in windows)

    def _check(
        self, held: list[_Laid], done: int, best: tuple[float, dict[str, Tensor]]
    ) -> tuple[float, dict[str, Tensor]]:
        if not held:
            return best
        cells = sum(int((item.streams != EMPTY).sum()) for item in held)
        bits = float(self._score(held).sum() / max(1, cells))
        self.history.append((done, bits))
        return (bits, self._weights()) if bits < best[0] else best

    def _weights(self) -> dict[str, Tensor]:
        return copy.deepcopy(self.network.state_dict())

    def _batches(self, laid: list[_Laid], rng: np.random.Generator) -> Iterator[list[_Laid]]:
        """Windows of similar length, `batch` rows in all, pass after pass in a new order."""
        context = self.recipe.shape.context
        while True:
            windows: list[_Laid] = []
            for item in laid:
                first = int(rng.integers(1, context + 1)) if len(item.ids) > context else context
                cuts = [0, *range(first, len(item.ids), context)]
                windows += [
                    _Laid(item.ids[a:b], item.streams[a:b])
                    for a, b in zip(cuts, [*cuts[1:], None], strict=True)
                ]
            order = rng.permutation(len(windows))
            windows = sorted((windows[i] for i in order), key=lambda w: len(w.ids))
            batches = list(_grouped(windows, self.recipe.batch))
            for i in rng.permutation(len(batches)):
                yield batches[i]

    # ----------------------------------------------------------------------------------- scoring
    def bits(self, items: Sequence[Item]) -> Floats:
        """Bits of each stream of each item [items, K], each row with at least context/4 before it.

        Longer items are read in windows that overlap by a quarter of a context.
        """
        return self._score([self._lay(item) for item in items])

    @torch.no_grad()
    def _score(self, laid: Sequence[_Laid]) -> Floats:
        self.network.eval()
        context = self.recipe.shape.context
        seen = context // 4
        stride = context - seen
        pieces: list[tuple[int, int, _Laid]] = []  # item, rows already scored, window
        for n, item in enumerate(laid):
            for start in range(0, max(1, len(item.ids) - seen), stride):
                end = min(start + context, len(item.ids))
                window = _Laid(item.ids[start:end], item.streams[start:end])
                if len(window.ids):
                    pieces.append((n, seen if start else 0, window))
        pieces.sort(key=lambda p: len(p[2].ids))
        out = np.zeros((len(laid), len(self.layout.streams)))
        at = 0
        for group in _grouped([p[2] for p in pieces], 2 * context):
            ids, streams = self._padded(group)
            nats = self.network(ids, streams).double().cpu().numpy()
            for row, (n, scored, window) in enumerate(pieces[at : at + len(group)]):
                found = nats[row, scored : len(window.ids)]
                here = window.streams[scored:]
                for k in range(out.shape[1]):
                    out[n, k] += found[here == k].sum() / np.log(2)
            at += len(group)
        return out

    # ------------------------------------------------------------------------------------ shapes
    def _lay(self, item: Item) -> _Laid:
        self.layout.encode(item)  # checks the ids
        (places,) = self.layout.places([len(ids) for ids in item])
        ids = np.zeros(places.stream.shape, dtype=np.int64)
        for k, stream in enumerate(item):
            here = places.stream == k
            ids[here] = stream[places.index[here]]
        return _Laid(ids, places.stream)

    def _padded(self, windows: Sequence[_Laid]) -> tuple[Tensor, Tensor]:
        """One batch [B, S, H]; rows past the end of a window are EMPTY."""
        longest = max(len(w.ids) for w in windows)
        shape = (len(windows), longest, windows[0].ids.shape[1])
        ids, streams = np.zeros(shape, dtype=np.int64), np.full(shape, EMPTY, dtype=np.int64)
        for row, window in enumerate(windows):
            ids[row, : len(window.ids)] = window.ids
            streams[row, : len(window.ids)] = window.streams
        made = torch.from_numpy(ids), torch.from_numpy(streams)
        return made[0].to(self.device), made[1].to(self.device)


def _hold_out(
    laid: list[_Laid], recipe: Recipe, rng: np.random.Generator
) -> tuple[list[_Laid], list[_Laid]]:
    """Utterances to choose the weights on, and the rest; none to choose on where there are few."""
    limit = int(len(laid) * recipe.held_out)
    held: set[int] = set()
    rows = 0
    for i in rng.permutation(len(laid))[:limit]:
        if held and rows + len(laid[i].ids) > recipe.held_out_rows:
            break
        held.add(int(i))
        rows += len(laid[i].ids)
    return (
        [item for i, item in enumerate(laid) if i in held],
        [item for i, item in enumerate(laid) if i not in held],
    )


def _grouped(windows: list[_Laid], rows: int) -> Iterator[list[_Laid]]:
    """Consecutive windows whose padded size is at most `rows` (or one window)."""
    group: list[_Laid] = []
    for window in windows:
        if group and (len(group) + 1) * max(len(window.ids), len(group[-1].ids)) > rows:
            yield group
            group = []
        group.append(window)
    if group:
        yield group


_random = Lock()  # torch has one source of random numbers for all threads


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Torch's own random numbers from `seed` inside, as they were outside; one thread at a time."""
    with _random, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
