"""How the vocabulary is used: entropy, perplexity, utilisation, repetitions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from bench.contracts import Sums
from bench.rates import rates
from bench.tokenstats import entropy as en
from bench.tokenstats.counts import Counts, Ids, merged, pairs
from bench.tokenstats.sequences import runs
from bench.tracks import token_rows as rows
from bench.tracks.contract import ItemSums, TokenContext, TrackResult
from bench.tracks.rows import absent, named, whole
from bench.tracks.token_corpus import Corpus

BUDGETS = (1_000, rows.BUDGET, 100_000)
LITTLE = 0.5  # chance of an unseen pair from which order 1 is called too small
CURVE = tuple(int(10 ** (n / 4)) for n in range(8, 25))  # ids, 100 to 10^6
EMPTY = "no utterance has an id"


@dataclass(frozen=True)
class Streams:
    """Counts of ids and of pairs, for each stream an array of them: one for each group."""

    corpus: Corpus
    singles: Sequence[Sequence[Counts]]
    doubles: Sequence[Sequence[Counts]]

    @classmethod
    def of(cls, corpus: Corpus) -> Streams:
        singles, doubles = [], []
        for number, stream in enumerate(corpus.info.streams):
            ids = corpus.stream(number)
            follow = [pairs(x, stream.vocabulary) for x in ids]
            singles.append(_by_group(ids, corpus.groups.labels, corpus.groups.count))
            doubles.append(_by_group(follow, corpus.groups.labels, corpus.groups.count))
        return cls(corpus, singles, doubles)

    @cached_property
    def all_singles(self) -> list[Counts]:
        return [merged(parts) for parts in self.singles]

    @cached_property
    def all_doubles(self) -> list[Counts]:
        return [merged(parts) for parts in self.doubles]

    def without(self, group: int | None) -> View:
        """What is left when a group is left out."""
        labels = self.corpus.groups.labels
        seconds = np.array([item.seconds for item in self.corpus.items])
        kept = np.full(len(labels), True) if group is None else labels != group
        return View(
            self.corpus,
            _left(self.singles, self.all_singles, group),
            _left(self.doubles, self.all_doubles, group),
            float(seconds[kept].sum()),
            int(kept.sum()),
        )


def _left(
    streams: Sequence[Sequence[Counts]], everything: Sequence[Counts], group: int | None
) -> Sequence[Counts]:
    if group is None:
        return everything
    return [all_.without(parts[group]) for all_, parts in zip(everything, streams, strict=True)]


@dataclass(frozen=True)
class View:
    """Counts of ids and of pairs of each stream, over `seconds` of `utterances`."""

    corpus: Corpus
    singles: Sequence[Counts]
    doubles: Sequence[Counts]
    seconds: float
    utterances: int

    @property
    def vocabularies(self) -> list[int]:
        return [stream.vocabulary for stream in self.corpus.info.streams]

    def entropies(self) -> list[float]:
        """Of each stream; 0 where it has no id, which then costs nothing."""
        made = map(en.entropy, self.singles, self.vocabularies)
        return [0.0 if math.isnan(h) else h for h in made]

    def conditional(self) -> list[float]:
        """Of each stream; order 0 where no id follows another."""
        made = map(en.conditional_entropy, self.doubles, self.vocabularies)
        return [h if math.isnan(c) else c for c, h in zip(made, self.entropies(), strict=True)]

    def rate(self, entropies: Sequence[float]) -> float:
        """Bits a second of all streams with `entropies` bits an id, and side information."""
        bits = sum(c.total * h for c, h in zip(self.singles, entropies, strict=True))
        side = self.corpus.info.side_info_bits * self.utterances
        return (bits + side) / self.seconds

    def normalised(self) -> float:
        most = sum(
            c.total * math.log2(v) for c, v in zip(self.singles, self.vocabularies, strict=True)
        )
        bits = sum(c.total * h for c, h in zip(self.singles, self.entropies(), strict=True))
        return bits / most if most > 0 else math.nan

    def perplexity(self) -> float:
        return float(2 ** np.mean(self.entropies()))

    def perplexity_at(self, budget: int, seed: int) -> float:
        made = [
            en.entropy_at(c, v, budget, seed)
            for c, v in zip(self.singles, self.vocabularies, strict=True)
        ]
        return float(2 ** np.mean(made))

    def utilisation(self) -> float:
        return sum(map(len, self.singles)) / sum(self.vocabularies)

    def utilisation_at(self, budget: int) -> float:
        return sum(en.distinct_at(c, budget) for c in self.singles) / sum(self.vocabularies)

    def zipf(self) -> float:
        return float(np.mean([en.zipf_exponent(c) for c in self.singles]))


def _by_group(arrays: Sequence[Ids], labels: Ids, count: int) -> list[Counts]:
    parts: list[list[Ids]] = [[np.zeros(0, dtype=np.int64)] for _ in range(count)]
    for array, group in zip(arrays, labels.tolist(), strict=True):
        parts[group].append(array)
    return [Counts.of(np.concatenate(part)) for part in parts]


def sums(context: TokenContext, corpus: Corpus, result: TrackResult) -> None:
    """Rows that are ratios of sums over utterances."""
    for item, tokens in zip(corpus.items, corpus.tokens, strict=True):
        made = rates(tokens, corpus.info, item.seconds)
        longest = float(max(map(len, tokens.streams)))
        count = float(sum(map(len, tokens.streams)))
        made[rows.FRAME_RATE.name] = Sums(longest, item.seconds)
        made[rows.DEDUP.name] = Sums(float(sum(map(runs, tokens.streams))), count)
        for name, value in made.items():
            if context.wanted(name):
                result.records.append(ItemSums(name, item.utterance, value))
                result.expected[name] = context.expected()


def code(context: TokenContext, corpus: Corpus, result: TrackResult) -> None:
    """Rows of the whole corpus, each from the counts of ids and of pairs in `tokens.parquet`."""
    if not any(context.wanted(row.name) for row in rows.CODE):
        return
    streams = Streams.of(corpus)
    everything = streams.without(None)
    empty = not any(c.total for c in everything.singles)
    short = f"a stream has fewer than {rows.BUDGET:,} ids here"
    figures: dict[str, tuple[Callable[[View], float], str | None]] = {
        rows.ENTROPY_RATE.name: (lambda v: v.rate(v.entropies()), None),
        rows.CONDITIONAL_RATE.name: (lambda v: v.rate(v.conditional()), None),
        rows.NORMALISED.name: (View.normalised, "no stream has a vocabulary of two ids or more"),
        rows.PERPLEXITY.name: (View.perplexity, None),
        rows.PERPLEXITY_BUDGET.name: (
            lambda v: v.perplexity_at(rows.BUDGET, context.seed),
            short,
        ),
        rows.UTILISATION.name: (View.utilisation, None),
        rows.UTILISATION_BUDGET.name: (lambda v: v.utilisation_at(rows.BUDGET), short),
        rows.ZIPF.name: (View.zipf, "a stream has fewer than 8 ids that occurred 5 times"),
    }
    wanted = [row for row in rows.CODE if context.wanted(row.name)]

    @cache  # one view at a time: the pairs of a large vocabulary fill memory
    def of(group: int | None) -> dict[str, float]:
        view = everything if group is None else streams.without(group)
        return {row.name: figures[row.name][0](view) for row in wanted}

    for row in wanted:
        if empty:
            result.rows[row.name] = absent(row, EMPTY, context.expected())
            continue
        result.rows[row.name] = whole(
            row,
            named(of, row),
            corpus.groups,
            n=len(corpus.items),
            expected=context.expected(),
            note=_little(everything) if row is rows.CONDITIONAL_RATE else None,
            lack=figures[row.name][1],
        )
    result.details["streams"] = _table(context, everything)
    result.details["curves"] = _curves(everything)


def _little(view: View) -> str | None:
    shares = [en.unseen(c) for c in view.doubles if c.total]
    if not shares or max(shares) < LITTLE:
        return None
    return (
        f"up to {100 * max(shares):.0f} % of a stream's pairs are new to it: too little speech for "
        "its vocabulary, so the figure is too small"
    )


# ------------------------------------------------------------------------------------- details
def _table(context: TokenContext, view: View) -> list[dict[str, Any]]:
    table = []
    for number, stream in enumerate(view.corpus.info.streams):
        single, double = view.singles[number], view.doubles[number]
        repeated = sum(map(runs, view.corpus.stream(number)))
        bits = en.entropy(single, stream.vocabulary)
        largest = math.log2(stream.vocabulary)
        table.append(
            {
                "name": stream.name,
                "vocabulary": stream.vocabulary,
                "rate": stream.rate,
                "ids": single.total,
                "ids_per_second": single.total / view.seconds,
                "bits_per_second": single.total * largest / view.seconds,
                "entropy": number_or_none(bits),
                "conditional_entropy": number_or_none(
                    en.conditional_entropy(double, stream.vocabulary)
                ),
                "pairs_unseen": number_or_none(en.unseen(double)),
                "normalised_entropy": number_or_none(bits / largest if largest else math.nan),
                "perplexity": number_or_none(2**bits),
                "used": len(single),
                "utilisation": len(single) / stream.vocabulary,
                "zipf_exponent": number_or_none(en.zipf_exponent(single)),
                "kept_without_repetitions": repeated / single.total if single.total else None,
                "at": {
                    str(budget): {
                        "used": number_or_none(en.distinct_at(single, budget)),
                        "entropy": number_or_none(
                            en.entropy_at(single, stream.vocabulary, budget, context.seed)
                        ),
                    }
                    for budget in BUDGETS
                    if budget <= single.total
                },
            }
        )
    return table


def _curves(view: View) -> dict[str, Any]:
    """For plots: ids used against ids seen, and the share of an id against its rank."""
    used, ranked = {}, {}
    for stream, counts in zip(view.corpus.info.streams, view.singles, strict=True):
        used[stream.name] = [
            [budget, round(en.distinct_at(counts, budget), 3)]
            for budget in (*CURVE, counts.total)
            if 0 < budget <= counts.total
        ]
        falling = np.sort(counts.counts)[::-1]
        at = sorted({int(1.25**n) for n in range(80) if 1.25**n <= len(falling)})
        ranked[stream.name] = [[rank, float(falling[rank - 1] / counts.total)] for rank in at]
    return {"used_of_ids": used, "share_of_rank": ranked}


def number_or_none(value: float) -> float | None:
    """For JSON, which has no NaN."""
    return float(value) if math.isfinite(value) else None
