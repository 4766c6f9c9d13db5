"""The swap experiment: speech ids of some words exchanged between two recordings of one text.

TASTE (Tseng et al. 2025) shows it on an example: only the words that were swapped change their
duration, and what is said stays. Here the donor is the same recording at another tempo, or a real
repetition where the suite has one whose transcript has the same ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.codec import reason_of
from bench.contracts import Sums, Tokens
from bench.errors import ItemFailure
from bench.metrics._edits import normalise
from bench.nn.taste_align import aligner
from bench.results import Failure
from bench.tempo import at_tempo
from bench.tracks import aligned_rows as rows
from bench.tracks.aligned_sound import decoded, original, transcript
from bench.tracks.contract import ItemSums, TokenContext, TokenItem, TrackResult
from bench.tracks.rows import groups_of, named, whole

MOST = 24
"""Recordings that are given another tempo."""
TEMPOS = (0.75, 1.3)
SHARE, LEAST = 3, 3
"""One word of so many is swapped; the fewest words of an utterance."""
STAGE = "encode, swaps"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """own and donor: ids of two recordings of one text; heard: the donor's recording at 16 kHz."""

    item: TokenItem
    donor: Tokens
    heard: Any


@dataclass(frozen=True)
class Swapped:
    """One swap, seconds a word [W]. wanted: how much longer the donor said it; got: how much
    longer it became; chosen: bool, it was swapped; same: Moonshine hears the same words."""

    item: TokenItem
    wanted: Floats
    got: Floats
    chosen: npt.NDArray[np.bool_]
    same: bool


def swaps(context: TokenContext, items: Sequence[TokenItem], result: TrackResult) -> None:
    """The rows of SWAP."""
    pairs, tried = _pairs(context, items)
    found = []
    for pair in pairs:
        try:
            found.append(_swap(context, pair))
        except ItemFailure as failure:
            result.failures.append(
                Failure(track=rows.TRACK, utterance=pair.item.utterance.id, stage="swap",
                        reason=reason_of(failure))
            )  # fmt: skip
    told = f"{len(found)} swaps; in {tried - len(pairs)} of {tried} pairs the transcripts differ"
    if context.wanted(rows.SAME_TEXT.name):
        result.expected[rows.SAME_TEXT.name] = len({pair.item.utterance.id for pair in pairs})
        result.notes[rows.SAME_TEXT.name] = told
        result.records += same_text(found)
    groups = groups_of([one.item for one in found])

    def of(group: int | None) -> dict[str, float]:
        kept = [s for s, g in zip(found, groups.labels, strict=True) if g != group]
        return figures(kept)

    for row in (rows.CORRELATION, rows.LEAK):
        if context.wanted(row.name):
            result.rows[row.name] = whole(
                row, named(of, row), groups, n=len(found), expected=len(pairs), note=told,
                lack="no two recordings of one text have the same transcript",
            )  # fmt: skip
    result.details["swaps"] = [
        {"utterance": s.item.utterance.id, "same_text": s.same,
         "words": [[round(float(v), 3) for v in (w, g)] + [bool(c)]
                   for w, g, c in zip(s.wanted, s.got, s.chosen, strict=True)]}
        for s in found
    ]  # fmt: skip


def same_text(found: Sequence[Swapped]) -> list[ItemSums]:
    """One record an utterance, whose swaps may be several."""
    by: dict[str, list[Swapped]] = {}
    for one in found:
        by.setdefault(one.item.utterance.id, []).append(one)
    return [
        ItemSums(
            rows.SAME_TEXT.name,
            group[0].item.utterance,
            Sums(float(sum(one.same for one in group)), float(len(group))),
        )
        for group in by.values()
    ]


def figures(found: Sequence[Swapped]) -> dict[str, float]:
    """Correlation and leak over all words of `found`; NaN where nothing varies."""
    nothing = {rows.CORRELATION.name: float("nan"), rows.LEAK.name: float("nan")}
    if not found:
        return nothing
    wanted, got = (np.concatenate([getattr(s, n) for s in found]) for n in ("wanted", "got"))
    chosen = np.concatenate([s.chosen for s in found])
    moved = np.abs(got[chosen]).mean() if chosen.any() else 0.0
    if chosen.sum() < 3 or np.ptp(wanted[chosen]) < 1e-9 or np.ptp(got[chosen]) < 1e-9:
        return nothing
    others = np.abs(got[~chosen])
    return {
        rows.CORRELATION.name: float(np.corrcoef(wanted[chosen], got[chosen])[0, 1]),
        rows.LEAK.name: float(others.mean() / moved) if len(others) else float("nan"),
    }


def _pairs(context: TokenContext, items: Sequence[TokenItem]) -> tuple[list[Pair], int]:
    """Pairs whose transcripts have the same ids, and how many were tried."""
    long = [item for item in items if len(_spans(context, item.tokens)) >= LEAST]
    chosen = long[:MOST]
    rate = context.info.sample_rate
    clips = [at_tempo(item.audio(rate), TEMPOS[n % len(TEMPOS)]) for n, item in enumerate(chosen)]
    made = context.encode(clips, [item.utterance.text for item in chosen], STAGE)
    tried = []
    for item, clip, tokens in zip(chosen, clips, made, strict=True):
        tried.append((item, tokens, clip))
    said: dict[tuple[int, ...], TokenItem] = {}
    for item in long:
        words = tuple(item.tokens.streams[0].tolist())
        if words in said:
            donor = said[words]
            tried.append((item, donor.tokens, donor.audio(rate)))
        else:
            said[words] = item
    same = [
        Pair(item, tokens, clip)
        for item, tokens, clip in tried
        if isinstance(tokens, Tokens) and np.array_equal(tokens.streams[0], item.tokens.streams[0])
    ]
    return same, len(tried)


def _spans(context: TokenContext, tokens: Tokens) -> list[tuple[str, int]]:
    """Words as written and their numbers of ids; `spans` is optional in the contract."""
    tokenizer: Any = context.tokenizer
    found: list[tuple[str, int]] = tokenizer.spans(tokens)
    return found


def _swap(context: TokenContext, pair: Pair) -> Swapped:
    item, own = pair.item, pair.item.tokens
    spans = _spans(context, own)
    name = f"{context.seed}:{item.utterance.id}"
    random = np.random.default_rng(
        int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    )
    chosen = np.zeros(len(spans), dtype=bool)
    chosen[random.permutation(len(spans))[: max(1, len(spans) // SHARE)]] = True
    at = np.repeat(chosen, [count for _, count in spans])
    speech = zip(own.streams[1:], pair.donor.streams[1:], strict=True)
    mixed = Tokens((own.streams[0], *(np.where(at, b, a) for a, b in speech)))
    before, after = (decoded(context, tokens, item.seconds) for tokens in (own, mixed))
    text = " ".join(word for word, _ in spans)
    sounds = (original(context, item), pair.heard, before, after)
    recorded, donor, kept, swapped = (
        np.array([word.seconds for word in aligner().words(sound, text)]) for sound in sounds
    )
    if not len(chosen) == len(recorded) == len(donor) == len(kept) == len(swapped):
        raise ItemFailure("the aligner reads other words in the text than the tokenizer")
    same = [normalise(transcript(sound), "en") for sound in (before, after)]
    return Swapped(item, donor - recorded, swapped - kept, chosen, same[0] == same[1])
