"""One probe made ready on one suite: its items, folds, labels and random labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.probing.arms import seeds_of, usable
from bench.probing.contract import Ids, Probe, Unusable
from bench.probing.folds import folds_of
from bench.probing.inputs import Layout
from bench.probing.measure import Setting
from bench.probing.settings import SEEDS
from bench.tracks.contract import TokenItem

LEAST = 30  # training examples; fewer say nothing of a tokenizer


@dataclass(frozen=True)
class Work:
    """train, test: numbers of the items that some fold trains on, and scores."""

    setting: Setting
    train: Ids
    test: Ids

    @property
    def probe(self) -> Probe:
        return self.setting.probe

    @property
    def items(self) -> Sequence[TokenItem]:
        return self.setting.items


def prepared(
    probe: Probe, items: Sequence[TokenItem], seed: int, *, seeds: int = SEEDS, device: str = "cpu"
) -> Work:
    """Raises Unusable, for a reason in one sentence, where the probe cannot be trained."""
    own = [item for item in items if probe.wants(item)]
    folds = folds_of(own, disjoint=probe.disjoint)
    fewest = min(len(fold.train) for fold in folds)
    if fewest < LEAST:  # told before anything is measured
        raise Unusable(_too_few(fewest))
    train = np.unique(np.concatenate([fold.train for fold in folds]))
    labels = probe.validate(own, train)
    random = probe.control(own, labels, seed)
    for fold in folds:
        kept = usable(fold, labels)
        for part, name in ((kept.train, "training"), (kept.validation, "validation")):
            if not len(part):
                raise Unusable(f"the {name} data have no example with a label to learn")
        if len(kept.train) < LEAST:
            raise Unusable(_too_few(len(kept.train)))
    setting = Setting(
        probe,
        own,
        folds,
        [labels] if random is None else [labels, random],
        Layout.of([item.seconds for item in own]),
        seeds_of(seed, seeds),
        device,
    )
    return Work(setting, train, np.unique(np.concatenate([fold.test for fold in folds])))


def _too_few(count: int) -> str:
    return f"{count} training examples, of at least {LEAST}"
