"""What a probe must look like, and what it gets.

Shapes: M models trained together, S utterances (segments) of each in one step, N frames of 20 ms
packed one after another, C outputs, H units of the last hidden layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

from bench.contracts import MetricRow
from bench.tracks.contract import TokenItem

if TYPE_CHECKING:
    from torch import Tensor

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Values = dict[str, npt.NDArray[np.float64]]

Capacity = Literal["linear", "network"]
Level = Literal["utterance", "frame"]
FRAMES_A_SECOND = 50
"""Every input is averaged to this rate before any head, whatever the tokenizer's own."""


class Unusable(Exception):  # noqa: N818 - a state of the suite, told in the row
    """The suite has nothing to train or to score this probe on, for `str(self)` as the reason."""


@dataclass(frozen=True)
class Labels:
    """What is to be read from each of n items.

    utterance: [n, R]; a class number (R = 1, −1: none) or R values (NaN: none); empty [n, 0]
    where there is none. frames: class of each 20 ms frame, −1 none, an array an item.
    sequences: class numbers in order, an array an item, for CTC. classes: names of the classes.
    left_out: item number → why it is neither trained nor scored. notes: what a reader must know.
    """

    utterance: Floats
    classes: tuple[str, ...]
    frames: tuple[Ids, ...] | None = None
    sequences: tuple[Ids, ...] | None = None
    left_out: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shape:
    """A model: `level` "utterance" gives [M, S, C] from pooled frames, "frame" [M, N, C]."""

    level: Level
    outputs: int
    capacity: Capacity


@dataclass(frozen=True)
class Batch:
    """Targets beside the outputs of one step.

    utterance: float32 [M, S, R]. frames: int64 [M, N] (−1 none). sequences: int64 [M, S, L],
    0-padded, class numbers + 1 (0 is CTC's blank); lengths: int64 [M, S]. starts, counts: int64
    [M, S], where a segment lies among the N frames. present: bool [M, S], the segment exists.
    """

    utterance: Tensor
    frames: Tensor
    sequences: Tensor
    lengths: Tensor
    starts: Tensor
    counts: Tensor
    present: Tensor


@dataclass(frozen=True)
class Losses:
    """nats: negative log-likelihood of what is coded, [M, S]; symbols: how many symbols that are,
    [M, S]; beside: what is trained besides but not coded, [M, S], or None."""

    nats: Tensor
    symbols: Tensor
    beside: Tensor | None = None


@dataclass(frozen=True)
class Outputs:
    """What one trained model said of items it never saw: `items` their numbers; `output`, an
    array [C] or [frames, C] an item; `hidden`, an array [H] an item ("utterance" only)."""

    items: Ids
    output: Sequence[Floats]
    hidden: Sequence[Floats]


class Probe(Protocol):
    """One task. A plugin module holds one class of this shape and `load() -> Probe`; nothing heavy
    is imported at its top. `bench.probing.kinds` has bases for the usual kinds.

    task: its name, the start of its rows. version: changes whenever its figures may.
    disjoint: test voices are unseen in training. rows: figures of `figures`, unscaled as there;
    each is shown once a capacity, `<name>_linear` and `<name>_network`. uses: row → keys of its
    `Values` that hold the numbers of the items it is of, where that is not "item".
    """

    task: str
    version: str
    disjoint: bool
    rows: tuple[MetricRow, ...]

    @property
    def uses(self) -> Mapping[str, tuple[str, ...]]: ...

    def wants(self, item: TokenItem) -> bool:
        """The item could serve this task."""
        ...

    def validate(self, items: Sequence[TokenItem], train: Ids) -> Labels:
        """Labels of the items; `train` are the numbers of those that may be trained on in some
        fold. Raises Unusable where the task makes no sense on them."""
        ...

    def control(self, items: Sequence[TokenItem], labels: Labels, seed: int) -> Labels | None:
        """Random labels that recur, by the type of what is labelled; None where there are none."""
        ...

    def trivial(self, labels: Labels, train: Ids, test: Ids) -> Values | None:
        """What the best constant answer gives, in the form of `score`; None where it is unknown."""
        ...

    def model(self, streams: int, size: Capacity, labels: Labels) -> Shape:
        """The head; `streams` are summed before it, so that it need not depend on them."""
        ...

    def loss(self, output: Tensor, batch: Batch, labels: Labels) -> Losses:
        """Of all models at once; a model's values depend on its own outputs only."""
        ...

    def symbols(self, labels: Labels) -> float:
        """log2 of the number of symbols a uniform code tells apart; 0 where there is no code."""
        ...

    def score(self, outputs: Outputs, items: Sequence[TokenItem], labels: Labels) -> Values:
        """What `figures` needs, arrays of one length for each key `x`; those of other lengths
        carry their own item numbers. "item" holds item numbers."""
        ...

    def figures(self, values: Values, keep: npt.NDArray[np.bool_]) -> dict[str, float]:
        """Row name → unscaled figure over the items that are kept (bool [n]); NaN for none."""
        ...
