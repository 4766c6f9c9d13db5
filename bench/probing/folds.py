"""Which items are trained on, which choose, and which are scored once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.probing.contract import Ids, Unusable
from bench.probing.kinds import type_of
from bench.tracks.contract import OWN, TRAIN, VALIDATION, TokenItem

FOLDS = 5


@dataclass(frozen=True)
class Fold:
    """Item numbers, int64, in order."""

    train: Ids
    validation: Ids
    test: Ids


def folds_of(items: Sequence[TokenItem], *, disjoint: bool) -> list[Fold]:
    """The suite's own splits, or folds where it has a single one.

    With training data: one fold; without validation data a fifth of the training data serves.
    Without: five folds, each scored by models that saw none of its speakers (`disjoint`) or
    sentences; the fold behind it is the validation data. Raises Unusable where a voice stands in
    training and test of a disjoint task, or there are too few groups.
    """
    groups = [item.utterance.speaker if disjoint else type_of(item) for item in items]
    of = {name: [i for i, item in enumerate(items) if item.split == name]
          for name in (TRAIN, VALIDATION, OWN)}  # fmt: skip
    if not of[OWN]:
        raise Unusable("no test utterance has what the task needs")
    if not of[TRAIN]:
        return _crossed(groups, of[OWN], disjoint)
    train, validation = of[TRAIN], of[VALIDATION]
    if not validation:
        part = _parts({groups[i] for i in train}, FOLDS)
        validation = [i for i in train if part[groups[i]] == 0]
        train = [i for i in train if part[groups[i]] != 0]
        if not train or not validation:
            raise Unusable("the training data are of one voice or sentence, which leaves none to "
                           "choose by; add a validation split")  # fmt: skip
    if disjoint:
        for name, other in (("test", of[OWN]), ("validation", validation)):
            both = sorted({groups[i] for i in train} & {groups[i] for i in other})
            if both:
                raise Unusable(
                    f"voice '{both[0]}' is in the training and in the {name} data of a task on "
                    "unseen voices; give each voice one split"
                )
    return [Fold(_ids(train), _ids(validation), _ids(of[OWN]))]


def _crossed(groups: Sequence[str], own: Sequence[int], disjoint: bool) -> list[Fold]:
    names = {groups[i] for i in own}
    count = min(FOLDS, len(names))
    if count < 3:
        what = "voices" if disjoint else "sentences"
        raise Unusable(f"the suite has no training data, and {len(names)} {what} make no folds")
    part = _parts(names, count)

    def of(keep: Callable[[int], bool]) -> Ids:
        return _ids([i for i in own if keep(part[groups[i]])])

    return [
        Fold(
            of(lambda p, n=n: p not in (n, (n + 1) % count)),  # type: ignore[misc]
            of(lambda p, n=n: p == (n + 1) % count),  # type: ignore[misc]
            of(lambda p, n=n: p == n),  # type: ignore[misc]
        )
        for n in range(count)
    ]


def _parts(names: set[str], count: int) -> dict[str, int]:
    """Group → part, in turn by a hash of the name."""
    order = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return {name: n % count for n, name in enumerate(order)}


def _ids(numbers: Sequence[int]) -> Ids:
    return np.array(numbers, dtype=np.int64)
