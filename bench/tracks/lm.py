"""The track `lm`: what the ids cost a language model, and how hard they are to predict.

Every row can be computed again from the ids in `tokens.parquet`, those of the split train, the
manifest's alignments and the seed; the sums lie in `scores.parquet`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.contracts import Ids, Sums
from bench.lm.laid import Predictor
from bench.lm.pairs import Clip, judged, spoiled
from bench.tracks import lm_rows as rows
from bench.tracks.contract import TRAIN, ItemSums, TokenContext, TokenItem, TrackResult
from bench.tracks.lm_bits import MOST_TEST, Speech, predictability
from bench.tracks.lm_layouts import arithmetic
from bench.tracks.rows import absent


class LmTrack:
    name = "lm"
    version = "1"
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
        arithmetic(context, items, result)
        judge = predictability(context, items, result)
        if judge is not None:
            pairs(context, items, judge, result)
        return result


def pairs(
    context: TokenContext, items: Sequence[TokenItem], judge: Predictor, result: TrackResult
) -> None:
    """Rows of pairs: 1, ½ or 0 for each utterance that can be spoiled in that way."""
    kept = Speech.of(items, MOST_TEST)
    clips = [_clip(item, streams) for item, streams in zip(kept.items, kept.ids, strict=True)]
    made = spoiled(clips, context.seed)
    for kind, row in rows.PAIRS.items():
        if not context.wanted(row.name):
            continue
        if not made[kind]:
            result.rows[row.name] = absent(row, _lack(kind))
            continue
        good = [clips[i].streams for i, _ in made[kind]]
        found = judged(judge, good, [item for _, item in made[kind]])
        result.expected[row.name] = len(found)
        for (i, _), share in zip(made[kind], found, strict=True):
            sums = Sums(float(share), 1.0)
            result.records.append(ItemSums(row.name, kept.items[i].utterance, sums))
        result.notes[row.name] = "chance is 50 %; under the small transformer over flatten"


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
