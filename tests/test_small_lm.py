"""The small transformer, figures of bits, and likelihood tests on pairs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from bench.contracts import Ids, Stream
from bench.errors import UserError
from bench.layouts import CoarseToFine, Delay, Flatten, Layout, Parallel, TemporalDepth
from bench.lm.laid import Item, LaidNGram, uniform
from bench.lm.network import Shape, TokenNetwork
from bench.lm.pairs import (
    Clip,
    judged,
    listed,
    other_middle,
    preferred,
    share,
    shuffled,
    spoiled,
    swapped_words,
)
from bench.lm.scoring import by_stream, per_second, slope, subset
from bench.lm.small import Recipe, SmallLM

TINY = Recipe(
    shape=Shape(width=32, layers=2, heads=2, depth_layers=1, context=64),
    positions=6_000,
    batch=512,
    rate=1e-2,
)
LAYOUTS = [Flatten, Delay, Parallel, TemporalDepth]


def streams(*vocabularies: int, rate: float = 50.0) -> list[Stream]:
    return [Stream(f"q{k + 1}", v, rate) for k, v in enumerate(vocabularies)]


def counting(count: int, seed: int) -> list[Item]:
    """Stream 1 counts up from anywhere, 2 is random, 3 repeats 2 of the same frame."""
    rng = np.random.default_rng(seed)
    made: list[Item] = []
    for _ in range(count):
        length = int(rng.integers(20, 60))
        noise = rng.integers(0, 8, length)
        made.append([(np.arange(length) + rng.integers(16)) % 16, noise, noise])
    return made


def random_items(count: int, vocabularies: list[int], seed: int, length: int = 60) -> list[Item]:
    rng = np.random.default_rng(seed)
    return [[rng.integers(0, v, length) for v in vocabularies] for _ in range(count)]


def ids_in(items: list[Item]) -> Ids:
    return np.array([[len(s) for s in item] for item in items]).sum(axis=0)


# ----------------------------------------------------------------------------------- the network
@pytest.mark.parametrize("kind", LAYOUTS)
def test_untrained_it_is_uniform(kind: Any) -> None:
    three = streams(16, 5, 1)
    items = [*random_items(3, [16, 5, 1], 0), [np.empty(0, dtype=np.int64)] * 3]
    items += random_items(1, [16, 5, 1], 1, length=1)
    bits = SmallLM(kind(three), TINY).bits(items)
    np.testing.assert_allclose(bits, uniform(three, items), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_no_cell_sees_itself_or_what_comes_later(kind: Any) -> None:
    """Change one id: the likelihoods of all cells made before it, or with it, stay."""
    three = streams(7, 7, 7)
    model = SmallLM(kind(three), TINY)
    for head in model.network.heads:
        torch.nn.init.normal_(head.weight)
    model.network.eval()
    item = random_items(1, [7, 7, 7], 0, length=12)[0]
    changed = [s.copy() for s in item]
    changed[1][5] = (changed[1][5] + 1) % 7
    found = []
    for one in (item, changed):
        laid = model._lay(one)
        with torch.no_grad():
            found.append(model.network(*model._padded([laid]))[0].numpy())
    moved = np.abs(found[0] - found[1]) > 1e-6
    at = np.argwhere(model._lay(item).ids != model._lay(changed).ids)
    ((row, column),) = at
    assert moved[row, column]  # its own likelihood is another id's
    moved[row, column] = False
    assert not moved[:row].any()
    if kind is TemporalDepth:
        assert not moved[row, :column].any()
        assert moved[row, column + 1 :].all()
    else:
        assert not moved[row].any()
    assert moved[row + 1 :].any()


def test_padding_of_a_batch_changes_nothing() -> None:
    three = streams(16, 8, 8)
    for kind in LAYOUTS:
        model = SmallLM(kind(three), TINY).fit(counting(20, 0))
        items = counting(5, 1)
        alone = np.concatenate([model.bits([item]) for item in items])
        np.testing.assert_allclose(model.bits(items), alone, rtol=1e-4)


def test_the_body_has_a_fixed_size_of_one_to_two_million() -> None:
    def body(layout: Layout) -> int:
        network = SmallLM(layout).network
        tables = [network.embed, network.whose, *network.heads]
        counted = [network.tied, *(p for t in tables for p in t.parameters())]
        return sum(p.numel() for p in network.parameters()) - sum(p.numel() for p in counted)

    eight, one = streams(*[1024] * 8), streams(500)
    assert body(Flatten(eight)) == body(Flatten(one)) == body(Delay(eight))
    assert 0.7e6 < body(Flatten(one)) < body(TemporalDepth(eight)) < 1.3e6
    assert 0.7e6 < SmallLM(Flatten(one)).parameters < 2e6


# -------------------------------------------------------------------------------------- training
@pytest.mark.parametrize("kind", [Flatten, Delay, TemporalDepth])
def test_it_learns_what_its_layout_shows_and_no_more(kind: Any) -> None:
    three = streams(16, 8, 8)
    train, test = counting(150, 0), counting(30, 1)
    model = SmallLM(kind(three), replace(TINY, positions=60_000 if kind is Flatten else 25_000))
    bits = model.fit(train).bits(test).sum(axis=0) / ids_in(test)
    assert bits[0] < 0.6  # 4 bits once an utterance, then nothing
    assert bits[1] >= 2.98  # random: never under its entropy of 3
    assert bits[2] < 0.5  # known from stream 2, which all three layouts have made before
    assert model.history[-1][1] < model.history[0][1]


@pytest.mark.parametrize("kind", [Flatten, Delay, TemporalDepth])
def test_one_seed_gives_the_same_bits_and_another_one_others(kind: Any) -> None:
    three = streams(16, 8, 8)
    train, test = counting(30, 0), counting(10, 1)
    before = torch.random.get_rng_state()
    one = SmallLM(kind(three), TINY).fit(train).bits(test)
    torch.rand(3)  # what else draws random numbers changes nothing
    two = SmallLM(kind(three), TINY).fit(train).bits(test)
    np.testing.assert_array_equal(one, two)
    other = SmallLM(kind(three), replace(TINY, seed=1)).fit(train).bits(test)
    assert (one != other).all()
    torch.random.set_rng_state(before)


@pytest.mark.parametrize("kind", [Flatten, Delay, TemporalDepth])
def test_random_ids_are_never_predicted_below_their_entropy(kind: Any) -> None:
    two = streams(32, 4)
    train, test = random_items(60, [32, 4], 0), random_items(60, [32, 4], 1)
    entropy = []
    for k in range(2):
        counts = np.bincount(np.concatenate([item[k] for item in test]))
        shares = counts[counts > 0] / counts.sum()
        entropy.append(-(shares * np.log2(shares)).sum())
    for model in (SmallLM(kind(two), TINY), LaidNGram(kind(two), 1), LaidNGram(kind(two), 4)):
        bits = model.fit(train).bits(test).sum(axis=0) / ids_in(test)
        assert (bits >= entropy).all()


def test_long_items_are_read_in_windows_that_cover_every_id_once() -> None:
    one = streams(16)
    model = SmallLM(Flatten(one), TINY)
    items = random_items(2, [16], 0, length=500)  # context 64
    np.testing.assert_allclose(model.bits(items), 2000.0, rtol=1e-5)
    counted = [[(np.arange(500) + 3) % 16]]
    trained = SmallLM(Flatten(one), replace(TINY, positions=20_000))
    bits = trained.fit([[(np.arange(500) + n) % 16] for n in range(16)]).bits(counted)
    assert bits.sum() < 100


def test_streams_of_different_rates_are_flattened_and_predicted() -> None:
    snac = [Stream("a", 8, 12.0), Stream("b", 4, 24.0)]
    rng = np.random.default_rng(0)
    items: list[Item] = []
    for _ in range(40):
        slow = rng.integers(0, 4, 30)
        items.append([slow, np.repeat(slow, 2)])
    model = SmallLM(Flatten(snac), replace(TINY, positions=30_000)).fit(items[:30])
    bits = model.bits(items[30:]).sum(axis=0) / ids_in(items[30:])
    assert 1.95 < bits[0] < 2.5
    assert bits[1] < 0.3


def test_nothing_to_train_on_leaves_it_uniform() -> None:
    empty: list[Item] = [[np.empty(0, dtype=np.int64)]]
    for train in ([], empty):
        model = SmallLM(Flatten(streams(8)), TINY).fit(train)
        np.testing.assert_allclose(model.bits(random_items(1, [8], 0)), 180.0, rtol=1e-5)
    assert SmallLM(Flatten(streams(8)), TINY).bits([]).shape == (0, 1)


def test_layouts_of_several_models_are_refused() -> None:
    with pytest.raises(UserError, match="several models"):
        SmallLM(CoarseToFine(streams(8, 8)), TINY)


def test_each_stream_has_a_head_of_its_own_vocabulary() -> None:
    network = TokenNetwork([10, 3], "rows", TINY.shape)
    assert [h.weight.shape[0] for h in network.heads] == [10, 3]
    assert network.embed.weight.shape[0] == 10 + 1 + 3 + 1


# --------------------------------------------------------------------------------------- figures
def test_bits_a_second_over_all_streams_with_side_information() -> None:
    bits = np.array([[10.0, 20.0], [30.0, 40.0], [5.0, 5.0]])
    seconds = np.array([1.0, 2.0, 1.0])
    found = per_second(bits, seconds, ["a", "b", "c"], side_info_bits=2.0)
    assert found.value == pytest.approx((110 + 6) / 4)
    assert found.low < found.value < found.high
    assert by_stream(bits, seconds).tolist() == [45 / 4, 65 / 4]


def test_subsets_are_nested_and_hold_their_share() -> None:
    seconds = np.random.default_rng(0).uniform(1, 5, 100)
    half, whole = subset(seconds, 0.5, seed=3), subset(seconds, 1.0, seed=3)
    quarter = subset(seconds, 0.25, seed=3)
    assert whole.tolist() == list(range(100))
    assert set(quarter) < set(half)
    assert seconds[half].sum() / seconds.sum() == pytest.approx(0.5, abs=0.05)
    assert subset(seconds, 0.5, seed=4).tolist() != half.tolist()
    for wrong in (0.0, 1.1):
        with pytest.raises(UserError, match="share"):
            subset(seconds, wrong, seed=0)


def test_slope_is_for_each_doubling() -> None:
    assert slope((100.0, 500.0), (400.0, 420.0)) == pytest.approx(-40)
    assert np.isnan(slope((100.0, 500.0), (100.0, 500.0)))


# ----------------------------------------------------------------------------------------- pairs
def clip(name: str, speaker: str, first: int, count: int = 40, **more: Any) -> Clip:
    ids = np.arange(count) + first
    return Clip(name, (ids, ids * 2), count / 10, speaker, **more)


WORDS = (("one", 0.5, 1.0), ("two", 1.0, 1.5), ("two", 2.0, 2.4), ("three", 3.0, 3.5))


def test_shuffled_keeps_the_ids_of_each_segment_together() -> None:
    one = clip("u", "a", 0)
    made = shuffled(one)
    assert made is not None
    assert sorted(made[0]) == list(range(40))
    assert made[0].tolist() != list(range(40))
    np.testing.assert_array_equal(made[1], made[0] * 2)  # streams stay together
    assert (made[0].reshape(8, 5)[:, 0] % 5 == 0).all()  # 0.5 s = 5 ids
    np.testing.assert_array_equal(made[0], shuffled(one)[0])  # type: ignore[index]
    assert shuffled(clip("short", "a", 0, count=6)) is None


def test_the_middle_comes_from_another_speaker_of_the_group() -> None:
    one = clip("u", "a", 0)
    others = [
        one,
        clip("same", "a", 100),
        clip("other", "b", 200),
        clip("far", "c", 300, group="x"),
    ]
    made = other_middle(one, others)
    assert made is not None
    assert len(made[0]) == 40
    assert made[0][:13].tolist() == list(range(13))
    assert made[0][27:].tolist() == list(range(27, 40))
    assert (made[0][13:27] >= 200).all()
    assert (made[0][13:27] < 300).all()
    np.testing.assert_array_equal(made[1], made[0] * 2)
    assert other_middle(one, [one, clip("brief", "b", 0, count=5)]) is None


def test_two_different_words_change_places() -> None:
    one = clip("u", "a", 0, words=WORDS)
    seen = set()
    for seed in range(40):
        made = swapped_words(one, seed)
        assert made is not None
        assert sorted(made[0]) == list(range(40))
        np.testing.assert_array_equal(made[1], made[0] * 2)
        seen.add(tuple(made[0]))
    assert len(seen) == 5  # every pair but two-two
    first = [*range(5), *range(10, 15), *range(5, 10), *range(15, 40)]
    assert tuple(first) in seen
    assert swapped_words(clip("u", "a", 0)) is None
    assert swapped_words(clip("u", "a", 0, words=WORDS[1:3])) is None


def test_ties_count_a_half() -> None:
    good, bad = np.array([1.0, 2.0, 3.0, 0.0]), np.array([2.0, 2.0, 1.0, 0.0])
    assert preferred(good, bad).tolist() == [1.0, 0.5, 0.0, 0.5]
    found = share(preferred(good, bad), ["a", "b", "c", "d"])
    assert found.value == 0.5
    assert found.low < 0.5 < found.high


def test_a_model_of_order_prefers_the_real_order_and_a_unigram_is_undecided() -> None:
    rng = np.random.default_rng(0)

    def real(n: int, speaker: str) -> Clip:
        ids = (np.arange(60) + rng.integers(16)) % 16
        return Clip(f"u{n}", (ids,), 3.0, speaker, words=(("a", 0.5, 1.0), ("b", 1.55, 2.25)))

    clips = [real(n, f"s{n % 7}") for n in range(60)]
    train, test = clips[:40], clips[40:]
    layout = Flatten(streams(16))
    order = LaidNGram(layout, 2).fit([c.streams for c in train])
    unigram = LaidNGram(layout, 1).fit([c.streams for c in train])
    made = spoiled(test)
    assert {kind: len(pairs) for kind, pairs in made.items()} == {
        "shuffled": 20,
        "middle": 20,
        "words": 20,
    }
    for kind, pairs in made.items():
        good, bad = [test[i].streams for i, _ in pairs], [item for _, item in pairs]
        assert judged(order, good, bad).mean() > 0.85, kind
    pairs = made["shuffled"]
    good, bad = [test[i].streams for i, _ in pairs], [item for _, item in pairs]
    assert judged(unigram, good, bad).tolist() == [0.5] * 20


def test_pairs_of_a_suite_are_read() -> None:
    rows = [
        {"utterance": "b", "pair": "2", "good": "false"},
        {"utterance": "a", "pair": "2", "good": "true"},
        {"utterance": "c", "pair": "1", "good": 1},
        {"utterance": "d", "pair": "1", "good": 0},
        {"utterance": "e", "pair": None, "good": None},
        {"utterance": "f", "pair": float("nan"), "good": None},
        {"utterance": "g"},
    ]
    assert listed(rows) == [("1", "c", "d"), ("2", "a", "b")]
    with pytest.raises(UserError, match="1 good and 0 bad"):
        listed(rows[1:])
    with pytest.raises(UserError, match="write true or false"):
        listed([{"utterance": "x", "pair": "1", "good": "maybe"}])
