"""ABX on ids and on code vectors, from the phones of the manifest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.tokenstats import abx
from bench.tokenstats.counts import Ids
from bench.tokenstats.sequences import on_grid
from bench.tracks import token_rows as rows
from bench.tracks.contract import TokenContext, TrackResult
from bench.tracks.rows import absent, whole
from bench.tracks.token_corpus import Corpus
from bench.tracks.token_phones import MOST_RATE, lack_of

SILENCES = {"", "sil", "sp", "spn", "nsn", "pau", "<eps>", "<sil>", "+spn+", "+nsn+"}
TOUCHING = 0.02  # seconds between two phones that still follow each other
TOO_FAST = f"the ids come faster than {MOST_RATE:.0f} a second"
ALONE = {
    False: "no speaker said two triphones that differ in the middle phone alone, one of them twice",
    True: "no such pair of triphones of one speaker was said by another speaker too",
}
Vectors = Callable[[Ids], npt.NDArray[Any]]


def discrimination(context: TokenContext, corpus: Corpus, result: TrackResult) -> None:
    """Errors of ABX; n is the number of triplets."""
    wanted = [row for row in rows.ABX if context.wanted(row.name)]
    if not wanted:
        return
    lack = lack_of(corpus)
    usable = [] if lack else _usable(corpus)
    if not lack and not usable:
        lack = TOO_FAST
    if lack:
        result.rows |= {row.name: absent(row, lack) for row in wanted}
        return
    books = _books(context, corpus, usable)
    kinds: list[tuple[abx.Cost, Vectors | None, str]] = [
        (abx.differing, lambda ids: ids, ""),
        (abx.angle, None if isinstance(books, str) else _vectors(books), "codes_"),
    ]
    told: dict[str, Any] = {}
    for cost, vectors, kind in kinds:
        both = [rows.ABX[2 * bool(kind)], rows.ABX[2 * bool(kind) + 1]]
        if not any(row in wanted for row in both):
            continue
        if vectors is None:
            result.rows |= {row.name: absent(row, str(books)) for row in both if row in wanted}
            continue
        tokens = _tokens(corpus, usable, vectors)
        for row, across in zip(both, (False, True), strict=True):
            if row not in wanted:
                continue
            found = abx.triplets(tokens, cost, across=across)
            result.rows[row.name] = whole(
                row,
                lambda g, f=found: (f if g is None else f.without(g)).error(),  # type: ignore[misc]
                corpus.groups,
                n=len(found),
                expected=len(found),
                lack=ALONE[across],
            )
            told[row.name] = _told(found, tokens)
    streams = [corpus.info.streams[k].name for k in usable]
    result.details["abx"] = {"streams": streams, **told}


def _told(found: abx.Triplets, tokens: Sequence[abx.Token]) -> dict[str, int]:
    return {
        "triphones": len(tokens),
        "triplets": len(found),
        "cells": len(np.unique(found.cells, axis=0)) if len(found) else 0,
        "phone_pairs": len(np.unique(found.cells[:, 2])) if len(found) else 0,
    }


def _usable(corpus: Corpus) -> list[int]:
    """Streams that have a time in every aligned item and are slow enough."""
    timed = [corpus.timed(i) for i, item in enumerate(corpus.items) if item.phones]
    return [
        k
        for k in range(len(corpus.info.streams))
        if all(t[k] is not None and t[k].rate <= MOST_RATE for t in timed)  # type: ignore[union-attr]
    ]


def _tokens(corpus: Corpus, usable: Sequence[int], vectors: Vectors) -> list[abx.Token]:
    made = []
    for i, item in enumerate(corpus.items):
        phones = item.phones or ()
        if len(phones) < 3:
            continue
        streams = [t for k in usable if (t := corpus.timed(i)[k]) is not None]
        rate = max(t.rate for t in streams)
        grid = on_grid([t.ids for t in streams], [t.rate for t in streams])
        for n in range(1, len(phones) - 1):
            three = phones[n - 1 : n + 2]
            if any(p.label.lower() in SILENCES for p in three) or any(
                b.start - a.end > TOUCHING for a, b in pairwise(three)
            ):
                continue
            # Frames whose centre lies inside.
            begin = max(0, math.ceil(three[0].start * rate - 0.5))
            end = math.ceil(three[2].end * rate - 0.5)
            frames = grid[begin:end]
            if len(frames):
                made.append(
                    abx.Token(
                        three[0].label,
                        three[1].label,
                        three[2].label,
                        item.utterance.speaker,
                        vectors(frames),
                        f"{item.utterance.id}:{n:06d}",
                        int(corpus.groups.labels[i]),
                    )
                )
    return made


# ------------------------------------------------------------------------------- code vectors
def _books(
    context: TokenContext, corpus: Corpus, usable: Sequence[int]
) -> list[npt.NDArray[np.float32]] | str:
    """The tables of the usable streams, or why there are none."""
    found = getattr(context.tokenizer, "codebooks", None)
    books = found() if found is not None else None
    if books is None:
        return "the tokenizer has no code vectors (`codebooks`)"
    sizes = [stream.vocabulary for stream in corpus.info.streams]
    if any(k >= len(books) or len(books[k]) != sizes[k] for k in usable):
        return "the tokenizer's code vectors are not one for each id of each stream"
    return [np.asarray(books[k], dtype=np.float32) for k in usable]


def _vectors(books: Sequence[npt.NDArray[np.float32]]) -> Vectors:
    """Sum of the streams' vectors where they share a space (residual quantization), else side by
    side: ids [T, K] → [T, D]."""
    together = len({book.shape[1] for book in books}) == 1

    def look_up(ids: Ids) -> npt.NDArray[np.float32]:
        parts = [book[column] for book, column in zip(books, ids.T, strict=True)]
        return np.sum(parts, axis=0) if together else np.concatenate(parts, axis=1)

    return look_up
