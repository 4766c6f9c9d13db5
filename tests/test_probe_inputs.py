"""Ids and features become frames of 20 ms, whatever their rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from bench.contracts import Stream, Tokens
from bench.probing import inputs
from bench.probing.inputs import Layout, Source, Timed, framed, lack_of, of_features, spread
from bench.probing.packing import Order, in_order


def of_tokens(
    ids: Sequence[Timed],
    streams: Sequence[Stream],
    layout: Layout,
    train: np.ndarray,
    books: Sequence[np.ndarray] | None = None,
) -> Source:
    items = [inputs.spelt(x, streams, int(n)) for x, n in zip(ids, layout.counts, strict=True)]
    return inputs.of_tokens(items, streams, layout, train, books)


def matrix(source: inputs.Source) -> np.ndarray:
    """The source as a dense matrix [frames, rows]."""
    if source.dense is not None:
        return source.dense
    assert source.ids is not None and source.weights is not None
    made = np.zeros((len(source.ids), source.rows + 1), np.float32)
    np.add.at(made, (np.arange(len(made))[:, None], source.ids), source.weights)
    return made[:, :-1]


def test_fast_ids_are_averaged_and_slow_ones_last() -> None:
    frame, position = spread(np.arange(6), 150.0, 2)
    assert sorted(zip(frame.tolist(), position.tolist(), strict=True)) == [
        (0, 0), (0, 1), (0, 2), (1, 3), (1, 4), (1, 5),
    ]  # fmt: skip
    frame, position = spread(np.arange(2), 12.5, 10)
    of = dict(zip(frame.tolist(), position.tolist(), strict=True))
    assert of == {**dict.fromkeys(range(4), 0), **dict.fromkeys(range(4, 8), 1)}, (
        "none past the end"
    )


@pytest.mark.parametrize("rate", [7.3, 12.5, 50.0, 75.0, 86.13, 16_000.0])
def test_every_frame_of_every_rate_weighs_one(rate: float) -> None:
    rng = np.random.default_rng(0)
    layout = Layout.of([1.0, 0.33])
    ids = [[(rng.integers(5, size=round(s * rate + 0.5)), rate)] for s in (1.0, 0.33)]
    source = of_tokens(ids, (Stream("a", 5, rate),), layout, np.array([0, 1]))
    np.testing.assert_allclose(matrix(source).sum(axis=1), 1.0, rtol=1e-5)


def test_bags_hold_what_a_dense_matrix_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    layout = Layout.of([0.5, 0.7, 0.4])
    streams = (Stream("a", 9, 75.0), Stream("b", 6, 25.0))
    ids = [[(rng.integers(s.vocabulary, size=int(t * s.rate)), s.rate or 0.0) for s in streams]
           for t in (0.5, 0.7, 0.4)]  # fmt: skip
    train = np.array([0, 1, 2])
    dense = of_tokens(ids, streams, layout, train)
    monkeypatch.setattr(inputs, "DENSE_ROWS", 0)
    bags = of_tokens(ids, streams, layout, train)
    assert dense.dense is not None and bags.dense is None
    np.testing.assert_allclose(matrix(bags), matrix(dense), atol=1e-6)
    np.testing.assert_allclose(
        bags.pooled(layout).dense,
        dense.pooled(layout).dense,
        atol=1e-6,  # type: ignore[arg-type]
    )
    assert (dense.stream == (dense.names >= 9)).all(), "rows know their stream"


def test_an_id_that_training_lacks_has_no_row() -> None:
    layout = Layout.of([0.06, 0.06])
    ids = [[(np.array([3, 5, 3]), 50.0)], [(np.array([5, 7, 3]), 50.0)]]
    source = of_tokens(ids, (Stream("a", 8, 50.0),), layout, np.array([0]))
    assert source.names is not None and source.names.tolist() == [3, 5]
    assert matrix(source)[3:].tolist() == [[0, 1], [0, 0], [1, 0]]


def test_code_vectors_go_with_their_rows() -> None:
    books = [np.arange(8, dtype=np.float32)[:, None] * 10, np.arange(4, dtype=np.float32)[:, None]]
    layout = Layout.of([0.04])
    ids = [[(np.array([6, 2]), 50.0), (np.array([1, 3]), 50.0)]]
    streams = (Stream("a", 8, 50.0), Stream("b", 4, 50.0))
    source = of_tokens(ids, streams, layout, np.array([0]), books)
    assert source.codes is not None
    assert [b.ravel().tolist() for b in source.codes] == [[20.0, 60.0], [1.0, 3.0]]


def test_features_are_standardised_by_training_items_alone() -> None:
    layout = Layout.of([0.1, 0.1])
    a, b = np.arange(10, dtype=np.float32)[:, None], np.full((10, 1), 100, np.float32)
    source = of_features([framed(a, 5), framed(b, 5)], layout, np.array([0]))
    assert source.dense is not None
    assert source.dense[:5].mean() == pytest.approx(0, abs=1e-6)
    assert source.dense[:5].std() == pytest.approx(1, abs=1e-5)
    assert source.dense[5:].min() > 10


def test_framed_features_are_means() -> None:
    assert framed(np.array([[1.0], [3.0], [5.0], [7.0]], np.float32), 2).ravel().tolist() == [2, 6]
    assert framed(np.zeros((0, 3), np.float32), 2).shape == (2, 3)


def test_shuffling_moves_frames_within_their_item_alone() -> None:
    layout = Layout.of([0.2, 0.3])
    order = layout.shuffled(0)
    assert sorted(order[:10].tolist()) == list(range(10)) != order[:10].tolist()
    assert sorted(order[10:].tolist()) == list(range(10, 25))


def test_packs_hold_every_frame_once_and_keep_neighbours_apart() -> None:
    layout = Layout.of([0.1, 0.34, 0.5, 0.06])
    for packed in in_order(layout, np.arange(4), 48, 100):
        for item, start, count in zip(packed.items, packed.starts, packed.counts, strict=True):
            own = packed.frames[start : start + count]
            assert own.tolist() == list(range(layout.starts[item], layout.starts[item] + count))
            assert start % 4 == 0
            assert (packed.frames[start + count : start + count + 4] == -1).all()
    seen = np.concatenate([p.items for p in in_order(layout, np.arange(4), 48, 100)])
    assert sorted(seen.tolist()) == [0, 1, 2, 3]


def test_training_sees_every_utterance_once_an_epoch_in_an_order_of_its_own() -> None:
    layout = Layout.of([0.1] * 12)
    orders = []
    for seed in (0, 1, 0):
        order = Order(layout, np.arange(12), 64, seed, None, 4)
        orders.append(np.concatenate([order.step().items for _ in range(3)]).tolist())
    assert sorted(orders[0]) == list(range(12))
    assert orders[0] == orders[2] != orders[1]


def test_items_without_sound_ids_are_told() -> None:
    streams = (Stream("a", 4, 50.0), Stream("b", 4, 50.0))
    none, some = np.zeros(0, np.int64), np.array([1, 3])
    assert lack_of(Tokens((none, none)), streams) == "it has no tokens"
    assert lack_of(Tokens((some, none)), streams) is None
    told = lack_of(Tokens((some, np.array([0, 4]))), streams)
    assert told == "stream 'b' has the id 4, but a declared vocabulary of 4"
    assert lack_of(Tokens((np.array([-1]), some)), streams) is not None
