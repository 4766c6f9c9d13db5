"""How hard the ids are to predict: n-grams and a small transformer, trained on train."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import Any

import numpy as np

from bench.contracts import MetricRow, Sums
from bench.errors import UserError
from bench.layouts import Flatten, Layout, TemporalDepth, suited
from bench.lm.laid import Item, LaidNGram, Predictor, uniform
from bench.lm.ngram import Floats
from bench.lm.scoring import by_stream, slope, subset
from bench.pools import one_processor_each
from bench.store import key_of
from bench.tracks import lm_rows as rows
from bench.tracks.contract import TRAIN, ItemSums, TokenContext, TokenItem, TrackResult
from bench.tracks.lm_learnt import Remembered, digest
from bench.tracks.rows import absent

VERSION = "2"
"""Of the small transformer's figures; part of the key of what is kept of it."""
ORDER = 4
SHARES = (0.5, 1.0)  # of the training speech
Maker = Callable[[Layout, int], Any]
"""Layout and which of SHARES → the model trained on that share."""


@dataclass(frozen=True)
class Speech:
    """Utterances with their streams."""

    items: Sequence[TokenItem]
    ids: Sequence[Item]
    left_out: int

    @classmethod
    def of(cls, items: Sequence[TokenItem], most: int) -> Speech:
        """Utterances in the order of their ids' sha256, until there are `most` ids."""
        kept: list[TokenItem] = []
        ids: list[Item] = []
        left = most
        for item in sorted(items, key=lambda i: hashlib.sha256(i.utterance.id.encode()).digest()):
            if left <= 0:
                break
            kept.append(item)
            ids.append(item.tokens.streams)
            left -= sum(map(len, ids[-1]))
        return cls(kept, ids, len(items) - len(kept))

    @property
    def seconds(self) -> Floats:
        return np.array([item.seconds for item in self.items])


def predictability(
    context: TokenContext, items: Sequence[TokenItem], result: TrackResult
) -> Predictor | None:
    """All wanted rows of bits a second; the small transformer over flatten, if pairs want it."""
    suite = any(item.pair for item in items)
    wanted = [
        row
        for row in rows.ROWS
        if row not in rows.STEPS.values()
        and context.wanted(row.name)
        and (suite or row is not rows.SUITE_PAIRS)
    ]
    if not wanted:
        return None
    train = Speech.of(context.items(TRAIN), rows.MOST_TRAIN)
    test = Speech.of(items, rows.MOST_TEST)
    lack = None
    if not train.items:
        lack = "the suite has no split 'train' to train on"
    elif not any(len(x) for item in train.ids for x in item):
        lack = "train has no id to train on"
    if lack is not None:
        result.rows |= {row.name: absent(row, lack) for row in wanted}
        return None
    work = _Work(context, train, test, result)
    layouts = suited(context.info.streams)
    work.predict(layouts)
    judge: Predictor | None = None
    paired = [row for row in (*rows.PAIRS.values(), rows.SUITE_PAIRS) if row in wanted]
    flat = layouts[Flatten.name]
    if paired and isinstance(flat, Layout):
        with suppress(UserError):  # the rows of pairs tell it below
            for item in (*train.ids, *test.ids):
                flat.places([len(ids) for ids in item])
            judge = work.judge(flat)
    if judge is None:
        lack = str(layouts[Flatten.name])
        if isinstance(layouts[Flatten.name], Layout):
            lack = "the ids cannot be laid flat: streams of one rate differ in length"
        result.rows |= {row.name: absent(row, lack) for row in paired}
    whole = uniform(context.info.streams, test.ids).sum() / test.seconds.sum()
    result.details["lm"] = {
        "uniform": float(whole),
        "train_seconds": work.train_seconds,
        "test_seconds": float(test.seconds.sum()),
        "test_left_out": test.left_out,
        "models": work.told,
    }
    return judge


class _Work:
    """Trains on both sizes, scores the test, keeps the sums of the larger."""

    def __init__(
        self, context: TokenContext, train: Speech, test: Speech, result: TrackResult
    ) -> None:
        self.context, self.train, self.test, self.result = context, train, test, result
        self.told: dict[str, Any] = {}
        self._fitted: dict[tuple[str, str], dict[int, Future[tuple[Any, Floats]]]] = {}
        self._halted = Event()
        chosen = [subset(train.seconds, share, context.seed) for share in SHARES]
        self.sizes = [[train.ids[i] for i in part] for part in chosen]
        self.train_seconds = [float(train.seconds[part].sum()) for part in chosen]

    def small(self, layout: Layout, share: float) -> Any:
        """An untrained small transformer, which goes over each second of speech as often for any
        share of it."""
        from bench.lm.small import Recipe, SmallLM

        device = str(self.context.identity.get("device", "cpu"))
        whole = Recipe(seed=self.context.seed)
        return SmallLM(layout, replace(whole, positions=int(whole.positions * share)), device)

    def learnt(self, layout: Layout, size: int) -> Remembered:
        """The small transformer trained on a share of the speech, or its bits from disk.

        Of one stream all layouts are one sequence, so one model serves them all.
        """
        from bench.lm.small import Recipe

        context, items = self.context, self.sizes[size]
        streams = context.info.streams
        key = key_of(
            version=VERSION,
            layout=layout.name if len(streams) > 1 else "",
            streams=[[s.vocabulary, s.rate] for s in streams],
            recipe=repr(Recipe(seed=context.seed)),
            share=SHARES[size],
            train=digest(items),
        )
        identity = key_of(kind="small language models", **context.identity)
        path = context.cache / "lm" / f"{identity}.sqlite"
        share = SHARES[size]
        train = lambda: self.small(layout, share).fit(items, self._halted)  # noqa: E731
        return Remembered(path, key, len(streams), train)

    def ngram(self, order: int, layout: Layout, size: int) -> LaidNGram:
        """An n-gram counted on a share of the speech."""
        return LaidNGram(layout, order).fit(self.sizes[size])

    def judge(self, layout: Layout) -> Predictor:
        """The small transformer of all the training speech, trained when first asked for bits."""
        whole = len(SHARES) - 1
        made = self._fitted.get(_key("small", layout))
        return made[whole].result()[0] if made else self.learnt(layout, whole)

    def predict(self, layouts: Mapping[str, Layout | str]) -> None:
        """All wanted rows; a few models are trained at a time, those that take longest first, so
        that no processor waits at the end."""
        plans: list[tuple[MetricRow, Layout | str, str, Maker]] = [
            (rows.UNIGRAM, layouts[Flatten.name], "unigram", partial(self.ngram, 1))
        ]
        kinds: tuple[tuple[str, Mapping[str, MetricRow], Maker], ...] = (
            ("n-gram", rows.NGRAM, partial(self.ngram, ORDER)),
            ("small", rows.SMALL, self.learnt),
        )
        for kind, named, make in kinds:
            plans += [(named[e], layouts[p.name], kind, make) for e, p in rows.PREDICTED.items()]
        plans = [plan for plan in plans if self.context.wanted(plan[0].name)]
        with one_processor_each(self.context.threads, self._halted.set) as pool:
            jobs = [
                (layout, kind, make, size)
                for _, layout, kind, make in plans
                if isinstance(layout, Layout)
                for size in range(len(SHARES))
            ]
            for job in sorted(jobs, key=lambda job: -_cost(job[0], job[1], job[3])):
                self._start(pool, *job)
            for row, layout, kind, _ in plans:
                self._row(row, layout, kind)

    def _start(
        self, pool: ThreadPoolExecutor, layout: Layout, kind: str, make: Maker, size: int
    ) -> None:
        """Train on a share and score the test, unless another row does."""

        def train() -> tuple[Any, Floats]:
            model = make(layout, size)
            return model, model.bits(self.test.ids)

        started = self._fitted.setdefault(_key(kind, layout), {})
        if size not in started:
            started[size] = pool.submit(train)

    def _row(self, row: MetricRow, layout: Layout | str, kind: str) -> None:
        """One row, and its details."""
        if isinstance(layout, str):
            self.result.rows[row.name] = absent(row, layout)
            return
        side = self.context.info.side_info_bits
        seconds = self.test.seconds
        try:
            started = self._fitted[_key(kind, layout)]
            made = [started[size].result() for size in range(len(SHARES))]
        except UserError as error:  # streams whose lengths the layout cannot hold
            self.result.rows[row.name] = absent(row, str(error))
            return
        model, found = made[-1][0], [bits for _, bits in made]
        totals = [float((b.sum() + side * len(b)) / seconds.sum()) for b in found]
        self.result.expected[row.name] = len(self.test.items)
        for item, bits in zip(self.test.items, found[-1], strict=True):
            sums = Sums(float(bits.sum()) + side, item.seconds)
            self.result.records.append(ItemSums(row.name, item.utterance, sums))
        steeper = slope((self.train_seconds[0], totals[0]), (self.train_seconds[-1], totals[-1]))
        streams = self.context.info.streams
        self.told[row.name] = {
            "layout": layout.name,
            "bits_a_second": totals,
            "change_for_a_doubling": steeper if np.isfinite(steeper) else None,
            "by_stream": dict(
                zip([s.name for s in streams], by_stream(found[-1], seconds).tolist(), strict=True)
            ),
            "parameters": getattr(model, "parameters", None),
            "history": getattr(model, "history", None),
        }
        self.result.notes[row.name] = self._note()

    def _note(self) -> str:
        if self.test.left_out:
            return f"{rows.ALONE}; {self.test.left_out} utterances left out, the ids being enough"
        return rows.ALONE


def _key(kind: str, layout: Layout) -> tuple[str, str]:
    """Of one stream all layouts are one sequence."""
    return kind, "" if len(layout.streams) == 1 else layout.name


def _cost(layout: Layout, kind: str, size: int) -> float:
    """How long one takes against the others: a small transformer is all, and one of depth has
    layers over every cell. Of one stream the first layout serves them all."""
    deep = isinstance(layout, TemporalDepth) and len(layout.streams) > 1
    return (kind == "small") * SHARES[size] * (2 if deep else 1)
