"""How many ids change when the recording is changed in a way that nobody would call new speech."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from bench import audio
from bench.codec import reason_of
from bench.contracts import MetricRow, Samples, Sums, TokenizerInfo, Tokens
from bench.errors import ItemFailure
from bench.results import Failure
from bench.tokenstats.counts import Ids
from bench.tokenstats.sequences import edit_distance
from bench.tracks import token_rows as rows
from bench.tracks.contract import ItemSums, TokenContext, TokenItem, TrackResult
from bench.tracks.perturbations import Sound, changed

MOST_SECONDS, MOST_ITEMS = 90.0, 32
MOST_IDS = 16_000  # of a stream that are compared; of a longer one those in the middle
STAGE = "encode, changed"
BABBLE = "change_babble"
VOICES_HEARD = 8  # recordings among which the voices of a babble are, two being spare for silence


def subset(items: Sequence[TokenItem]) -> list[TokenItem]:
    """The utterances that are changed: in the order of their ids' sha256, while they fit into
    `MOST_SECONDS` together, at most `MOST_ITEMS`; always one."""
    chosen: list[TokenItem] = []
    left = MOST_SECONDS
    for item in sorted(items, key=lambda i: _hash(i.utterance.id)):
        if len(chosen) < MOST_ITEMS and (item.seconds <= left or not chosen):
            chosen.append(item)
            left -= item.seconds
    return chosen


@dataclass(frozen=True)
class Change:
    """One recording, changed. after: its samples then; before: the recording where that was scaled
    along with it, else None: its ids are known. Samples float32 [L] at the tokenizer's rate."""

    row: MetricRow
    item: TokenItem
    after: Samples
    before: Samples | None = None


def stability(context: TokenContext, items: Sequence[TokenItem], result: TrackResult) -> None:
    """Rows of sums: ids that change and ids, over the `subset` of the run's items."""
    wanted = [row for row in rows.CHANGES if context.wanted(row.name)]
    if not wanted:
        return
    chosen = subset(items)
    changes: list[Change] = []
    for row in wanted:
        result.expected[row.name] = len(chosen)
        if row is rows.REENCODING:
            changes += _own_output(context, chosen)
        elif row.name.startswith(BABBLE) and len(items) < 2:
            result.expected[row.name] = 0
            result.notes[row.name] = "there is no other recording to make babble of"
        else:
            changes += _perturbed(context, row, items, chosen, result)
    totals = _compared(context, changes, result)
    result.details["stability"] = {
        "utterances": [item.utterance.id for item in chosen],
        "share_by_stream": {
            row: {name: part / of for name, (part, of) in streams.items() if of}
            for row, streams in totals.items()
        },
    }


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _perturbed(
    context: TokenContext,
    row: MetricRow,
    items: Sequence[TokenItem],
    chosen: Sequence[TokenItem],
    result: TrackResult,
) -> list[Change]:
    made = []
    for item in chosen:
        try:
            pair = changed(row.name, _sound(context, row, item, items))
        except ItemFailure as failure:
            result.failures.append(_failure(row, item, failure))
            continue
        made.append(Change(row, item, pair.after, pair.before if pair.scaled else None))
    return made


def _sound(
    context: TokenContext, row: MetricRow, item: TokenItem, items: Sequence[TokenItem]
) -> Sound:
    rate = context.info.sample_rate
    others: list[Samples] = []
    if row.name.startswith(BABBLE):
        own = item.utterance
        strangers = [i for i in items if i.utterance.speaker != own.speaker] or [
            i for i in items if i.utterance.id != own.id
        ]
        near = sorted(strangers, key=lambda i: _hash(f"{own.id} {i.utterance.id}"))
        others = [i.audio(rate) for i in near[:VOICES_HEARD]]
    return Sound(item.audio(rate), rate, item.utterance.id, context.seed, others)


def _own_output(context: TokenContext, chosen: Sequence[TokenItem]) -> list[Change]:
    """What the tokenizer made of each item, its constant delay removed, and of the original's
    length where all rates are fixed. Items that do not decode are listed by the engine."""
    rate = context.info.sample_rate
    decoded = [
        (item, sound)
        for item, sound in zip(chosen, context.decode(chosen), strict=True)
        if not isinstance(sound, Exception)
    ]
    late = audio.delay([(i.audio(rate), s) for i, s in decoded if i.seconds >= 1], rate) or 0
    keeps_time = all(stream.rate is not None for stream in context.info.streams)
    return [
        Change(
            rows.REENCODING,
            item,
            audio.align(sound, late, len(item.audio(rate)) if keeps_time else len(sound)),
        )
        for item, sound in decoded
    ]


def _compared(
    context: TokenContext, changes: Sequence[Change], result: TrackResult
) -> dict[str, dict[str, list[int]]]:
    """Encode all and record each; row → stream → ids that change, and ids."""
    scaled = [change for change in changes if change.before is not None]
    found = context.encode(
        [c.after for c in changes] + [c.before for c in scaled if c.before is not None],
        [c.item.utterance.text for c in (*changes, *scaled)],
        STAGE,
    )
    before = {id(c): ids for c, ids in zip(scaled, found[len(changes) :], strict=True)}
    totals: dict[str, dict[str, list[int]]] = {}
    for change, after in zip(changes, found, strict=False):
        base = before.get(id(change)) or change.item.tokens
        streams = totals.setdefault(change.row.name, {})
        if isinstance(base, Tokens) and isinstance(after, Tokens):
            sums = _difference(context.info, base, after, streams)
            result.records.append(ItemSums(change.row.name, change.item.utterance, sums))
            continue
        error = base if isinstance(base, Exception) else after
        assert isinstance(error, Exception)
        result.failures.append(_failure(change.row, change.item, error))
    return totals


def _failure(row: MetricRow, item: TokenItem, error: Exception) -> Failure:
    return Failure(
        track="tokens", utterance=item.utterance.id, stage=row.name, reason=reason_of(error)
    )


def _difference(
    info: TokenizerInfo, before: Tokens, after: Tokens, totals: dict[str, list[int]]
) -> Sums:
    """Ids that change over the ids of the longer one, all streams; added to `totals` by stream."""
    changes, longest = 0, 0
    for stream, one, other in zip(info.streams, before.streams, after.streams, strict=True):
        a, b = middle(one), middle(other)
        distance, length = edit_distance(a, b), max(len(a), len(b))
        total = totals.setdefault(stream.name, [0, 0])
        total[0], total[1] = total[0] + distance, total[1] + length
        changes, longest = changes + distance, longest + length
    return Sums(float(changes), float(longest))


def middle(ids: Ids) -> Ids:
    """At most `MOST_IDS`, those in the middle."""
    begin = max(0, (len(ids) - MOST_IDS) // 2)
    return ids[begin : begin + MOST_IDS]
