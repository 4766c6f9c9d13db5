"""What is trained for one probe and one capacity: the figure, its controls, prefixes and curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.probing.contract import Capacity, Ids, Labels
from bench.probing.engine import Job
from bench.probing.folds import Fold
from bench.probing.settings import Settings

TOKENS, SHUFFLED, RANDOM, CODES, PREFIX, BOOKS = (
    "tokens", "shuffled", "random", "codes", "prefix", "books",
)  # fmt: skip
PREFIXES = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
BOOK_COUNTS = (1, 2, 4)


def seeds_of(seed: int, count: int) -> list[int]:
    """Seeds of as many models, of the run's seed; far apart, as dropout uses the next one."""
    return [1000 * seed + 10 * n for n in range(count)]


def known(labels: Labels) -> Ids:
    """Items that have something to be learnt."""
    made = np.zeros(len(labels.utterance), dtype=bool)
    if labels.utterance.shape[1]:
        values = labels.utterance
        there = np.isfinite(values) if not labels.classes else values >= 0
        made |= there.any(axis=1)
    for parts in (labels.frames, labels.sequences):
        if parts is not None:
            made |= np.array([bool((part >= 0).any()) for part in parts])
    return np.flatnonzero(made)


def usable(fold: Fold, labels: Labels) -> Fold:
    """The fold without training and validation items that have no target."""
    there = known(labels)
    return Fold(
        np.intersect1d(fold.train, there), np.intersect1d(fold.validation, there), fold.test
    )


def jobs(
    folds: Sequence[Fold],
    capacity: Capacity,
    settings: Settings,
    seeds: Sequence[int],
    *,
    tokens: bool,
    random: bool,
    shuffled: bool,
    code: bool,
    codes: bool,
    books: int,
) -> list[Job]:
    """All models of one source.

    tokens: the source is ids, so it has all arms; else the figure alone. random: there are random
    labels (set 1). shuffled: order matters to the head. code: prefixes for the online code, of the
    linear head and the first fold. codes: a start from code vectors. books: number of nested
    codebooks, 1 for none.
    """
    none = np.zeros(0, dtype=np.int64)
    made: list[Job] = []
    for number, fold in enumerate(folds):
        for seed in seeds:
            for rate in settings.rates:
                job = Job(TOKENS, number, seed, rate, fold.train, fold.validation, fold.test, none)
                made.append(job)
                if not tokens:
                    continue
                if shuffled:
                    made.append(replace(job, arm=SHUFFLED, shuffled=True))
                if random:
                    made.append(replace(job, arm=RANDOM, labels=1))
                if capacity == "network":
                    continue
                if codes:
                    made.append(replace(job, arm=CODES, codes=True))
                made += [
                    replace(job, arm=f"{BOOKS}:{n}", streams=n) for n in BOOK_COUNTS if n < books
                ]
                if code and not number:
                    made += _prefixes(job)
    return made


def _prefixes(job: Job) -> list[Job]:
    """Models of growing prefixes of the training data in the seed's order, each of which codes
    what lies between it and the next prefix."""
    order, ends = _ordered(job.train, job.seed)
    return [
        replace(job, arm=f"{PREFIX}:{n}", train=order[:end], code=order[end : ends[n + 1]])
        for n, end in enumerate(ends[:-1])
    ]


def _ordered(train: Ids, seed: int) -> tuple[Ids, list[int]]:
    """The training data in a seed's order, and where its prefixes end."""
    order = np.random.default_rng([seed, 3]).permutation(train)
    return order, [max(2, round(len(order) * share)) for share in PREFIXES] + [len(order)]


def first_part(train: Ids, seed: int) -> Ids:
    """What the online code sends before any probe was trained."""
    order, ends = _ordered(train, seed)
    return order[: ends[0]]
