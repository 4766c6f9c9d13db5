"""The n-gram is Kneser-Ney to the letter, sums to one, and sees what each layout has made."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.contracts import Ids, Stream
from bench.errors import UserError
from bench.layouts import CoarseToFine, Delay, Flatten, Parallel, TemporalDepth
from bench.lm.laid import LaidNGram, uniform
from bench.lm.ngram import BEFORE, FALLBACK, KneserNey, estimate, windows

TEXT = (
    "it was the best of times it was the worst of times it was the age of wisdom it was the age "
    "of foolishness it was the epoch of belief it was the epoch of incredulity it was the season "
    "of light it was the season of darkness it was the spring of hope it was the winter of despair"
)


def letters(text: str = TEXT) -> list[Ids]:
    return [np.array([ord(c) - 97 for c in word]) for word in text.split()]


def rows(sequences: list[Ids], order: int) -> Ids:
    return np.concatenate([windows(s, order) for s in sequences])


# ------------------------------------------------------------------------------ known answers
def test_a_bigram_computed_by_hand() -> None:
    """0 1 0 2 0 1 over three ids, discounts ½.

    Bigrams: start-0, 0-1 twice, 1-0, 0-2, 2-0. Ids seen after 3, 1 and 1 different ids, so
    P(0) = 2.5/5 + 1.5/5/3 = .6 and P(1) = P(2) = .5/5 + 1.5/5/3 = .2. After 0 (twice 1, once 2):
    P(1|0) = 1.5/3 + 1/3·.2, P(2|0) = .5/3 + 1/3·.2, P(0|0) = 1/3·.6.
    """
    model = KneserNey(2, 3, [0.5, 0.5]).fit(windows(np.array([0, 1, 0, 2, 0, 1]), 2))
    ask = np.array([[0, 0], [0, 1], [0, 2], [1, 0]])
    wanted = [0.2, 0.5 + 0.2 / 3, 0.5 / 3 + 0.2 / 3, 0.5 + 0.5 * 0.6]
    np.testing.assert_allclose(model.probabilities(ask), wanted, rtol=1e-12)
    np.testing.assert_allclose(model.bits(ask), -np.log2(wanted), rtol=1e-12)


def test_discounts_computed_by_hand() -> None:
    """n1…n4 = 4, 2, 1, 1: Y = ½, so 1 − 2·½·2/4, 2 − 3·½·1/2, 3 − 4·½·1/1."""
    counts = np.array([1, 1, 1, 1, 2, 2, 3, 4, 9])
    assert estimate(counts) == pytest.approx((0.5, 1.25, 1.0))
    assert estimate(np.array([1, 2, 3])) == FALLBACK
    assert estimate(np.array([1, *[2] * 1, *[3] * 9, 4])) == FALLBACK  # D2 would be negative


def slow(sequences: list[Ids], order: int, vocabulary: int, discounts: Any) -> Any:
    """Chen & Goodman's recursion, written from the definition with dictionaries."""
    counts: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(order + 1)]
    for sequence in sequences:
        padded = [BEFORE] * (order - 1) + list(map(int, sequence))
        for end in range(order, len(padded) + 1):
            counts[order][tuple(padded[end - order : end])] += 1
    for m in range(order - 1, 0, -1):
        counts[m] = Counter(gram[1:] for gram in counts[m + 1])

    def probability(context: tuple[int, ...], target: int) -> float:
        if len(context) == order:
            raise AssertionError
        below = probability(context[1:], target) if context else 1.0 / vocabulary
        table = counts[len(context) + 1]
        here = {g[-1]: c for g, c in table.items() if g[:-1] == context}
        if not here:
            return below
        if discounts is None:
            found = estimate(np.array(list(table.values())))
        else:
            found = (discounts[len(context)],) * 3
        take = {w: found[min(c, 3) - 1] for w, c in here.items()}
        total = sum(here.values())
        share = (here[target] - take[target]) / total if target in here else 0.0
        return share + sum(take.values()) / total * below

    return probability


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("fixed", [False, True])
def test_it_is_the_definition(order: int, fixed: bool) -> None:
    discounts = [0.75] * order if fixed else None
    train, test = letters()[:40], letters()[40:] + letters("quick brown jumps")
    model = KneserNey(order, 26, discounts).fit(rows(train, order))
    reference = slow(train, order, 26, discounts)
    ask = rows(test, order)
    wanted = [reference(tuple(map(int, w[:-1])), int(w[-1])) for w in ask]
    np.testing.assert_allclose(model.probabilities(ask), wanted, rtol=1e-10)


def test_it_is_nltks() -> None:
    """nltk.lm.KneserNeyInterpolated on the same text; it takes nothing from the unigram, so the
    unigram's discount is 0 here."""
    lm = pytest.importorskip("nltk.lm", reason="nltk is not installed")
    train, test = letters()[:40], letters()[40:50]
    vocabulary = sorted({int(i) for s in train for i in s})
    index = {c: n for n, c in enumerate(vocabulary)}
    mapped = [np.array([index[int(i)] for i in s]) for s in train]
    asked = [np.array([index[int(i)] for i in s]) for s in test if all(int(i) in index for i in s)]
    theirs = lm.KneserNeyInterpolated(3, discount=0.6)
    grams = [[tuple(map(str, w[-n:])) for w in windows(s, 3) for n in (1, 2, 3)] for s in mapped]
    theirs.fit(grams, vocabulary_text=list(map(str, range(len(vocabulary)))))
    ours = KneserNey(3, len(vocabulary), [0.0, 0.6, 0.6]).fit(rows(mapped, 3))
    ask = rows(asked, 3)
    # nltk has no answer (it divides by zero) after a context that it never saw: those that we saw.
    seen = {tuple(w[:-1]) for w in rows(mapped, 3)}
    ask = np.array([w for w in ask if tuple(w[:-1]) in seen])
    assert len(ask) > 20
    wanted = [theirs.score(str(w[-1]), list(map(str, w[:-1]))) for w in ask]
    np.testing.assert_allclose(ours.probabilities(ask), wanted, rtol=1e-10)


# ---------------------------------------------------------------------------------- properties
@settings(max_examples=40, deadline=None)
@given(
    order=st.integers(1, 5),
    vocabulary=st.integers(1, 12),
    length=st.integers(0, 200),
    seed=st.integers(0, 99),
)
def test_it_sums_to_one_after_any_context(
    order: int, vocabulary: int, length: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    skewed = (rng.random(length) ** 2 * vocabulary).astype(np.int64)
    model = KneserNey(order, vocabulary).fit(windows(skewed, order))
    contexts = rng.integers(BEFORE, vocabulary + 3, (20, order - 1))  # unseen ids among them
    ask = np.concatenate([np.repeat(contexts, vocabulary, axis=0)], axis=1)
    ask = np.concatenate([ask, np.tile(np.arange(vocabulary), 20)[:, None]], axis=1)
    found = model.probabilities(ask).reshape(20, vocabulary)
    assert (found > 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-9)


def test_without_training_it_is_uniform() -> None:
    model = KneserNey(3, 8).fit(np.empty((0, 3), dtype=np.int64))
    np.testing.assert_allclose(model.bits(windows(np.arange(8), 3)), 3.0)


@pytest.mark.benchmark
def test_half_a_million_ids(benchmark: Any) -> None:
    """`ratio`: a pass over the ids in plain Python, counting their 5-grams, against the model."""
    rng = np.random.default_rng(0)
    ids = (rng.random(500_000) ** 3 * 1024).astype(np.int64)
    begun = time.process_time()
    listed = ids.tolist()
    Counter(zip(*(listed[n:] for n in range(5)), strict=False))
    plain = time.process_time() - begun

    def fit_and_score() -> None:
        KneserNey(5, 1024).fit(windows(ids, 5)).bits(windows(ids[:100_000], 5))

    begun = time.process_time()
    benchmark.pedantic(fit_and_score, rounds=1)
    benchmark.extra_info["ratio"] = round(plain / (time.process_time() - begun), 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KneserNey(0, 8), "order 0"),
        (lambda: KneserNey(6, 8), "order 6"),
        (lambda: KneserNey(2, 0), "over 0 ids"),
        (lambda: KneserNey(2, 8, [0.5]), "give 2 numbers"),
        (lambda: KneserNey(1, 8, [1.5]), "from 0 to 1"),
        (lambda: KneserNey(2, 8).fit(np.zeros((3, 3), dtype=np.int64)), r"\[N, 2\]"),
        (lambda: KneserNey(1, 8).fit(np.array([[8]])), r"outside \[0, 8\)"),
        (lambda: KneserNey(2, 8).fit(np.array([[-2, 0]])), "BEFORE"),
    ],
)
def test_mistakes_are_told(make: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


# ------------------------------------------------------------------------------------- layouts
STREAMS = tuple(Stream(f"q{k + 1}", 8, 50.0) for k in range(3))
FRAMES = [np.array([0, 1, 2]), np.array([3, 4, 5]), np.array([6, 7, 0])]


@pytest.mark.parametrize(
    ("layout", "stream", "wanted"),
    [
        # flatten: joint ids 0+k·8 before the target, which is the stream's own id
        (Flatten(STREAMS), 1, [[-1, -1, 0, 3], [11, 22, 1, 4], [12, 23, 2, 5]]),
        # delay: last row (own stream, then the lower book, then the higher), then the row before
        (Delay(STREAMS), 1, [[-1, 0, -1, 3], [-1, 1, 3, 4], [6, 2, 4, 5]]),
        (Parallel(STREAMS), 1, [[-1, -1, -1, 3], [6, 0, 3, 4], [7, 1, 4, 5]]),
        # temporal + depth: the row itself, then the row before
        (TemporalDepth(STREAMS), 1, [[-1, -1, 0, 3], [0, 3, 1, 4], [1, 4, 2, 5]]),
        (TemporalDepth(STREAMS), 0, [[-1, -1, -1, 0], [6, 3, 0, 1], [7, 4, 1, 2]]),
    ],
)
def test_the_context_is_what_the_layout_made_last(layout: Any, stream: int, wanted: Any) -> None:
    assert LaidNGram(layout, 4)._windows(FRAMES)[stream].tolist() == wanted


def test_references_and_layouts_on_predictable_ids() -> None:
    """Book 2 repeats book 1, which counts up: only what the layout shows can be predicted."""
    rng = np.random.default_rng(3)
    items = []
    for _ in range(60):
        first = (np.arange(40) + rng.integers(16)) % 16
        noise = rng.integers(0, 16, 40)
        items.append([first, (noise + 0) % 16, noise])
    streams = [Stream(f"q{k}", 16, 50.0) for k in range(3)]
    train, test = items[:50], items[50:]
    flat = uniform(streams, test)
    assert flat.shape == (10, 3)
    np.testing.assert_allclose(flat, 160.0)
    one = LaidNGram(Flatten(streams), 1).fit(train).bits(test).sum(axis=0)
    np.testing.assert_allclose(one, 1600, rtol=0.02)
    depth = LaidNGram(TemporalDepth(streams), 2).fit(train).bits(test).sum(axis=0)
    assert depth[1] > 1550
    assert depth[2] < 100
    delay = LaidNGram(Delay(streams), 2).fit(train).bits(test).sum(axis=0)
    assert delay[0] < 200
    assert delay[2] > 1550


def test_uniform_random_ids_cost_their_entropy_and_a_constant_nothing() -> None:
    rng = np.random.default_rng(0)
    streams = [Stream("a", 64, 50.0), Stream("b", 4, 50.0), Stream("c", 1, 50.0)]
    items = [
        [rng.integers(0, 64, 200), np.full(200, 2), np.zeros(200, dtype=np.int64)]
        for _ in range(50)
    ]
    for layout in (Flatten(streams), Delay(streams), TemporalDepth(streams)):
        for order in (1, 3, 5):
            bits = LaidNGram(layout, order).fit(items[:40]).bits(items[40:]).sum(axis=0)
            assert bits[0] >= 10 * 200 * 6.0 * 0.995
            assert bits[1] < 15
            assert bits[2] == pytest.approx(0, abs=1e-6)


def test_empty_items_and_other_layouts() -> None:
    model = LaidNGram(Flatten(STREAMS), 3).fit([FRAMES])
    empty = [np.empty(0, dtype=np.int64)] * 3
    assert model.bits([empty, FRAMES])[0].tolist() == [0, 0, 0]
    assert model.bits([]).shape == (0, 3)
    assert uniform(STREAMS, [empty]).tolist() == [[0, 0, 0]]
    assert math.isclose(uniform(STREAMS, [FRAMES])[0, 0], 9.0)
    with pytest.raises(UserError, match="several models"):
        LaidNGram(CoarseToFine(STREAMS))
