"""Runs of equal ids, several streams as one sequence, and distances between sequences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.tokenstats.counts import Ids


def runs(ids: Ids) -> int:
    """Ids [N] that are left when repetitions go."""
    return int(np.count_nonzero(ids[1:] != ids[:-1])) + min(len(ids), 1)


def interleaved(
    streams: Sequence[Ids], vocabularies: Sequence[int], rates: Sequence[float | None]
) -> Ids:
    """K streams [N_k] as one sequence int64 [Σ N_k] over Σ V_k symbols: V_1 + … + V_k−1 + id.

    Ordered by the time at which an id begins, then by stream: for streams of one rate frame by
    frame, as in codec-bpe; for SNAC as its own flattening. Where a rate varies, id n of N stands
    at n/N of the utterance.
    """
    offsets = np.cumsum([0, *vocabularies[:-1]])
    fixed = [rate for rate in rates if rate is not None]
    symbols, times, books = [], [], []
    for book, (ids, offset) in enumerate(zip(streams, offsets.tolist(), strict=True)):
        rate = fixed[book] if len(fixed) == len(rates) else max(len(ids), 1)
        symbols.append(ids + offset)
        times.append(np.round(np.arange(len(ids)) / rate, 9))  # equal times of two rates are equal
        books.append(np.full(len(ids), book))
    order = np.lexsort((np.concatenate(books), np.concatenate(times)))
    return np.concatenate(symbols)[order].astype(np.int64)


def edit_distance(one: Ids, other: Ids) -> int:
    """Least number of ids to insert, delete or replace (Levenshtein), by RapidFuzz."""
    from rapidfuzz.distance import Levenshtein

    return int(Levenshtein.distance(one.tolist(), other.tolist()))


def on_grid(streams: Sequence[Ids], rates: Sequence[float]) -> Ids:
    """Streams of fixed rates (Hz) as int64 [T, K] at the finest of them: the id of each stream in
    whose frame the finest frame begins. T is as long as every stream lasts."""
    finest = max(rates)
    frames = min(
        int(np.floor(len(ids) * (finest / rate) + 1e-6))
        for ids, rate in zip(streams, rates, strict=True)
    )
    at = np.arange(frames)
    columns = [
        ids[np.floor(at * (rate / finest) + 1e-6).astype(np.int64)]
        for ids, rate in zip(streams, rates, strict=True)
    ]
    return np.stack(columns, axis=1).astype(np.int64)
