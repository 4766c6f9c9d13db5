"""How long and how fast each kind of probe is trained; the same for every tokenizer."""

from __future__ import annotations

from dataclasses import dataclass

from bench.probing.contract import Capacity, Level

SEEDS = 5


@dataclass(frozen=True)
class Settings:
    """rates: learning rates to choose from. steps: at most so many. every: steps between looks at
    the validation data. patience: looks without a gain after which a model stops. pilot: looks
    after which only the best learning rate of an arm goes on, 0: never. places: frames (or
    utterances, where they were pooled) a step. most: utterances a step. crop: longest piece of an
    utterance in training, in frames, None for all; longest: in scoring. dropout: of embedding
    axes. boost: of the learning rate of embeddings of ids, each of which is seen in few steps."""

    rates: tuple[float, ...]
    steps: int
    every: int
    patience: int
    pilot: int
    places: int
    most: int
    crop: int | None
    longest: int
    dropout: float = 0.1
    boost: float = 1.0


def settings(level: Level, capacity: Capacity) -> Settings:
    """The training of one level and capacity."""
    if level == "utterance":
        if capacity == "linear":
            return Settings((0.01, 0.04), 160, 10, 3, 3, 32, 32, None, 1)
        return Settings((1e-3, 3e-3), 90, 10, 3, 3, 896, 24, 100, 500, boost=10.0)
    if capacity == "linear":
        return Settings((0.01, 0.04), 120, 10, 3, 3, 640, 64, None, 30_000)
    return Settings((1e-3, 3e-3), 130, 10, 3, 3, 960, 64, None, 30_000, boost=10.0)
