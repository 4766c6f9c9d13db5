"""Utterances into batches, sized in seconds of padded audio."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from bench.contracts import Batching


def batches(lengths: Sequence[int], batching: Batching, limit: int) -> list[list[int]]:
    """Indices into `lengths` (samples), grouped so that batch size × longest ≤ `limit` samples.

    "any": sorted by length, so that little is padding. "equal-length": rows of one length only,
    because the model's answer changes with padding. "single": one at a time. An utterance longer
    than `limit` gets a batch of its own. The result depends on nothing but the arguments.
    """
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    if batching == "single":
        return [[i] for i in order]
    if batching == "equal-length":
        groups = [list(g) for _, g in groupby(order, key=lambda i: lengths[i])]
        return [part for group in groups for part in _fill(group, lengths, limit)]
    return _fill(order, lengths, limit)


def _fill(order: list[int], lengths: Sequence[int], limit: int) -> list[list[int]]:
    made: list[list[int]] = []
    for i in order:  # ascending, so the newest is the longest
        if made and (len(made[-1]) + 1) * lengths[i] <= limit:
            made[-1].append(i)
        else:
            made.append([i])
    return made


def halves(batch: list[int]) -> tuple[list[int], list[int]]:
    """A batch that did not fit the device's memory, in two."""
    middle = len(batch) // 2
    return batch[:middle], batch[middle:]
