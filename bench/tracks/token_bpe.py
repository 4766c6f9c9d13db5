"""How far byte-pair encoding shortens the sequences: merges of train, counted on the test."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from bench.contracts import Sums, TokenizerInfo
from bench.tokenstats.bpe import Alphabet, Merges, learn
from bench.tokenstats.counts import Ids
from bench.tokenstats.sequences import interleaved
from bench.tracks import token_rows as rows
from bench.tracks.contract import TRAIN, ItemSums, TokenContext, TokenItem, TrackResult
from bench.tracks.rows import absent

MOST_IDS = 600_000  # of each split; utterances in the order of their ids' sha256
ALL = max(rows.MERGES.values())


def compression(context: TokenContext, items: Sequence[TokenItem], result: TrackResult) -> None:
    """Rows that are ratios of sums: symbols left, and symbols of the test's own merges that the
    merges of train lack. `items` are those of the run."""
    wanted = [row for row in (*rows.BPE, rows.BPE_NEW) if context.wanted(row.name)]
    if not wanted:
        return
    learnt = context.items(TRAIN)
    train, learnt_on = _sequences(context.info, learnt)
    sequences, kept = _sequences(context.info, items)
    lack = None
    if not train:
        lack = "the suite has no split 'train' to learn merges on"
    elif not sum(map(len, train)) or not sum(map(len, sequences)):
        lack = "no id to learn merges on or to count them on"
    if lack is not None:
        result.rows |= {row.name: absent(row, lack) for row in wanted}
        return
    alphabet = Alphabet.of([*train, *sequences])
    merges = learn(train, alphabet, ALL)
    own = learn(sequences, alphabet, ALL)
    sums: dict[str, list[Sums]] = {
        row.name: [
            Sums(float(len(found)), float(len(sequence)))
            for found, sequence in zip(
                merges.split(sequences, rows.MERGES[row.name]), sequences, strict=True
            )
        ]
        for row in rows.BPE
    }
    known = merges.words(ALL)
    sums[rows.BPE_NEW.name] = [_new(found, known) for found in own.split(sequences, ALL)]
    for row in wanted:
        result.expected[row.name] = len(kept)
        for item, value in zip(kept, sums[row.name], strict=True):
            result.records.append(ItemSums(row.name, item.utterance, value))
        left_out = {"train": len(learnt) - len(learnt_on), "test": len(items) - len(kept)}
        if note := _note(row.name, merges, left_out):
            result.notes[row.name] = note
    result.details["bpe"] = _told(merges, own, train, sequences)


def _sequences(
    info: TokenizerInfo, items: Sequence[TokenItem]
) -> tuple[list[Ids], list[TokenItem]]:
    """Streams of each item as one sequence, until there are `MOST_IDS`."""
    found: list[Ids] = []
    kept: list[TokenItem] = []
    left = MOST_IDS
    for item in sorted(items, key=lambda i: hashlib.sha256(i.utterance.id.encode()).hexdigest()):
        if left <= 0:
            break
        found.append(
            interleaved(
                item.tokens.streams,
                [stream.vocabulary for stream in info.streams],
                [stream.rate for stream in info.streams],
            )
        )
        kept.append(item)
        left -= len(found[-1])
    return found, kept


def _new(found: Sequence[str], known: set[str]) -> Sums:
    merged = [token for token in found if len(token) > 1]
    return Sums(float(sum(token not in known for token in merged)), float(len(merged)))


def _note(row: str, merges: Merges, left_out: Mapping[str, int]) -> str | None:
    parts = []
    asked = rows.MERGES.get(row, ALL)
    if len(merges.pairs) < asked:
        parts.append(f"only {len(merges.pairs)} pairs occur twice in train")
    for split, count in left_out.items():
        if count:
            parts.append(f"{count} utterances of {split} left out, over {MOST_IDS:,} ids")
    return "; ".join(parts) or None


def _told(
    merges: Merges, own: Merges, train: Sequence[Ids], sequences: Sequence[Ids]
) -> dict[str, Any]:
    lengths = {count: merges.split(sequences, count) for count in (100, 250, 500, 1000, 2000, ALL)}
    ids = sum(map(len, sequences))
    used = {token for found in lengths[ALL] for token in found if len(token) > 1}
    longest = sorted((len(word) for word in merges.words(ALL)), reverse=True)
    return {
        "train_ids": sum(map(len, train)),
        "test_ids": ids,
        "merges_of_train": len(merges.pairs),
        "merges_of_test": len(own.pairs),
        "length_after": {
            str(count): sum(map(len, found)) / ids
            for count, found in lengths.items()
            if count <= max(len(merges.pairs), rows.MERGES["bpe_1k"])
        },
        "merges_unused_on_test": 1 - len(used) / len(merges.pairs) if merges.pairs else None,
        "longest_merge": longest[0] if longest else None,
    }
