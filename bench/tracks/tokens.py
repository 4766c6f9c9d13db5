"""The track `tokens`: is the code efficient, is its vocabulary used, do the ids hold still?

Every row can be computed again: rows of sums from `scores.parquet`; those of the vocabulary from
the ids in `tokens.parquet`; those against phones from these and the manifest's alignments; ABX on
code vectors from the tokenizer's tables besides. What stands for chance and for budgets is drawn
with the run's seed. Intervals of figures that no sums divide into leave out one of at most 20
groups of speakers (or utterances) at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bench.pools import one_processor_each
from bench.rates import ROWS as RATE_ROWS
from bench.tracks import token_rows as rows
from bench.tracks.contract import TRAIN, TokenContext, TrackResult
from bench.tracks.token_abx import discrimination
from bench.tracks.token_bpe import compression
from bench.tracks.token_code import code, sums
from bench.tracks.token_corpus import Corpus
from bench.tracks.token_phones import against_phones
from bench.tracks.token_stability import stability
from bench.tracks.token_text import per_text_token


class TokensTrack:
    name = "tokens"
    version = "1"
    rows = (*RATE_ROWS, *rows.ROWS)

    def splits(self, wanted: Callable[[str], bool]) -> tuple[str, ...]:
        """Merges are learnt on train."""
        return (TRAIN,) if any(wanted(r.name) for r in (*rows.BPE, rows.BPE_NEW)) else ()

    def run(self, context: TokenContext) -> TrackResult:
        """All wanted rows; the rates always, as they cost nothing."""
        result = TrackResult()
        corpus = Corpus.of(context)
        sums(context, corpus, result)
        if not corpus.items:  # every utterance failed, and is listed
            result.expected |= {
                r.name: context.expected() for r in self.rows if context.wanted(r.name)
            }
            return result
        parts: list[Callable[[TrackResult], None]] = [
            partial(code, context, corpus),
            partial(compression, context, corpus.items),
            partial(against_phones, context, corpus),
            partial(discrimination, context, corpus),
            partial(stability, context, corpus.items),
        ]
        found = [TrackResult() for _ in parts]
        with one_processor_each(context.threads, halt=lambda: None) as pool:
            # The last first: it is the longest, and the others share the other processor.
            jobs = [pool.submit(parts[n], found[n]) for n in reversed(range(len(parts)))]
            for job in jobs:
                job.result()
        for own in found:
            result.add(own)
        per_text_token(context, corpus, result)
        _drop_uncountable(result)
        return result


def _drop_uncountable(result: TrackResult) -> None:
    """Records that count none of what their row counts (no id, no change of id) go, and the
    utterance is not expected to have one."""
    for record in result.records:
        if not record.sums.denominator:
            result.expected[record.row] -= 1
    result.records = [record for record in result.records if record.sums.denominator]


TRACK = TokensTrack()
