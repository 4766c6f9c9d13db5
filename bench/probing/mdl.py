"""Online code length: how many bits the labels cost a reader who learns as it reads.

Voita and Titov 2020: the first part of the training data is sent with a uniform code; each further
part with a probe that was trained on what went before. Little information costs many bits, and so
does information that takes many examples to find.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bench.probing.arms import PREFIX, PREFIXES, first_part
from bench.probing.contract import Ids, Labels
from bench.probing.measure import Found


@dataclass(frozen=True)
class Code:
    """Bits of each seed: `bits` by the probes, of `uniform` by a uniform code."""

    bits: tuple[float, ...]
    uniform: float

    @property
    def compression(self) -> tuple[float, ...]:
        """uniform/bits of each seed; above 1 where the ids tell something."""
        return tuple(self.uniform / b if b > 0 else math.nan for b in self.bits)


def symbols(labels: Labels, items: Ids) -> int:
    """Symbols that the items' labels are made of."""
    if labels.frames is not None:
        return sum(int((labels.frames[i] >= 0).sum()) for i in items)
    if labels.sequences is not None:
        return sum(len(labels.sequences[i]) for i in items)
    return int((labels.utterance[items, 0] >= 0).sum())


def code(found: Found, labels: Labels, train: Ids, seeds: list[int], bits: float) -> Code | None:
    """The code of the first fold's training data; None where no prefixes were trained.

    bits: of a symbol in the uniform code.
    """
    parts = [found.arms.get(f"{PREFIX}:{n}") for n in range(len(PREFIXES))]
    made = []
    for number, seed in enumerate(seeds):
        total = symbols(labels, first_part(train, seed)) * bits
        for part in parts:
            if part is None:
                return None
            total += part.nats[number] / math.log(2)
        made.append(total)
    if not np.isfinite(made).all():
        return None
    return Code(tuple(made), symbols(labels, train) * bits)
