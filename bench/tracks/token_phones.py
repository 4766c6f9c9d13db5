"""Ids against the phones of the manifest: purity, PNMI and boundaries."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from bench.contracts import Sums
from bench.suites.spans import Span
from bench.tokenstats import phones as ph
from bench.tokenstats.counts import Counts, Ids
from bench.tracks import token_rows as rows
from bench.tracks.contract import ItemSums, TokenContext, TrackResult
from bench.tracks.rows import absent, named, whole
from bench.tracks.token_code import number_or_none
from bench.tracks.token_corpus import Corpus, Timed

NO_PHONES = "the manifest has no phone alignment"
NO_TIME = "the ids have no time of their own: their rate varies, and there are no durations"
MOST_RATE = 200.0  # frames a second that are compared; of a faster stream every n-th is taken
DRAWS = 8  # turns from which chance is averaged
TOLERANCE = 0.02  # seconds
MEASURES: dict[str, Callable[[Counts, int], float]] = {
    "phone_purity": ph.phone_purity,
    "cluster_purity": ph.cluster_purity,
    "pnmi": ph.pnmi,
}


def lack_of(corpus: Corpus) -> str | None:
    """Why nothing can be said against phones; None where it can."""
    aligned = [i for i, item in enumerate(corpus.items) if item.phones]
    if not aligned:
        return NO_PHONES
    if not any(any(corpus.timed(i)) for i in aligned):
        return NO_TIME
    return None


def against_phones(context: TokenContext, corpus: Corpus, result: TrackResult) -> None:
    """Rows of the first stream whose ids have a time; of the others in the details."""
    wanted = [r for r in (*rows.PHONES, *rows.BOUNDARIES) if context.wanted(r.name)]
    if not wanted:
        return
    if lack := lack_of(corpus):
        result.rows |= {row.name: absent(row, lack) for row in wanted}
        return
    aligned = [i for i, item in enumerate(corpus.items) if item.phones]
    labels = sorted({s.label for i in aligned for s in corpus.items[i].phones or ()})
    timed = {i: corpus.timed(i) for i in aligned}
    first = next(
        k for k in range(len(corpus.info.streams)) if any(timed[i][k] is not None for i in aligned)
    )
    note = None
    if len(corpus.info.streams) > 1:
        note = f"of the stream '{corpus.info.streams[first].name}'; the others: details.json"
    table = []
    for number, stream in enumerate(corpus.info.streams):
        frames = Frames.of(corpus, timed, number, labels, context.seed)
        if frames is None:
            continue
        table.append({"stream": stream.name, **frames.told(corpus.groups.count)})
        if number == first:
            _rows(context, corpus, frames, result, len(aligned), note)
            found = _boundaries(corpus, timed, number)
            _boundary_rows(context, corpus, found, result, note)
    told = json_digest([corpus.items[i].phones or () for i in aligned])
    result.details["phones"] = {
        "utterances": len(aligned), "phones": labels, "sha256": told, "streams": table,
    }  # fmt: skip


def json_digest(alignments: Sequence[Sequence[Span]]) -> str:
    """sha256 of the alignments that the figures are of; they are no part of the suite's digest."""
    text = repr([[(s.label, s.start, s.end) for s in spans] for spans in alignments])
    return hashlib.sha256(text.encode()).hexdigest()


# ---------------------------------------------------------------------------------- frames
@dataclass(frozen=True)
class Frames:
    """Frames that have a phone, of one stream over all aligned items.

    phones, ids, groups: int64 [T]. vocabulary: of the ids.
    """

    phones: Ids
    ids: Ids
    groups: Ids
    vocabulary: int
    seed: int

    @classmethod
    def of(
        cls,
        corpus: Corpus,
        timed: dict[int, list[Timed | None]],
        number: int,
        labels: Sequence[str],
        seed: int,
    ) -> Frames | None:
        index = {label: n for n, label in enumerate(labels)}
        phones, ids, groups = [], [], []
        for i, streams in timed.items():
            stream, spans = streams[number], corpus.items[i].phones
            if stream is None or not spans:
                continue
            step = max(1, math.ceil(stream.rate / MOST_RATE))
            at = np.arange(0, len(stream.ids), step)
            said = ph.at_times(
                ((at + 0.5) / stream.rate).astype(np.float64),
                np.array([s.start for s in spans], dtype=np.float64),
                np.array([s.end for s in spans], dtype=np.float64),
                np.array([index[s.label] for s in spans], dtype=np.int64),
            )
            there = said >= 0
            phones.append(said[there])
            ids.append(stream.ids[at][there])
            groups.append(np.full(int(there.sum()), corpus.groups.labels[i]))
        if not sum(map(len, ids)):
            return None
        vocabulary = corpus.info.streams[number].vocabulary
        return cls(
            np.concatenate(phones), np.concatenate(ids), np.concatenate(groups), vocabulary, seed
        )

    def figures(self, group: int | None) -> dict[str, float]:
        """Each of `MEASURES`, and the same by chance, without a group's frames."""
        kept = slice(None) if group is None else self.groups != group
        phones, ids = self.phones[kept], self.ids[kept]
        own = Counts.of(ph.joint(phones, ids, self.vocabulary))
        turned = [
            Counts.of(ph.joint(phones, np.roll(ids, offset), self.vocabulary))
            for offset in ph.rotations(len(ids), self.seed, DRAWS)
        ]
        made = {}
        for name, measure in MEASURES.items():
            made[name] = measure(own, self.vocabulary)
            made[f"{name}_chance"] = float(np.mean([measure(t, self.vocabulary) for t in turned]))
            made[f"{name}_corrected"] = ph.beyond_chance(made[name], made[f"{name}_chance"])
        return made

    def told(self, groups: int) -> dict[str, Any]:
        figures = self.figures(None)
        return {"frames": len(self.ids), **{n: number_or_none(v) for n, v in figures.items()}}


def _rows(
    context: TokenContext,
    corpus: Corpus,
    frames: Frames,
    result: TrackResult,
    count: int,
    note: str | None,
) -> None:
    figures = cache(frames.figures)
    for row in rows.PHONES:
        if context.wanted(row.name):
            result.rows[row.name] = whole(
                row,
                named(figures, row),
                corpus.groups,
                n=count,
                expected=count,
                note=note,
                lack="all frames are of one phone",
            )


# ------------------------------------------------------------------------------- boundaries
@dataclass(frozen=True)
class Boundaries:
    """Of one item: boundaries of phones, changes of id between the first and the last phone, and
    how many of them meet."""

    reference: int
    found: int
    met: int


def _boundaries(
    corpus: Corpus, timed: dict[int, list[Timed | None]], number: int
) -> dict[int, Boundaries]:
    made = {}
    for i, streams in timed.items():
        stream, spans = streams[number], corpus.items[i].phones
        if stream is None or not spans:
            continue
        reference = ph.inner([s.start for s in spans], [s.end for s in spans])
        changes = (np.flatnonzero(stream.ids[1:] != stream.ids[:-1]) + 1) / stream.rate
        inside = changes[(changes > spans[0].start) & (changes < spans[-1].end)]
        met = ph.hits(reference, inside, TOLERANCE)
        made[i] = Boundaries(len(reference), len(inside), met)
    return made


def _boundary_rows(
    context: TokenContext,
    corpus: Corpus,
    found: dict[int, Boundaries],
    result: TrackResult,
    note: str | None,
) -> None:
    for i, b in found.items():
        sums = {
            rows.PRECISION.name: Sums(float(b.met), float(b.found)),
            rows.RECALL.name: Sums(float(b.met), float(b.reference)),
            rows.F1.name: Sums(2.0 * b.met, float(b.found + b.reference)),
        }
        for name, value in sums.items():
            if context.wanted(name):
                result.records.append(ItemSums(name, corpus.items[i].utterance, value))
                result.expected[name] = len(found)
                if note:
                    result.notes[name] = note

    def r_value(group: int | None) -> float:
        kept = [b for i, b in found.items() if corpus.groups.labels[i] != group]
        sums = [sum(getattr(b, name) for b in kept) for name in ("met", "found", "reference")]
        return ph.r_value(*sums)

    if context.wanted(rows.R_VALUE.name):
        result.rows[rows.R_VALUE.name] = whole(
            rows.R_VALUE,
            r_value,
            corpus.groups,
            n=len(found),
            expected=len(found),
            note=note,
            lack="no phone follows another",
        )
