"""The track `lm`: what the ids cost a language model, and how hard they are to predict.

Every row can be computed again from the ids in `tokens.parquet`, those of the split train, the
manifest's alignments and the seed; the sums lie in `scores.parquet`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from bench.contracts import Ids, Sums
from bench.lm.laid import Item, Predictor
from bench.lm.pairs import Clip, bits_an_id, judged, preferred, spoiled
from bench.pools import one_processor_each
from bench.tracks import lm_rows as rows
from bench.tracks.contract import TRAIN, ItemSums, TokenContext, TokenItem, TrackResult
from bench.tracks.lm_bits import Speech, predictability
from bench.tracks.lm_layouts import arithmetic
from bench.tracks.rows import absent

CHANCE = "chance is 50 %; under the small transformer over flatten"


class LmTrack:
    name = "lm"
    version = "2"
    rows = rows.ROWS

    def splits(self, wanted: Callable[[str], bool]) -> tuple[str, ...]:
        """All but the arithmetic learns from train."""
        steps = rows.STEPS.values()
        return (TRAIN,) if any(wanted(r.name) for r in rows.ROWS if r not in steps) else ()

    def run(self, context: TokenContext) -> TrackResult:
        """All wanted rows."""
        result = TrackResult()
        items = context.items()
        if not items:  # every utterance failed, and is listed
            result.expected |= {
                r.name: context.expected() for r in self.rows if context.wanted(r.name)
            }
            return result
        real = [item for item in items if item.good is not False]
        arithmetic(context, real, result)
        judge = predictability(context, real, result)
        if judge is not None:
            pairs(context, real, judge, result)
            suite_pairs(context, items, judge, result)
        return result


def pairs(
    context: TokenContext, items: Sequence[TokenItem], judge: Predictor, result: TrackResult
) -> None:
    """Rows of pairs: 1, ½ or 0 for each utterance that can be spoiled in that way."""
    kept = Speech.of(items, rows.MOST_PAIRS)
    clips = [_clip(item, streams) for item, streams in zip(kept.items, kept.ids, strict=True)]
    made = spoiled(clips, context.seed)
    wanted = {kind: row for kind, row in rows.PAIRS.items() if context.wanted(row.name)}
    lists = {kind: [item for _, item in made[kind]] for kind in wanted if made[kind]}
    asked = [kept.ids, *lists.values()] if lists else []
    with one_processor_each(context.threads, halt=lambda: None) as pool:
        scored = list(pool.map(partial(bits_an_id, judge), asked))
    real, bits = scored[0] if scored else np.zeros(0), dict(zip(lists, scored[1:], strict=True))
    for kind, row in wanted.items():
        if not made[kind]:
            result.rows[row.name] = absent(row, _lack(kind))
            continue
        which = [i for i, _ in made[kind]]
        found = preferred(real[which], bits[kind])
        result.expected[row.name] = len(found)
        for i, share in zip(which, found, strict=True):
            sums = Sums(float(share), 1.0)
            result.records.append(ItemSums(row.name, kept.items[i].utterance, sums))
        result.notes[row.name] = CHANCE


def suite_pairs(
    context: TokenContext, items: Sequence[TokenItem], judge: Predictor, result: TrackResult
) -> None:
    """The row of the manifest's own pairs (sWUGGY, sBLIMP, StoryCloze, SALMon), where it has any
    and both of a pair have ids."""
    row, found = rows.SUITE_PAIRS, paired(items)
    if not context.wanted(row.name) or not found:
        return
    left = rows.MOST_TEST
    kept: list[tuple[TokenItem, Item, Item]] = []
    for good, bad in found:
        if left <= 0:
            break
        kept.append((good, good.tokens.streams, bad.tokens.streams))
        left -= sum(len(ids) for item in kept[-1][1:] for ids in item)
    shares = judged(judge, [good for _, good, _ in kept], [bad for *_, bad in kept])
    result.expected[row.name] = len(kept)
    result.notes[row.name] = CHANCE
    for (item, *_), share in zip(kept, shares, strict=True):
        result.records.append(ItemSums(row.name, item.utterance, Sums(float(share), 1.0)))


def paired(items: Sequence[TokenItem]) -> list[tuple[TokenItem, TokenItem]]:
    """(good, bad) of each pair whose both utterances are there, in the order of their sha256."""
    good = {item.pair: item for item in items if item.good}
    bad = {item.pair: item for item in items if item.good is False}
    names = [name for name in good if name in bad]
    names.sort(key=lambda name: hashlib.sha256(str(name).encode()).digest())
    return [(good[name], bad[name]) for name in names]


def _clip(item: TokenItem, streams: Sequence[Ids]) -> Clip:
    words = [(w.label, w.start, w.end) for w in item.words or ()]
    return Clip(
        item.utterance.id,
        tuple(streams),
        item.seconds,
        item.utterance.speaker,
        tuple(words) or None,
        item.utterance.language,
    )


def _lack(kind: str) -> str:
    return {
        "shuffled": "no utterance of a second or more",
        "middle": "no other speaker of the same language speaks long enough",
        "words": "no utterance has an alignment with two different words",
    }[kind]


TRACK = LmTrack()
