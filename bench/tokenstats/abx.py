"""ABX: is X nearer to A, which says the same, than to B, whose middle phone differs?

Minimal pairs of triphones after Schatz 2016 (The ABX-Discriminability of Features) and
Libri-light (Kahn et al. 2020, arXiv:1912.07875): A and X are two tokens of one triphone, B is of
a triphone that differs from it in the middle phone. Within: all three by one speaker. Across: A
and B by one, X by another. Distances are those of dynamic time warping, per step of the path;
ties count one half.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.tokenstats.counts import Ids

Frames = npt.NDArray[Any]
Costs = npt.NDArray[np.float32]
Cost = Callable[[Frames, Frames], Costs]
PER_CELL = 8  # tokens of one triphone by one speaker, chosen by hash
CHUNK = 4096  # pairs warped at once


@dataclass(frozen=True)
class Token:
    """One triphone as spoken. frames: [T, K] ids or [T, D] vectors; key: unique, for the choice
    by hash; group: which part is left out together, for the jackknife."""

    before: str
    phone: str
    after: str
    speaker: str
    frames: Frames
    key: str
    group: int


@dataclass(frozen=True)
class Triplets:
    """Scored triplets. score: 1, ½ or 0 [P]; groups: of A, B and X, int64 [P, 3]; cells:
    (context, speakers, pair of phones) as numbers, int64 [P, 3]."""

    score: npt.NDArray[np.float64]
    groups: Ids
    cells: Ids

    def __len__(self) -> int:
        return len(self.score)

    def without(self, group: int) -> Triplets:
        """Those in which no token is of `group`."""
        kept = (self.groups != group).all(axis=1)
        return Triplets(self.score[kept], self.groups[kept], self.cells[kept])

    def error(self) -> float:
        """1 − mean score, in [0, 1]: over the triplets of a cell, then over contexts, then over
        speakers, then over ordered pairs of phones, each with equal weight. NaN without any."""
        if not len(self.score):
            return math.nan
        scores, keys = self.score, self.cells
        for columns in ((0, 1, 2), (1, 2), (2,)):
            found, index = np.unique(keys[:, columns], axis=0, return_inverse=True)
            index = index.reshape(-1)
            sums = np.bincount(index, scores) / np.bincount(index)
            scores, keys = sums, np.zeros((len(found), 3), dtype=np.int64)
            keys[:, columns] = found
        return 1.0 - float(scores.mean())


def differing(one: Frames, other: Frames) -> Costs:
    """Share of the K streams whose ids differ: [T, K] and [U, K] → [T, U]."""
    return (one[:, None] != other[None]).mean(axis=-1, dtype=np.float32)


def angle(one: Frames, other: Frames) -> Costs:
    """Angle between vectors over π, in [0, 1]: [T, D] and [U, D] → [T, U].

    Vectors nearer than rounding tells (a cosine above 1 − 10^−6) have 0, as have two zero vectors;
    a zero vector and another have ½.
    """
    norms = np.linalg.norm(one, axis=1)[:, None], np.linalg.norm(other, axis=1)[None]
    cosine = np.clip(one @ other.T / np.maximum(norms[0] * norms[1], 1e-12), -1.0, 1.0)
    same = (cosine > 1 - 1e-6) | ((norms[0] == 0) & (norms[1] == 0))
    return np.where(same, 0.0, np.arccos(cosine) / np.pi).astype(np.float32)


def warped(pairs: Sequence[tuple[Frames, Frames]], cost: Cost) -> npt.NDArray[np.float64]:
    """Dynamic time warping of P pairs of [T, D]: the least cost of a path over its steps, [P].

    Steps: one frame on in either or both; of equal sums the one that goes on in both. Each array
    has a frame or more.
    """
    made = np.zeros(len(pairs))
    order = sorted(range(len(pairs)), key=lambda i: (len(pairs[i][0]), len(pairs[i][1])))
    for begin in range(0, len(order), CHUNK):
        part = order[begin : begin + CHUNK]
        made[part] = _warped([cost(*pairs[i]) for i in part])
    return made


def _warped(costs: Sequence[Costs]) -> npt.NDArray[np.float64]:
    rows = np.array([len(c) for c in costs])
    columns = np.array([c.shape[1] for c in costs])
    width = int(columns.max())
    padded = np.zeros((int(rows.max()), width, len(costs)), dtype=np.float32)
    for p, matrix in enumerate(costs):
        padded[: len(matrix), : matrix.shape[1], p] = matrix
    total = np.full((width + 1, len(costs)), np.inf, dtype=np.float32)
    steps = np.zeros((width + 1, len(costs)), dtype=np.int32)
    total[0] = 0
    made = np.zeros(len(costs))
    for i, line in enumerate(padded):
        above, above_steps = total, steps
        total = np.full_like(above, np.inf)
        steps = np.zeros_like(above_steps)
        for j in range(width):
            both, down, on = above[j], above[j + 1], total[j]
            best = np.minimum(np.minimum(both, down), on)
            by = np.where(down == best, above_steps[j + 1], steps[j])
            by = np.where(both == best, above_steps[j], by)
            total[j + 1] = best + line[j]
            steps[j + 1] = by + 1
        at = np.flatnonzero(rows == i + 1)
        made[at] = total[columns[at], at] / steps[columns[at], at]
    return made


# ------------------------------------------------------------------------------------ triplets
def triplets(tokens: Iterable[Token], cost: Cost, *, across: bool) -> Triplets:
    """All triplets of the tokens chosen (`PER_CELL` a triphone and speaker), scored."""
    chosen = _chosen(tokens)
    contexts = sorted({(before, after) for before, after, _, _ in chosen})
    speakers = sorted({speaker for *_, speaker in chosen})
    phones = sorted({phone for _, _, phone, _ in chosen})
    number = {context: n for n, context in enumerate(contexts)}
    rows: list[tuple[Token, Token, Token, int, int, int]] = []
    by_context: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for before, after, phone, speaker in sorted(chosen):
        by_context[before, after].append((phone, speaker))
    for context, present in by_context.items():
        for (phone, speaker), (other, whose) in itertools.product(present, present):
            if other == phone or whose != speaker:
                continue
            pair = phones.index(phone) * len(phones) + phones.index(other)
            a_tokens = chosen[(*context, phone, speaker)]
            b_tokens = chosen[(*context, other, speaker)]
            for listener in speakers if across else [speaker]:
                if across and listener == speaker:
                    continue
                by = speakers.index(speaker) * len(speakers) + speakers.index(listener)
                for x in chosen.get((*context, phone, listener), []):
                    rows += [
                        (a, b, x, number[context], by, pair)
                        for a in a_tokens
                        if a is not x
                        for b in b_tokens
                    ]
    return _scored(rows, cost)


def _chosen(tokens: Iterable[Token]) -> dict[tuple[str, str, str, str], list[Token]]:
    found: dict[tuple[str, str, str, str], list[Token]] = defaultdict(list)
    for token in tokens:
        found[token.before, token.after, token.phone, token.speaker].append(token)
    return {
        cell: sorted(group, key=lambda t: hashlib.sha256(t.key.encode()).hexdigest())[:PER_CELL]
        for cell, group in found.items()
    }


def _scored(rows: list[tuple[Token, Token, Token, int, int, int]], cost: Cost) -> Triplets:
    needed: dict[tuple[str, str], tuple[Frames, Frames]] = {}
    for a, b, x, *_ in rows:
        for other in (a, b):
            needed.setdefault(_ordered(other, x), _frames(other, x))
    distance = dict(zip(needed, warped(list(needed.values()), cost), strict=True))
    far = np.array([distance[_ordered(b, x)] - distance[_ordered(a, x)] for a, b, x, *_ in rows])
    tie = np.abs(far) <= 1e-6  # equal but for rounding
    score = np.where(tie, 0.5, far > 0).astype(np.float64)
    groups = np.array([[t.group for t in row[:3]] for row in rows], dtype=np.int64)
    cells = np.array([row[3:] for row in rows], dtype=np.int64)
    return Triplets(score, groups.reshape(-1, 3), cells.reshape(-1, 3))


def _ordered(one: Token, other: Token) -> tuple[str, str]:
    return (one.key, other.key) if one.key < other.key else (other.key, one.key)


def _frames(one: Token, other: Token) -> tuple[Frames, Frames]:
    return (one.frames, other.frames) if one.key < other.key else (other.frames, one.frames)
