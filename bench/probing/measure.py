"""One probe, one capacity, one source of inputs: trains all arms and keeps what they said."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from threading import Event
from typing import Any

import numpy as np

from bench.probing import arms, engine
from bench.probing.contract import Capacity, Labels, Probe, Values
from bench.probing.engine import Outcome
from bench.probing.folds import Fold
from bench.probing.heads import Models
from bench.probing.inputs import Layout, Source
from bench.probing.settings import settings
from bench.store import Store, key_of, pack_json, unpack_json
from bench.tracks.contract import TokenItem

FORMAT = 3  # of what is trained and kept; changes with anything that changes a figure


@dataclass(frozen=True)
class Setting:
    """One probe on one suite. labels: true, and random where there are such (second). halted: ends
    its training when set."""

    probe: Probe
    items: Sequence[TokenItem]
    folds: Sequence[Fold]
    labels: Sequence[Labels]
    layout: Layout
    seeds: Sequence[int]
    device: str = "cpu"
    halted: Event = field(default_factory=Event)

    def digest(self) -> str:
        """sha256 of items, folds and labels."""
        made = hashlib.sha256()
        for item in self.items:
            made.update(f"{item.utterance.id}\0{item.utterance.speaker}\0{item.seconds}\n".encode())
        for fold in self.folds:
            for part in (fold.train, fold.validation, fold.test):
                made.update(part.tobytes() + b"|")
        for labels in self.labels:
            made.update(labels.utterance.tobytes() + repr(labels.classes).encode())
            for parts in (labels.frames, labels.sequences):
                for x in parts or ():
                    made.update(x.tobytes() + b"|")
        return made.hexdigest()


@dataclass(frozen=True)
class Arm:
    """One arm over its folds: for each seed, what `figures` needs; then by fold the learning rate,
    and by seed validation loss, steps, weights of streams, nats and symbols of the coded part."""

    values: list[Values]
    rates: list[float]
    validation: list[float]
    steps: list[int]
    shares: list[list[float]]
    nats: list[float]
    symbols: list[float]


@dataclass(frozen=True)
class Found:
    """Arms by name; parameters: trainable ones of a model, embeddings: those of them that lie in
    embeddings of ids or in the projection of continuous features."""

    arms: dict[str, Arm]
    parameters: int
    embeddings: int


def measure(
    s: Setting,
    capacity: Capacity,
    source: Source,
    store: Store | None,
    *,
    tokens: bool,
    books: int = 1,
) -> Found:
    """Train and score, or take from the store what was trained before.

    tokens: the source is ids, so controls, prefixes and the start from code vectors are trained.
    books: nested codebooks.
    """
    shape = s.probe.model(source.streams, capacity, s.labels[0])
    how = settings(shape.level, capacity)
    pooled = shape.level == "utterance" and capacity == "linear"
    made = arms.jobs(
        [arms.usable(fold, s.labels[0]) for fold in s.folds], capacity, how, s.seeds,
        tokens=tokens, random=len(s.labels) > 1, shuffled=not pooled,
        code=s.probe.symbols(s.labels[0]) > 0, codes=source.codes is not None, books=books,
    )  # fmt: skip
    key = key_of(
        kind="probe", version=FORMAT, probe=[s.probe.task, s.probe.version], capacity=capacity,
        source=source.digest(), setting=s.digest(), settings=asdict(how), books=books,
        seeds=list(s.seeds), tokens=tokens, shape=[shape.level, shape.outputs], device=s.device,
    )  # fmt: skip
    if store is not None and (data := store.get(key)) is not None:
        return _read(unpack_json(data))
    layout = s.layout
    if pooled:
        source, layout = source.pooled(s.layout), s.layout.single()
    models = Models(shape, source, pooled, s.device)
    task = engine.task(s.probe, s.labels, layout, models, how, s.seeds[0], s.halted)
    outcomes = engine.run(task, made)
    found = Found(_arms(s, outcomes), models.parameters(), int(np.prod(models.sizes()["table"])))
    told = pack_json(_told(found))
    if store is not None:
        store.put({key: told})
    return _read(unpack_json(told))  # so that what was kept equals what was just trained


def _arms(s: Setting, outcomes: Sequence[Outcome]) -> dict[str, Arm]:
    by: dict[str, list[Outcome]] = {}
    for o in outcomes:
        by.setdefault(o.job.arm, []).append(o)
    return {name: _arm(s, group) for name, group in by.items()}


def _arm(s: Setting, group: Sequence[Outcome]) -> Arm:
    seeds = list(dict.fromkeys(o.job.seed for o in group))
    of: Callable[[int], list[Outcome]] = lambda seed: [o for o in group if o.job.seed == seed]  # noqa: E731
    values = []
    for seed in seeds:
        parts = [s.probe.score(o.outputs, s.items, s.labels[o.job.labels]) for o in of(seed)]
        values.append({name: np.concatenate([p[name] for p in parts]) for name in parts[0]})
    folds = list(dict.fromkeys(o.job.fold for o in group))
    return Arm(
        values,
        [next(o.job.rate for o in group if o.job.fold == fold) for fold in folds],
        [float(np.mean([o.validation for o in of(seed)])) for seed in seeds],
        [int(np.mean([o.steps for o in of(seed)])) for seed in seeds],
        [np.mean([o.shares for o in of(seed)], axis=0).round(6).tolist() for seed in seeds],
        [sum(o.nats for o in of(seed)) for seed in seeds],
        [sum(o.symbols for o in of(seed)) for seed in seeds],
    )


def _told(found: Found) -> dict[str, Any]:
    told = asdict(found)
    for arm in told["arms"].values():
        arm["values"] = [{n: v.tolist() for n, v in values.items()} for values in arm["values"]]
        arm["validation"] = [v if np.isfinite(v) else None for v in arm["validation"]]
    return told


def _read(told: dict[str, Any]) -> Found:
    made = {}
    for name, arm in told["arms"].items():
        values = [{n: np.array(v, dtype=np.float64) for n, v in x.items()} for x in arm["values"]]
        validation = [v if v is not None else float("inf") for v in arm["validation"]]
        made[name] = Arm(**{**arm, "values": values, "validation": validation})
    return Found(made, told["parameters"], told["embeddings"])
