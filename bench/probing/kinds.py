"""The usual kinds of probe: a class of the utterance, and values of the utterance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bench.contracts import MetricRow
from bench.probing.contract import (
    Batch,
    Capacity,
    Ids,
    Labels,
    Losses,
    Outputs,
    Shape,
    Unusable,
    Values,
)
from bench.tracks.contract import OWN, TokenItem

if TYPE_CHECKING:
    from torch import Tensor

SHARE = (0.0, 1.0)


def row(
    name: str,
    unit: str,
    better: bool,
    source: str,
    description: str,
    bounds: tuple[float, float] = SHARE,
) -> MetricRow:
    """A row of a probe; percentages are stored as shares."""
    scale = 100.0 if unit == "%" else 1.0
    return MetricRow(name, unit, better, source, description, scale=scale, bounds=bounds)


def type_of(item: TokenItem) -> str:
    """What recurs of an utterance: its sentence where it has one, else itself."""
    return (item.utterance.text or item.utterance.id).casefold()


class Classification:
    """One class for an utterance. Subclasses give `task`, `version`, `rows` and `label`."""

    task: str
    version: str
    disjoint = False
    rows: tuple[MetricRow, ...]
    uses: Mapping[str, tuple[str, ...]] = {}
    min_seconds = 0.0

    def label(self, item: TokenItem) -> str | None:
        """The item's class, None where it has none."""
        raise NotImplementedError

    def wants(self, item: TokenItem) -> bool:
        return item.seconds >= self.min_seconds and self.label(item) is not None

    def validate(self, items: Sequence[TokenItem], train: Ids) -> Labels:
        """Classes are those with two training examples or more; others are left out."""
        names = [self.label(item) for item in items]
        trained = Counter(names[i] for i in train)
        classes = tuple(sorted(str(n) for n, count in trained.items() if n and count > 1))
        if len(classes) < 2:
            what = f"all labels are '{classes[0]}'" if classes else "no class has two examples"
            raise Unusable(f"{what} in the training data, so there is nothing to tell apart")
        index = {name: n for n, name in enumerate(classes)}
        left_out = {
            i: f"class '{name}' has {trained[name]} training examples, of at least 2"
            for i, name in enumerate(names)
            if name and name not in index and trained[name] == 1
        }
        found = np.array([[index.get(str(name), -1)] for name in names], dtype=np.float32)
        new = sum(
            item.split == OWN and name is not None and not trained[name]
            for item, name in zip(items, names, strict=True)
        )
        notes = (f"{new} test utterances of classes that the training data lack",) if new else ()
        return Labels(found, classes, left_out=left_out, notes=notes)

    def control(self, items: Sequence[TokenItem], labels: Labels, seed: int) -> Labels | None:
        """A class at random for each sentence, as frequent as the true ones."""
        rng = np.random.default_rng([seed, 2])
        true = labels.utterance[:, 0]
        scored = np.flatnonzero(true >= 0)
        types = [type_of(items[i]) for i in scored.tolist()]
        drawn = {name: rng.choice(true[scored]) for name in sorted(set(types))}
        made = true.copy()
        made[scored] = [drawn[name] for name in types]
        return replace(labels, utterance=made[:, None].astype(np.float32))

    def trivial(self, labels: Labels, train: Ids, test: Ids) -> Values | None:
        """The training data's largest class for every item."""
        true = labels.utterance[:, 0].astype(np.int64)
        largest = int(np.bincount(true[train][true[train] >= 0]).argmax())
        scored = test[true[test] >= 0]
        return {"item": _float(scored), "true": _float(true[scored]),
                "said": np.full(len(scored), largest, dtype=np.float64)}  # fmt: skip

    def model(self, streams: int, size: Capacity, labels: Labels) -> Shape:
        return Shape("utterance", len(labels.classes), size)

    def loss(self, output: Tensor, batch: Batch, labels: Labels) -> Losses:
        import torch.nn.functional as F

        wanted = batch.utterance[:, :, 0].long()
        there = batch.present & (wanted >= 0)
        nats = F.cross_entropy(output.transpose(1, 2), wanted.clamp_min(0), reduction="none")
        return Losses(nats * there, there.float())

    def symbols(self, labels: Labels) -> float:
        return math.log2(len(labels.classes))

    def score(self, outputs: Outputs, items: Sequence[TokenItem], labels: Labels) -> Values:
        true = labels.utterance[outputs.items, 0]
        said = np.array([o.argmax() for o in outputs.output], dtype=np.float64)
        return {"item": _float(outputs.items)[true >= 0], "true": true[true >= 0].astype(float),
                "said": said[true >= 0]}  # fmt: skip

    def figures(self, values: Values, keep: npt.NDArray[np.bool_]) -> dict[str, float]:
        """Accuracy, and the unweighted mean of the classes' recalls."""
        kept = keep[values["item"].astype(np.int64)]
        true, right = values["true"][kept], (values["true"] == values["said"])[kept]
        recalls = [right[true == c].mean() for c in np.unique(true)]
        found = {
            f"{self.task}_accuracy": float(right.mean()) if len(right) else math.nan,
            f"{self.task}_uar": float(np.mean(recalls)) if recalls else math.nan,
        }
        return {r.name: found[r.name] for r in self.rows if r.name in found}


def _float(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


class Regression:
    """Some values of an utterance, each with a row of its own (R²). Subclasses give `measure`."""

    task: str
    version: str
    disjoint = False
    rows: tuple[MetricRow, ...]

    def wants(self, item: TokenItem) -> bool:
        raise NotImplementedError

    @property
    def uses(self) -> dict[str, tuple[str, ...]]:
        """Items that have the row's value."""
        return {figure.name: (f"items of {figure.name}",) for figure in self.rows}

    def measure(self, item: TokenItem) -> list[float]:
        """A value for each row, NaN where there is none."""
        raise NotImplementedError

    def validate(self, items: Sequence[TokenItem], train: Ids) -> Labels:
        """Values, standardised by the training data. A row without ten of them, or whose values
        are all equal, is not scored."""
        values = np.array([self.measure(item) for item in items], dtype=np.float64)
        notes = []
        for column, figure in zip(values.T, self.rows, strict=True):
            known = column[train][np.isfinite(column[train])]
            if len(known) < 10 or known.std() < 1e-9:
                column[:] = np.nan
                notes.append(f"{figure.name}: too few different values in the training data")
            else:
                column[:] = (column - known.mean()) / known.std()
        if not np.isfinite(values).any():
            raise Unusable("the training data have too few different values")
        return Labels(values.astype(np.float32), (), notes=tuple(notes))

    def control(self, items: Sequence[TokenItem], labels: Labels, seed: int) -> Labels | None:
        """The values of another utterance at random for each sentence."""
        rng = np.random.default_rng([seed, 2])
        known = np.flatnonzero(np.isfinite(labels.utterance).any(axis=1))
        types = [type_of(items[i]) for i in known.tolist()]
        names = sorted(set(types))
        drawn = dict(zip(names, rng.choice(known, size=len(names)).tolist(), strict=True))
        made = labels.utterance.copy()
        made[known] = labels.utterance[[drawn[name] for name in types]]
        return replace(labels, utterance=made)

    def trivial(self, labels: Labels, train: Ids, test: Ids) -> Values | None:
        """The training data's mean."""
        true = labels.utterance[test].astype(np.float64)
        return {"item": _float(test), "true": true, "said": np.zeros_like(true)}

    def model(self, streams: int, size: Capacity, labels: Labels) -> Shape:
        return Shape("utterance", len(self.rows), size)

    def loss(self, output: Tensor, batch: Batch, labels: Labels) -> Losses:
        """Squared error, half: the likelihood under unit variance but for a constant."""
        import torch

        there = torch.isfinite(batch.utterance) & batch.present[:, :, None]
        error = (output - torch.nan_to_num(batch.utterance)).square() * there
        return Losses(error.sum(-1) / 2, there.sum(-1).float())

    def symbols(self, labels: Labels) -> float:
        return 0.0

    def score(self, outputs: Outputs, items: Sequence[TokenItem], labels: Labels) -> Values:
        true = labels.utterance[outputs.items]
        known = {
            self.uses[figure.name][0]: _float(outputs.items[np.isfinite(column)])
            for figure, column in zip(self.rows, true.T, strict=True)
        }
        return {"item": _float(outputs.items), "true": _float(true),
                "said": _float(np.stack(outputs.output)), **known}  # fmt: skip

    def figures(self, values: Values, keep: npt.NDArray[np.bool_]) -> dict[str, float]:
        """1 − Σ(error²)/Σ(deviation from the kept items' mean)²."""
        kept = keep[values["item"].astype(np.int64)]
        found = {}
        for n, figure in enumerate(self.rows):
            true, said = values["true"][kept, n], values["said"][kept, n]
            there = np.isfinite(true)
            spread = np.square(true[there] - true[there].mean()).sum() if there.any() else 0.0
            error = np.square(true[there] - said[there]).sum()
            found[figure.name] = float(1 - error / spread) if spread > 0 else math.nan
        return found
