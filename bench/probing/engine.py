"""Trains many probes of one shape as one: seeds, learning rates, controls, prefixes and folds.

Each model has its own initial values, order of data and dropout, all drawn from its own seed, its
own learning rate and its own stopping. Their arithmetic is batched (`bmm` over an axis of models),
and no model's values enter another's: the result is that of training one after another, to the
rounding of sums. A model that has stopped leaves the batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from threading import Event

import numpy as np
import torch
from torch import Tensor
from torch.optim.adam import adam

from bench.pools import Halted
from bench.probing.contract import Batch, Floats, Ids, Labels, Losses, Outputs, Probe
from bench.probing.heads import DIM, Models, Packed, Params
from bench.probing.inputs import Layout
from bench.probing.packing import Order, Pack, in_order
from bench.probing.settings import Settings
from bench.probing.targets import Tables

MOST_VALUES = 24_000_000  # parameters trained at once, to bound memory
MOST_MODELS = 48


@dataclass(frozen=True)
class Job:
    """One model. arm: what it is for; models of one arm and fold that differ in `rate` compete.
    seed: of everything random. train, validation, test, code: item numbers; `code` is scored as a
    message (see mdl). labels: which of the sets of labels. shuffled: frames in random order.
    streams: only the first so many, None for all. codes: embeddings start from code vectors."""

    arm: str
    fold: int
    seed: int
    rate: float
    train: Ids
    validation: Ids
    test: Ids
    code: Ids
    labels: int = 0
    shuffled: bool = False
    streams: int | None = None
    codes: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a job. validation: least loss (nats a symbol), infinite where it diverged;
    steps: when that was. outputs: of `test`. nats, symbols: of `code`. shares: weights of the
    of the streams that it has [K]."""

    job: Job
    validation: float
    steps: int
    outputs: Outputs
    nats: float
    symbols: float
    shares: Floats


@dataclass(frozen=True)
class Task:
    """What all jobs share. labels: the sets that jobs choose from, of equal shapes. orders: the
    frames as they are, and shuffled, int64 [frames + 1], the last −1. halted: set from another
    thread to end the training, which then raises Halted."""

    probe: Probe
    labels: Sequence[Labels]
    layout: Layout
    models: Models
    settings: Settings
    orders: Tensor
    tables: Tables
    halted: Event


def task(
    probe: Probe,
    labels: Sequence[Labels],
    layout: Layout,
    models: Models,
    settings: Settings,
    seed: int,
    halted: Event | None = None,
) -> Task:
    """Put together what jobs share; `seed` shuffles frames."""
    device = models.device
    orders = np.stack([np.arange(layout.frames), layout.shuffled(seed)])
    ended = np.concatenate([orders, np.full((2, 1), -1)], axis=1)
    tables = Tables(labels, layout, device)
    frames = torch.from_numpy(ended).to(device)
    return Task(probe, labels, layout, models, settings, frames, tables, halted or Event())


def run(t: Task, jobs: Sequence[Job]) -> list[Outcome]:
    """Train all jobs; of those that differ only in their learning rate, the best on validation
    (mean over seeds) is kept. In order of arm, fold and seed as given."""
    arms: dict[tuple[str, int], list[Job]] = defaultdict(list)
    for job in jobs:
        arms[job.arm, job.fold].append(job)
    alike: dict[int | None, list[list[Job]]] = defaultdict(list)
    for group in arms.values():  # models of the same streams are of one shape
        alike[group[0].streams].append(group)
    found: list[Outcome] = []
    for streams, groups in alike.items():
        own = replace(t, models=t.models.only(streams))
        most = max(1, min(MOST_MODELS, MOST_VALUES // own.models.parameters()))
        chunk: list[Job] = []
        for group in [*groups, []]:
            if chunk and (not group or len(chunk) + len(group) > most):
                found += _Training(own, chunk).run()
                chunk = []
            chunk = chunk + group
    place = {arm: n for n, arm in enumerate(arms)}
    return sorted(found, key=lambda o: place[o.job.arm, o.job.fold])


class _Training:
    """One batch of models on their way."""

    def __init__(self, t: Task, jobs: Sequence[Job]) -> None:
        self.t, self.jobs = t, list(jobs)
        s, models = t.settings, t.models
        seeds = [job.seed for job in jobs]
        self.params = models.init(seeds, [job.codes for job in jobs])
        self.moments = {n: (torch.zeros_like(p), torch.zeros_like(p))
                        for n, p in self.params.items()}  # fmt: skip
        self.size = max(s.places, max(self._longest(job) for job in jobs))
        self.orders = [
            Order(t.layout, job.train, self.size, job.seed, s.crop, s.most) for job in jobs
        ]
        self.drops = [torch.Generator().manual_seed(job.seed + 1) for job in jobs]
        self.best = {name: p.clone() for name, p in self.params.items()}
        self.least = np.full(len(jobs), np.inf)
        self.when = np.zeros(len(jobs), dtype=np.int64)
        self.active = np.arange(len(jobs))
        self.looked: dict[tuple[int, ...], list[Pack]] = {}

    def _longest(self, job: Job) -> int:
        counts = np.minimum(self.t.layout.counts, self.t.settings.longest)
        return max(self.t.layout.room(int(counts[i].max(initial=1)))
                   for i in (job.train, job.validation, job.test, job.code))  # fmt: skip

    # ------------------------------------------------------------------------------------- steps
    def run(self) -> list[Outcome]:
        s = self.t.settings
        looks = 0
        for step in range(1, s.steps + 1):
            if self.t.halted.is_set():
                raise Halted
            self._step(step)
            if step % s.every == 0 or step == s.steps:
                looks += 1
                self._look(step)
                self._leave(step, looks)
                if not len(self.active):
                    break
        chosen = self._chosen(range(len(self.jobs)))
        return self._outcomes([m for m in range(len(self.jobs)) if m in chosen])

    def _inputs(self, packs: Sequence[Pack], which: Sequence[int]) -> tuple[Packed, Batch]:
        device = self.t.models.device
        sets = torch.tensor([self.jobs[m].labels for m in which], device=device)
        packed, batch = self.t.tables.step(packs, sets)
        order = torch.tensor([int(self.jobs[m].shuffled) for m in which], device=device)
        frames = self.t.orders[order[:, None], packed.frames]
        return Packed(frames, packed.starts, packed.counts), batch

    def _step(self, step: int) -> None:
        which, s = self.active.tolist(), self.t.settings
        packed, batch = self._inputs([self.orders[m].step() for m in which], which)
        masks = torch.stack([torch.rand(1, DIM, generator=self.drops[m]) for m in which])
        keep = ((masks >= s.dropout).float() / (1 - s.dropout)).to(self.t.models.device)
        for p in self.params.values():
            p.requires_grad_(True)
        output, _ = self.t.models.forward(self.params, packed, keep)
        self._mean(
            self.t.probe.loss(output, batch, self.t.labels[0]), trained=True
        ).sum().backward()
        self._adam(step)

    @staticmethod
    def _mean(found: Losses, *, trained: bool) -> Tensor:
        """Loss of each model [M], a symbol."""
        nats = found.nats
        if trained and found.beside is not None:
            nats = nats + found.beside
        return nats.sum(1) / found.symbols.sum(1).clamp_min(1)

    @torch.no_grad()
    def _adam(self, step: int) -> None:
        """One step of Adam (Kingma and Ba 2015), betas 0.9 and 0.99, in one pass over memory for
        neighbouring models of one learning rate."""
        parts: dict[float, list[tuple[Tensor, Tensor, Tensor, Tensor]]] = {}
        for name, p in self.params.items():
            assert p.grad is not None
            g, p.grad = p.grad.contiguous(), None
            p.requires_grad_(False)
            m, v = self.moments[name]
            boost = self.t.settings.boost if name in self.t.models.sparse else 1.0
            first = 0
            for rate, group in groupby(self.jobs[i].rate for i in self.active.tolist()):
                last = first + len(list(group))
                parts.setdefault(boost * rate, []).append(
                    (p[first:last], g[first:last], m[first:last], v[first:last])
                )
                first = last
        for rate, found in parts.items():
            before = [torch.tensor(step - 1.0, device=p.device) for p, *_ in found]
            params, grads, means, squares = map(list, zip(*found, strict=True))
            adam(
                params, grads, means, squares, [], before, fused=True, amsgrad=False,
                beta1=0.9, beta2=0.99, lr=rate, weight_decay=0.0, eps=1e-8, maximize=False,
            )  # fmt: skip

    # ------------------------------------------------------------------------------- validation
    def _look(self, step: int) -> None:
        """Validation loss of the active models; the best values are kept."""
        which = self.active.tolist()
        sums = np.zeros((2, len(which)))
        packs = [self._packs(self.jobs[m].validation) for m in which]
        for piece in range(max(map(len, packs))):
            rows = [r for r, p in enumerate(packs) if piece < len(p)]
            params = _of(self.params, rows)
            models = [which[r] for r in rows]
            _, found, _ = self._seen(params, [packs[r][piece] for r in rows], models)
            sums[0, rows] += found.nats.sum(1).double().cpu().numpy()
            sums[1, rows] += found.symbols.sum(1).double().cpu().numpy()
        loss = np.where(np.isfinite(sums[0]), sums[0], np.inf) / np.maximum(sums[1], 1)
        better = np.flatnonzero(loss < self.least[self.active])
        if len(better):
            at = self.active[better]
            self.least[at], self.when[at] = loss[better], step
            for name, p in self.params.items():
                self.best[name][torch.from_numpy(at)] = p[torch.from_numpy(better)]

    def _packs(self, items: Ids) -> list[Pack]:
        key = tuple(items.tolist())
        if key not in self.looked:
            longest = self.t.settings.longest
            self.looked[key] = in_order(self.t.layout, items, self.size, longest)
        return self.looked[key]

    @torch.no_grad()
    def _seen(
        self, params: Params, packs: Sequence[Pack], which: Sequence[int]
    ) -> tuple[Tensor, Losses, Tensor]:
        packed, batch = self._inputs(packs, which)
        output, hidden = self.t.models.forward(params, packed, None)
        return output, self.t.probe.loss(output, batch, self.t.labels[0]), hidden

    def _chosen(self, among: Sequence[int] | range) -> set[int]:
        """Of each arm and fold, the models with the learning rate that is best on validation."""
        losses: dict[tuple[str, int], dict[float, list[float]]] = {}
        for m in among:
            job = self.jobs[m]
            losses.setdefault((job.arm, job.fold), {}).setdefault(job.rate, []).append(
                float(self.least[m])
            )
        best = {arm: min(by, key=lambda r: float(np.mean(by[r]))) for arm, by in losses.items()}
        return {m for m in among if self.jobs[m].rate == best[self.jobs[m].arm, self.jobs[m].fold]}

    def _leave(self, step: int, looks: int) -> None:
        """Models that stopped gaining, or whose learning rate lost, leave the batch."""
        s = self.t.settings
        stay = step - self.when[self.active] < s.patience * s.every
        if s.pilot and looks >= s.pilot:
            chosen = self._chosen(range(len(self.jobs)))
            stay &= np.array([m in chosen for m in self.active])
        if stay.all():
            return
        rows = np.flatnonzero(stay)
        self.active = self.active[rows]
        self.params = _of(self.params, rows)
        at = torch.from_numpy(rows)
        self.moments = {n: (m[at], v[at]) for n, (m, v) in self.moments.items()}

    # ----------------------------------------------------------------------------------- outcome
    def _outcomes(self, which: list[int]) -> list[Outcome]:
        """Score the best values of the chosen models, once."""
        params = _of(self.best, which)
        shares = self.t.models.shares(params)
        output: list[list[Floats]] = [[] for _ in which]
        hidden: list[list[Floats]] = [[] for _ in which]
        code = np.zeros((2, len(which)))
        test = [self._packs(self.jobs[m].test) for m in which]
        for piece in range(max(map(len, test))):
            rows = [r for r, p in enumerate(test) if piece < len(p)]
            packs = [test[r][piece] for r in rows]
            out, _, last = self._seen(_of(params, rows), packs, [which[r] for r in rows])
            values, states = out.cpu().numpy(), last.cpu().numpy()
            for n, (r, p) in enumerate(zip(rows, packs, strict=True)):
                if self.t.models.shape.level == "utterance":
                    output[r] += list(values[n, : len(p.items)])
                    hidden[r] += list(states[n, : len(p.items)])
                else:
                    output[r] += [
                        values[n, a : a + c] for a, c in zip(p.starts, p.counts, strict=True)
                    ]
        told = [self._packs(self.jobs[m].code) for m in which]
        for piece in range(max(map(len, told))):
            rows = [r for r, p in enumerate(told) if piece < len(p)]
            packs = [told[r][piece] for r in rows]
            _, found, _ = self._seen(_of(params, rows), packs, [which[r] for r in rows])
            code[0, rows] += found.nats.sum(1).double().cpu().numpy()
            code[1, rows] += found.symbols.sum(1).double().cpu().numpy()
        made = []
        for r, m in enumerate(which):
            job = self.jobs[m]
            weights = np.ones(1, np.float32) if shares is None else shares[r].cpu().numpy()
            made.append(Outcome(
                job, float(self.least[m]), int(self.when[m]),
                Outputs(job.test, output[r], hidden[r]),
                float(code[0, r]), float(code[1, r]), weights,
            ))  # fmt: skip
        return made


def _of(params: Params, rows: Sequence[int] | Ids) -> Params:
    """Of these models, in this order; not copied where they follow on each other."""
    at = np.asarray(rows, dtype=np.int64)
    if len(at) and np.array_equal(at, np.arange(at[0], at[0] + len(at))):
        return {name: p[int(at[0]) : int(at[0]) + len(at)] for name, p in params.items()}
    return {name: p[torch.from_numpy(at)] for name, p in params.items()}
