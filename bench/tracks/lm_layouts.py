"""What each layout costs for the ids that came out: steps a second, contexts of a dialogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from bench.contracts import Ids, Stream, Sums
from bench.errors import UserError
from bench.layouts import CONTEXTS, DIALOGUE_SECONDS, Flatten, Layout, suited
from bench.layouts.hybrid import HYBRIDS, Hybrid, OneToOne, Spoken, Word
from bench.moonshine import Moonshine
from bench.tracks import lm_rows as rows
from bench.tracks.contract import ItemSums, TokenContext, TokenItem, TrackResult
from bench.tracks.rows import absent

TEXT = "text"
"""Name of the stream that holds the text of a text-aligned tokenizer."""


def arithmetic(context: TokenContext, items: Sequence[TokenItem], result: TrackResult) -> None:
    """Rows of steps a second, and in the details every layout for a second and a dialogue."""
    streams = context.info.streams
    layouts = suited(streams)
    lengths = [[len(ids) for ids in item.tokens.streams] for item in items]
    for end, row in rows.STEPS.items():
        if not context.wanted(row.name):
            continue
        layout = layouts[rows.PREDICTED[end].name]
        if isinstance(layout, str):
            result.rows[row.name] = absent(row, layout)
            continue
        result.expected[row.name] = len(items)
        for item, counts in zip(items, lengths, strict=True):
            steps = layout.cost_of(counts).large_steps if any(counts) else 0.0
            result.records.append(ItemSums(row.name, item.utterance, Sums(steps, item.seconds)))
    if any(context.wanted(row.name) for row in rows.STEPS.values()):
        rates = np.sum(lengths, axis=0) / sum(item.seconds for item in items)
        result.details["layouts"] = {
            name: {"lacks": layout} if isinstance(layout, str) else _told(layout, rates)
            for name, layout in layouts.items()
        }
        result.details["hybrids"] = hybrids(streams, items)


def _told(layout: Layout, rates: Sequence[float]) -> dict[str, Any]:
    dialogue = layout.cost(DIALOGUE_SECONDS, rates)
    return {
        "source": layout.source,
        "second": asdict(layout.cost(1.0, rates)),
        "dialogue": asdict(dialogue),
        "fits": {str(context): dialogue.fits(context) for context in CONTEXTS},
    }


# ------------------------------------------------------------------------------ text and speech
def hybrids(streams: Sequence[Stream], items: Sequence[TokenItem]) -> dict[str, Any]:
    """Each layout of text and speech, over the utterances that have an alignment.

    Text ids are those of Moonshine's vocabulary, word by word. A speech row is a frame where all
    streams have one length, else one id of the flattened streams.
    """
    aligned = [item for item in items if item.words]
    own = [s.name for s in streams].index(TEXT) if TEXT in [s.name for s in streams] else None
    told: dict[str, Any] = {}
    try:
        spoken = [] if own is not None else _spoken(streams, aligned)
    except UserError as error:  # streams whose lengths no layout can hold
        return {kind.name: {"lacks": str(error)} for kind in HYBRIDS}
    for kind in HYBRIDS:
        chosen = spoken
        if kind is OneToOne:
            if own is None:
                told[kind.name] = {"lacks": "it is for text-aligned tokenizers"}
                continue
            chosen = [(_taste(item, own), item.seconds) for item in items]
        elif own is not None:
            told[kind.name] = {"lacks": "the tokenizer's speech follows its own text"}
            continue
        told[kind.name] = _mean(kind(), chosen)
    return told


def _mean(layout: Hybrid, spoken: Sequence[tuple[Spoken, float]]) -> dict[str, Any]:
    """Sums and means over the utterances; waits in steps, and in seconds at the rate of rows."""
    try:
        costs = [layout.cost(item) for item, _ in spoken]
    except UserError as error:
        return {"lacks": str(error)}
    if not costs:
        return {"lacks": "no utterance has an alignment of words"}
    seconds = sum(s for _, s in spoken)
    cells = [c.padding for c in costs]
    return {
        "source": layout.source,
        "utterances": len(costs),
        "positions_a_second": sum(c.length for c in costs) / seconds,
        "text_ids_a_second": sum(c.text_ids for c in costs) / seconds,
        "padding": float(np.average(cells, weights=[max(1, c.length) for c in costs])),
        "wait_steps": float(np.mean([c.wait for c in costs])),
        "lead_seconds": float(np.mean([c.lead for c in costs])),
    }


def _spoken(streams: Sequence[Stream], items: Sequence[TokenItem]) -> list[tuple[Spoken, float]]:
    if not items:
        return []
    moonshine = Moonshine(threads=1)
    made = []
    for item in items:
        words = tuple(
            Word(span.start, span.end, np.array(moonshine.tokenize(span.label), dtype=np.int64))
            for span in item.words or ()
        )
        rows_ = _rows(streams, item.tokens.streams)
        rate = max(len(rows_), 1) / item.seconds
        made.append((Spoken(words, rows_, rate), item.seconds))
    return made


def _rows(streams: Sequence[Stream], ids: Sequence[Ids]) -> Ids:
    if len({len(x) for x in ids}) == 1:
        return np.stack(ids, axis=1)
    return Flatten(streams).encode(ids).parts[0].ids


def _taste(item: TokenItem, text: int) -> Spoken:
    ids = item.tokens.streams
    others = [x for k, x in enumerate(ids) if k != text]
    speech = np.stack(others, axis=1) if others else ids[text][:, None]
    rate = max(len(speech), 1) / item.seconds
    return Spoken((Word(0.0, item.seconds, ids[text]),), speech, rate)
