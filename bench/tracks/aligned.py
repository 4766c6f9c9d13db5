"""The track `aligned`: does a text-aligned tokenizer keep its promise?

Its speech tokens are to hold what the text does not, each for its own word. Two experiments, on
English utterances with transcripts, for tokenizers of the family `text-aligned` that have speech
streams beside a text stream and tell which tokens are a word (`spans`; see docs/aligned.md):

text-only floor: the same ids decoded without their speech streams (a nested tokenizer then takes
the mean of its speech vectors): what is lost is what the speech tokens carry.
swap: some words of an utterance get the speech ids that they have in another recording of the same
text (its tempo changed, or a real repetition).

Words are measured by a forced aligner, the same one for every recording.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from bench.codec import reason_of
from bench.contracts import Samples, Sums, Tokens
from bench.errors import ItemFailure
from bench.nn.taste_align import aligner
from bench.results import Failure
from bench.tracks import aligned_rows as rows
from bench.tracks.aligned_sound import decoded, likeness, original
from bench.tracks.aligned_swap import swaps
from bench.tracks.contract import ItemSums, TokenContext, TokenItem, TrackResult

NEAR = 0.050  # s
MOST = 40
"""Utterances that the floor is measured on, by the hash of their names."""
STAGE = "aligned"


class AlignedTrack:
    name = rows.TRACK
    version = "1"
    rows = rows.ROWS

    def splits(self, wanted: Callable[[str], bool]) -> tuple[str, ...]:
        """None but the run's own."""
        return ()

    def run(self, context: TokenContext) -> TrackResult:
        """All wanted rows; none for a tokenizer that promises nothing of the kind."""
        result = TrackResult()
        if not promises(context):
            return result
        items = [item for item in context.items()
                 if item.utterance.language == "en" and item.utterance.text
                 and len(item.tokens.streams[0])]  # fmt: skip
        items.sort(key=lambda item: hashlib.sha256(item.utterance.id.encode()).hexdigest())
        if any(context.wanted(row.name) for row in (*rows.KEPT, *rows.FLOOR)):
            _floor(context, items[:MOST], result)
        if any(context.wanted(row.name) for row in rows.SWAP):
            swaps(context, items, result)
        return result


def promises(context: TokenContext) -> bool:
    """It is text-aligned, has speech streams that it can do without, and tells its words."""
    info = context.info
    return (info.family == "text-aligned" and len(info.streams) > 1 and info.nested
            and hasattr(context.tokenizer, "spans"))  # fmt: skip


def _floor(context: TokenContext, items: Sequence[TokenItem], result: TrackResult) -> None:
    for row in (*rows.KEPT, *rows.FLOOR):
        if context.wanted(row.name):
            result.expected[row.name] = len(items)
    context.reporter.total(STAGE, sum(item.seconds for item in items))
    for item in items:
        try:
            recorded = original(context, item)
            both = (item.tokens, Tokens(item.tokens.streams[:1]))
            for tokens, part in zip(both, (rows.KEPT, rows.FLOOR), strict=True):
                sound = decoded(context, tokens, item.seconds)
                found = _compared(recorded, sound, item.utterance.text or "")
                result.records += [
                    ItemSums(row.name, item.utterance, sums)
                    for row, sums in zip(part, found, strict=True)
                    if context.wanted(row.name)
                ]
        except ItemFailure as failure:
            result.failures.append(
                Failure(track=rows.TRACK, utterance=item.utterance.id, stage="floor",
                        reason=reason_of(failure))
            )  # fmt: skip
        context.reporter.done(STAGE, item.seconds)


def _compared(recorded: Samples, made: Samples, text: str) -> tuple[Sums, Sums, Sums]:
    """Sums of the rows of KEPT."""
    before, after = aligner().words(recorded, text), aligner().words(made, text)
    near = [abs(a.seconds - b.seconds) <= NEAR + 1e-9 for a, b in zip(before, after, strict=True)]
    pairs = np.array([(a.f0, b.f0) for a, b in zip(before, after, strict=True) if a.f0 and b.f0])
    if not len(pairs):
        raise ItemFailure("no word is voiced in both")
    cents = 1200 * np.log2(pairs)
    wrong = np.abs(np.diff(cents - np.median(cents, axis=0), axis=1))
    return (
        Sums(float(sum(near)), float(len(near))),
        Sums(float(wrong.sum()), float(len(wrong))),
        Sums(likeness(recorded, made)),
    )


TRACK = AlignedTrack()
