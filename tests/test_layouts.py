"""Layouts are exact inverses, cost what the papers say, and refuse what they cannot hold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.contracts import Ids, Stream
from bench.errors import UserError
from bench.layouts import (
    LAYOUTS,
    ArNar,
    CoarseToFine,
    Delay,
    Flatten,
    Layout,
    ModelSequence,
    Parallel,
    Part,
    TemporalDepth,
    TextAligned,
    suited,
)
from bench.layouts.hybrid import (
    EPSILON,
    HYBRIDS,
    NONE,
    AsAligned,
    AtOnce,
    FixedChunks,
    FixedWait,
    OneToOne,
    Spoken,
    TextThenSpeech,
    Word,
    WordByWord,
)

shapes = st.tuples(st.integers(1, 6), st.integers(0, 40), st.integers(1, 50), st.integers(0, 9))


def books(count: int, vocabulary: int = 1024, rate: float | None = 50.0) -> list[Stream]:
    return [Stream(f"q{k + 1}", vocabulary, rate) for k in range(count)]


def random_ids(streams: list[Stream], lengths: list[int], seed: int) -> list[Ids]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, s.vocabulary, n) for s, n in zip(streams, lengths, strict=True)]


def returns(layout: Layout, ids: list[Ids]) -> ModelSequence:
    """Encode, decode, compare; every id lies in its column's vocabulary."""
    made = layout.encode(ids)
    for part in made.parts:
        assert (part.ids >= 0).all()
        assert (part.ids < np.array(part.vocabularies)).all()
    back = layout.decode(made)
    assert len(back) == len(ids)
    for one, other in zip(ids, back, strict=True):
        np.testing.assert_array_equal(one, other)
    return made


# --------------------------------------------------------------------------------- round trips
@pytest.mark.parametrize("kind", [Flatten, CoarseToFine, ArNar, Delay, Parallel, TemporalDepth])
@settings(max_examples=60, deadline=None)
@given(shape=shapes)
def test_streams_of_one_rate_return(kind: Any, shape: tuple[int, int, int, int]) -> None:
    count, frames, vocabulary, seed = shape
    streams = [Stream(f"q{k}", vocabulary + k, 12.5) for k in range(count)]
    made = returns(kind(streams), random_ids(streams, [frames] * count, seed))
    if kind is not Delay:  # nothing but ids of streams is in the others
        assert sum(part.ids.size for part in made.parts) == count * frames


@settings(max_examples=60, deadline=None)
@given(shape=shapes, delays=st.lists(st.integers(0, 5), min_size=6, max_size=6))
def test_any_delays_return(shape: tuple[int, int, int, int], delays: list[int]) -> None:
    count, frames, vocabulary, seed = shape
    chosen = [d - min(delays[:count]) for d in delays[:count]]
    streams = books(count, vocabulary)
    made = returns(Delay(streams, chosen), random_ids(streams, [frames] * count, seed))
    assert len(made.parts[0].ids) == (frames + max(chosen) if frames else 0)


@settings(max_examples=60, deadline=None)
@given(
    rates=st.lists(st.sampled_from([12.5, 25.0, 50.0, 75.0, 40.9]), min_size=1, max_size=5),
    lengths=st.lists(st.integers(0, 30), min_size=5, max_size=5),
    seed=st.integers(0, 9),
)
def test_flatten_returns_streams_of_different_rates(
    rates: list[float], lengths: list[int], seed: int
) -> None:
    streams = [Stream(f"q{k}", 7 + k, rate) for k, rate in enumerate(rates)]
    if len(set(rates)) == 1:
        lengths = [lengths[0]] * 5
    returns(Flatten(streams), random_ids(streams, lengths[: len(rates)], seed))


@settings(max_examples=40, deadline=None)
@given(
    counts=st.tuples(st.integers(0, 2), st.integers(1, 5)),
    frames=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    coarse=st.integers(1, 5),
)
def test_coarse_to_fine_returns_with_semantic_ids_of_another_rate(
    counts: tuple[int, int], frames: tuple[int, int], coarse: int
) -> None:
    semantic, acoustic = counts
    streams = books(semantic, 500, 25.0) + books(acoustic, 1024, 50.0)
    layout = CoarseToFine(streams, coarse=min(coarse, acoustic), semantic=semantic)
    lengths = [frames[0]] * semantic + [frames[1]] * acoustic
    returns(layout, random_ids(streams, lengths, seed=1))


@settings(max_examples=30, deadline=None)
@given(shape=shapes)
def test_text_aligned_returns(shape: tuple[int, int, int, int]) -> None:
    count, frames, vocabulary, seed = shape
    streams = [Stream("text", 30_000), *books(count, vocabulary, None)]
    returns(TextAligned(streams), random_ids(streams, [frames] * (count + 1), seed))


# -------------------------------------------------------------------------------- known tables
def test_musicgens_delay_of_four_books() -> None:
    """Four books, five frames: the table of MusicGen's figure 1 and audiocraft's docstring."""
    ids = [np.array([10, 11, 12, 13, 14]) + 10 * k for k in range(4)]
    (part,) = Delay(books(4, 100)).encode(ids).parts
    p = 100  # padding: the id after the vocabulary
    assert part.vocabularies == (101,) * 4
    assert part.ids.T.tolist() == [
        [10, 11, 12, 13, 14, p, p, p],
        [p, 20, 21, 22, 23, 24, p, p],
        [p, p, 30, 31, 32, 33, 34, p],
        [p, p, p, 40, 41, 42, 43, 44],
    ]


def test_musicgens_delay_is_that_of_transformers() -> None:
    """The same rows as the published generation code builds, read from its own function."""
    pytest.importorskip("transformers")
    from bench.compat import ensure_torchaudio

    ensure_torchaudio()
    import torch
    from transformers import MusicgenForCausalLM

    config = type("Config", (), {"audio_channels": 1, "num_codebooks": 4})
    model = type("Model", (), {"num_codebooks": 4, "config": config})
    ids = [np.arange(8) + 10 * k for k in range(4)]
    (part,) = Delay(books(4, 100)).encode(ids).parts
    build = MusicgenForCausalLM.build_delay_pattern_mask
    # Its rows begin with the start token, hence a length of 1 + T + K − 1.
    given_ids = torch.tensor(np.stack(ids))
    given_ids = torch.cat([torch.full((4, 1), 100), given_ids], dim=1)
    _, pattern = build(model, given_ids, pad_token_id=100, max_length=8 + 4)
    ours = np.concatenate([np.full((1, 4), 100), part.ids]).T
    np.testing.assert_array_equal(pattern.numpy(), ours)


def test_flatten_goes_frame_after_frame_with_a_range_of_ids_for_each_stream() -> None:
    streams = [Stream("a", 10, 50.0), Stream("b", 20, 50.0), Stream("c", 5, 50.0)]
    (part,) = Flatten(streams).encode([np.array([1, 2]), np.array([3, 4]), np.array([0, 4])]).parts
    assert part.ids[:, 0].tolist() == [1, 13, 30, 2, 14, 34]
    assert part.vocabularies == (35,)


def test_flatten_merges_rates_of_1_2_4_as_snac_models_do() -> None:
    streams = [Stream(f"q{r}", 100, 12.0 * r) for r in (1, 2, 4)]
    (places,) = Flatten(streams).places([2, 4, 8])
    assert (places.stream[:, 0] + 1).tolist() == [1, 2, 3, 3, 2, 3, 3] * 2
    assert places.index[:7, 0].tolist() == [0, 0, 0, 1, 1, 2, 3]


def test_coarse_to_fine_goes_in_three_sequences() -> None:
    streams = [Stream("semantic", 500, 25.0), *books(3, 8)]
    layout = CoarseToFine(streams, coarse=2, semantic=1)
    ids = [np.array([400]), np.array([1, 2]), np.array([3, 4]), np.array([5, 6])]
    parts = layout.encode(ids).parts
    assert [(p.name, p.ids[:, 0].tolist(), p.vocabularies) for p in parts] == [
        ("semantic", [400], (500,)),
        ("coarse", [1, 11, 2, 12], (16,)),
        ("fine", [5, 6], (8,)),
    ]


# --------------------------------------------------------------------------------- arithmetic
def test_steps_a_second_and_contexts_of_a_dialogue() -> None:
    """EnCodec K = 8: 600 flat, 75 delayed; Mimi K = 8: 100 flat, 12.5, 30,000 in five minutes."""
    encodec, mimi, units = books(8, 1024, 75.0), books(8, 2048, 12.5), books(1, 500, 50.0)
    assert Flatten(encodec).cost(1).large_steps == 600
    assert Delay(encodec).cost(1).large_steps == 75 + 7
    assert Delay(encodec).cost(300).large_steps == 75 * 300 + 7
    assert Flatten(mimi).cost(1).large_steps == 100
    assert Parallel(mimi).cost(1).large_steps == 12.5
    assert all(kind(units).cost(1).large_steps == 50 for kind in (Flatten, Delay, TemporalDepth))
    dialogue = Flatten(mimi).cost(300)
    assert dialogue.sequence_length == 30_000
    assert [dialogue.fits(c) for c in (4096, 8192, 32768)] == [False, False, True]
    assert [Delay(mimi).cost(300).fits(c) for c in (4096, 8192)] == [True, True]
    depth = TemporalDepth(mimi).cost(2)
    assert (depth.large_steps, depth.small_steps, depth.heads) == (25, 200, 1)


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 8), rate=st.sampled_from([12.5, 50.0, 75.0]), seconds=st.integers(1, 30)
)
def test_the_table_of_costs(count: int, rate: float, seconds: int) -> None:
    streams, frames = books(count, 1024, rate), rate * seconds
    coarse = (count + 1) // 2
    flat = Flatten(streams).cost(seconds)
    assert (flat.sequence_length, flat.large_steps) == (count * frames,) * 2
    fine = CoarseToFine(streams).cost(seconds)
    assert fine.large_steps == count * frames
    assert fine.sequence_length == count * frames  # the fine model also reads the coarse ids
    assert fine.first_audio_frames == (frames if count > coarse else 1)
    nar = ArNar(streams).cost(seconds)
    assert (nar.large_steps, nar.passes) == (frames, count - 1)
    delayed = Delay(streams).cost(seconds)
    assert delayed.sequence_length == frames + count - 1
    assert (delayed.heads, delayed.first_audio_frames) == (count, count)
    assert Parallel(streams).cost(seconds).heads == count
    assert TemporalDepth(streams).cost(seconds).small_steps == count * frames


def test_semantic_ids_count_in_the_coarse_models_context() -> None:
    streams = [Stream("semantic", 500, 25.0), *books(4, 1024, 50.0)]
    cost = CoarseToFine(streams, coarse=3, semantic=1).cost(2)
    assert cost.large_steps == 50 + 300 + 100
    assert cost.sequence_length == 400  # coarse + fine
    assert cost.first_audio_frames == 50


@pytest.mark.parametrize("kind", [Flatten, Delay, Parallel, TemporalDepth, ArNar, CoarseToFine])
def test_whole_seconds_cost_as_many_rows_as_encoding_makes(kind: Any) -> None:
    streams = books(3, 16, 25.0)
    layout = kind(streams)
    made = layout.encode(random_ids(streams, [50] * 3, seed=0))
    cost = layout.cost(2)
    autoregressive = made.parts[:1] if kind is ArNar else made.parts
    assert cost.large_steps == sum(len(p.ids) for p in autoregressive)


def test_text_aligned_costs_what_the_measured_rate_says() -> None:
    layout = TextAligned([Stream("text", 100), Stream("s1", 512), Stream("s2", 512)])
    cost = layout.cost(300, rates=[3.1] * 3)
    assert (cost.large_steps, cost.heads) == (pytest.approx(930), 3)
    with pytest.raises(UserError, match="no fixed rate"):
        layout.cost(300)


# ---------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize("kind", [ArNar, Delay, Parallel, TemporalDepth, CoarseToFine])
def test_streams_of_different_rates_are_refused_where_the_layout_defines_none(kind: Any) -> None:
    with pytest.raises(UserError, match="one rate"):
        kind([Stream("a", 8, 12.5), Stream("b", 8, 25.0)])


def test_suited_tells_why_a_layout_does_not_suit() -> None:
    found = suited([Stream("a", 8, 12.5), Stream("b", 8, 25.0)])
    assert list(found) == [kind.name for kind in LAYOUTS]
    assert isinstance(found["flatten"], Flatten)
    assert "one rate" in str(found["delay"])
    assert "follow the text" in str(suited(books(2))["text-aligned"])
    taste = suited([Stream("text", 8), Stream("a", 8)])
    assert isinstance(taste["text-aligned"], TextAligned)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Flatten([]), "no streams"),
        (lambda: Flatten(books(1, 0)), "vocabulary of 0"),
        (lambda: Flatten([Stream("a", 8, 12.5), Stream("b", 8)]), "one rate"),
        (lambda: Delay(books(2), [1, 2]), "smallest of them 0"),
        (lambda: Delay(books(2), [0]), "give 2 whole"),
        (lambda: CoarseToFine(books(2), coarse=3), "coarse=3"),
        (lambda: CoarseToFine(books(2), coarse=0), "coarse=0"),
        (lambda: CoarseToFine(books(2), semantic=3), "semantic=3"),
        (lambda: Flatten(books(2)).cost(0), "more than 0"),
        (lambda: Flatten(books(2)).cost(math.nan), "more than 0"),
        (lambda: Flatten(books(2)).cost(1, rates=[1.0]), "1 rates for 2"),
        (lambda: Flatten(books(2)).encode([np.arange(3)]), "1 streams"),
        (lambda: Flatten(books(2)).encode([np.arange(3), np.arange(4)]), "one length"),
        (lambda: Delay(books(2)).encode([np.arange(3), np.arange(4)]), "one length"),
        (lambda: Flatten(books(1, 3)).encode([np.arange(4)]), "outside"),
        (lambda: Flatten(books(1)).encode([-np.arange(4)]), "outside"),
        (lambda: Flatten(books(1)).encode([np.arange(4.0)]), "not integers"),
    ],
)
def test_mistakes_are_told(make: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0, 9]], "outside"),
        ([[8, 8], [8, 1]], "one length, not 0, 1"),
        ([[8, 0], [1, 8]], "no sequence of the layout"),
        ([[0]], "columns"),
    ],
)
def test_rows_that_no_utterance_gives_are_refused(rows: list[list[int]], message: str) -> None:
    part = Part("rows", np.array(rows), (9, 9))
    with pytest.raises(UserError, match=message):
        Delay(books(2, 8)).decode(ModelSequence((part,)))


def test_a_flat_sequence_out_of_turn_is_refused() -> None:
    part = Part("all", np.array([[0], [1], [9], [9]]), (16,))
    with pytest.raises(UserError, match="no sequence of the layout"):
        Flatten(books(2, 8)).decode(ModelSequence((part,)))
    with pytest.raises(UserError, match="1 sequences, not 0"):
        Flatten(books(2, 8)).decode(ModelSequence(()))


# ----------------------------------------------------------------------------- text and speech
def spoken(words: list[tuple[float, float, list[int]]], frames: int, rate: float) -> Spoken:
    speech = np.stack([np.arange(frames), np.arange(frames) + 500], axis=1)
    return Spoken(tuple(Word(a, b, np.array(i)) for a, b, i in words), speech, rate)


HELLO = spoken([(0.4, 0.8, [1, 2]), (0.8, 1.2, [3]), (1.6, 2.0, [4, 5, 6])], 20, 10.0)


@settings(max_examples=80, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 5), max_size=8),
    gaps=st.lists(st.floats(0, 1), min_size=8, max_size=8),
    frames=st.integers(0, 60),
    rate=st.sampled_from([1.0, 12.5, 50.0]),
    wait=st.integers(0, 9),
)
def test_text_and_speech_return(
    sizes: list[int], gaps: list[float], frames: int, rate: float, wait: int
) -> None:
    words, now = [], 0.0
    for n, size in enumerate(sizes):
        now += gaps[n]
        words.append((now, now + 0.1, [n * 10 + i for i in range(size)]))
    item = spoken(words, frames, rate)
    for layout in (
        TextThenSpeech(),
        WordByWord(),
        FixedChunks(),
        FixedChunks(wait + 1, 3),
        AtOnce(wait),
        FixedWait(),
        AsAligned(),
        AsAligned(wait),
    ):
        mixed = layout.encode(item)
        text, speech = layout.decode(mixed)
        np.testing.assert_array_equal(text, item.text())
        np.testing.assert_array_equal(speech, item.speech)
        cost = layout.cost(item)
        assert (cost.text_ids, cost.speech_rows) == (sum(sizes), frames)
        assert 0 <= cost.padding <= 1
        one_channel = bool(((mixed.text == NONE) ^ (mixed.speech[:, 0] == NONE)).all())
        if isinstance(layout, TextThenSpeech | WordByWord | FixedChunks):
            assert one_channel
            assert (cost.length, cost.padding) == (sum(sizes) + frames, 0)
        else:
            assert not (mixed.text == NONE).any()
            assert not (mixed.speech == NONE).any()


def channels(layout: Any, item: Spoken = HELLO) -> str:
    """The sequence as text: ids of text as letters, rows of speech as `s`, ε as `_`, both `a/s`."""
    mixed = layout.encode(item)
    told = []
    for text, row in zip(mixed.text, mixed.speech[:, 0], strict=True):
        cells = [
            {EPSILON: "_", NONE: ""}.get(int(text), chr(96 + int(text))),
            {EPSILON: "_", NONE: ""}.get(int(row), "s"),
        ]
        told.append("/".join(cells) if all(cells) else "".join(cells))
    return " ".join(told)


def test_each_hybrid_on_one_utterance() -> None:
    assert channels(TextThenSpeech()) == "a b c d e f " + " ".join("s" * 20)
    assert channels(WordByWord()) == " ".join("ab" + "s" * 8 + "c" + "s" * 8 + "def" + "s" * 4)
    assert channels(FixedChunks(2, 5)) == " ".join(
        "ab" + "sssss" + "cd" + "sssss" + "ef" + "s" * 10
    )
    assert channels(AtOnce(1)) == "a/_ b/s c/s d/s e/s f/s" + " _/s" * 15
    assert channels(FixedWait(3)) == "a/_ b/_ c/_ d/s e/s f/s" + " _/s" * 17
    assert channels(AsAligned()) == (
        "_/s _/s _/s _/s a/s b/s _/s _/s c/s" + " _/s" * 7 + " d/s e/s f/s _/s"
    )


def test_a_word_pushes_the_next_one_and_text_may_outlast_the_speech() -> None:
    item = spoken([(0.0, 0.1, [1, 2, 3]), (0.1, 0.2, [4, 5])], 3, 10.0)
    assert channels(AsAligned(), item) == "a/s b/s c/s d/_ e/_"
    assert channels(AtOnce(1), item) == "a/_ b/s c/s d/s e/_"


def test_how_long_a_listener_waits_and_what_is_padding() -> None:
    waits = {layout.name: layout.cost(HELLO).wait for layout in (TextThenSpeech(), WordByWord())}
    assert waits == {"text-then-speech": 7, "word-by-word": 3}
    assert FixedChunks(2, 5).cost(HELLO).wait == 3
    assert FixedChunks().cost(HELLO).wait == 7  # six text ids, then speech
    assert AtOnce(1).cost(HELLO).wait == 2
    assert FixedWait(3).cost(HELLO).wait == 4
    aligned = AsAligned().cost(HELLO)
    assert (aligned.wait, aligned.lead) == (1, 0.4)
    assert aligned.padding == pytest.approx(14 / 40)
    assert AtOnce(1).cost(HELLO).padding == pytest.approx((15 + 1) / 42)


def test_taste_is_one_to_one() -> None:
    item = spoken([(0, 1, [1, 2]), (1, 2, [3])], 3, 1.5)
    cost = OneToOne().cost(item)
    assert (cost.length, cost.padding, cost.wait) == (3, 0, 1)
    text, speech = OneToOne().decode(OneToOne().encode(item))
    np.testing.assert_array_equal(text, item.text())
    np.testing.assert_array_equal(speech, item.speech)
    with pytest.raises(UserError, match="20 rows for 6 ids"):
        OneToOne().encode(HELLO)


def test_an_utterance_without_words_or_speech_is_laid_out_too() -> None:
    for item in (spoken([], 4, 10.0), spoken([(0, 1, [1])], 0, 10.0), spoken([], 0, 10.0)):
        for kind in HYBRIDS:
            if kind is not OneToOne:
                text, speech = kind().decode(kind().encode(item))
                assert (len(text), len(speech)) == (len(item.text()), len(item.speech))
                assert kind().cost(item).wait <= len(item.text()) + 4


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (Spoken((), np.arange(3), 10.0), r"\[T, K\]"),
        (Spoken((), np.zeros((3, 1), dtype=np.int64), 0.0), "positive rate"),
        (Spoken((), -np.ones((3, 1), dtype=np.int64), 1.0), "negative"),
        (spoken([(1, 2, [1]), (0, 1, [2])], 3, 1.0), "in order"),
    ],
)
def test_items_that_make_no_sense_are_refused(item: Spoken, message: str) -> None:
    with pytest.raises(UserError, match=message):
        WordByWord().encode(item)


def test_options_of_hybrids_are_checked() -> None:
    for make in (lambda: FixedChunks(0, 1), lambda: AtOnce(-1), lambda: AsAligned(-1)):
        with pytest.raises(UserError, match="give"):
            make()
