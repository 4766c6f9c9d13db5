"""From bits of utterances to figures: bits a second of speech, and how they fall with more data."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bench.contracts import Ids
from bench.errors import UserError
from bench.lm.ngram import Floats
from bench.stats import Interval, interval


def per_second(
    bits: Floats, seconds: Floats, speakers: Sequence[str], side_info_bits: float = 0.0
) -> Interval:
    """Bits a second of speech over all streams, with the interval that the speakers allow.

    bits: [items, K]; seconds: [items]; side_info_bits: for each item, what the decoder needs
    besides the streams.
    """
    return interval(bits.sum(axis=1) + side_info_bits, seconds, speakers)


def by_stream(bits: Floats, seconds: Floats) -> Floats:
    """Bits a second of each stream [K]; they add up to the whole but for the side information."""
    shares: Floats = bits.sum(axis=0) / seconds.sum()
    return shares


def subset(seconds: Floats, share: float, seed: int) -> Ids:
    """Items, in a seeded order, that hold `share` of all seconds: int64, sorted.

    A smaller share of one seed is a part of any larger one.
    """
    if not 0 < share <= 1:
        raise UserError(f"a share of {share} of the training speech; give more than 0, at most 1")
    order = np.random.default_rng(seed).permutation(len(seconds))
    whole = seconds.sum() * share
    count = int(np.searchsorted(np.cumsum(seconds[order]), whole - 1e-9)) + 1
    return np.sort(order[:count])


def slope(small: tuple[float, float], large: tuple[float, float]) -> float:
    """Change of bits a second for each doubling of the training speech.

    small, large: (seconds of training speech, bits a second of test speech) of two runs.
    """
    doublings = math.log2(large[0] / small[0])
    return (large[1] - small[1]) / doublings if doublings else float("nan")
