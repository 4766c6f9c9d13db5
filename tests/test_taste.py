"""The parts of `taste`: text to phones, times, attention, the detokenizer."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import ItemFailure, UserError
from bench.nn.taste import Text
from bench.nn.taste_listen import HOP, SILENCE, best_path, log_mels
from bench.nn.taste_spelling import LEXICON, Speller, load_pronouncer
from bench.nn.taste_text import (
    NUMBER,
    PHONES,
    SLOTS,
    Pronouncer,
    number_words,
    read_lexicon,
    script,
    slot_of,
    spoken_words,
    write_lexicon,
)
from bench.nn.taste_times import fine_frames, lay_out, lengths_of, spread
from tests.taste_kit import CONFIG, WORDS, network, write

PRONOUNCER = Pronouncer(WORDS, lambda word: ())
SENTENCE = "Please enter your agent number, the pound key."


def sentence() -> list[object]:
    return list(PRONOUNCER.words(SENTENCE.split()))


# ---------------------------------------------------------------------------------------- text
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "zero"), (13, "thirteen"), (40, "forty"), (99, "ninety nine"), (100, "one hundred"),
        (405, "four hundred five"), (1250, "one thousand two hundred fifty"),
        (2_000_001, "two million one"), (10**11, "one hundred billion"),
    ],
)  # fmt: skip
def test_numbers_are_read(value: int, words: str) -> None:
    assert " ".join(number_words(value)) == words


@pytest.mark.parametrize(
    ("chunk", "words"),
    [
        ("Hello,", "hello"), ("don’t", "don't"), ("(1,250)", "one thousand two hundred fifty"),
        ("3.14", "three point one four"), ("2nd", "second"), ("20th", "twentieth"),
        ("21st", "twenty first"), ("0800", "zero eight zero zero"), ("50%", "fifty percent"),
        ("café", "cafe"), ("R&B", "r and b"), ("call-forward", "call forward"), ("--", ""),
        ("'", ""), ("0123456", "zero one two three four five six"),
    ],
)  # fmt: skip
def test_what_stands_between_spaces_is_read(chunk: str, words: str) -> None:
    assert " ".join(spoken_words(chunk)) == words


@pytest.mark.parametrize(
    ("chunk", "slot"),
    [
        ("key.", "."),
        ("key", "<none>"),
        ('"key!"', "."),
        ("key,", ","),
        ("key?)", "?"),
        ("so…", "."),
    ],
)
def test_punctuation_tells_the_pause(chunk: str, slot: str) -> None:
    assert slot_of(chunk) == NUMBER[slot]


def test_what_has_no_sound_goes_to_a_neighbour_and_no_token_is_lost() -> None:
    words = PRONOUNCER.words(["-", "the", "—", "key", "??"], [1, 2, 1, 3, 2])
    assert [word.units for word in words] == [4, 5]
    assert words[1].slot == NUMBER["?"]
    assert PRONOUNCER.words(["-", "..."]) == []


def test_a_lexicon_comes_back_the_same(tmp_path: object) -> None:
    path = tmp_path / LEXICON  # type: ignore[operator]
    write_lexicon(path, WORDS)
    first = path.read_bytes()
    assert read_lexicon(path) == WORDS
    write_lexicon(path, read_lexicon(path))
    assert path.read_bytes() == first


def test_the_speller_reads_each_word_alone_as_in_a_batch() -> None:
    torch.manual_seed(0)
    speller = Speller().eval()
    letters = torch.tensor([[3, 1, 20, 0, 0, 0], [1, 2, 3, 4, 5, 6]])
    with torch.inference_mode():
        both, alone = speller(letters), speller(letters[:1, :3])
    torch.testing.assert_close(both[:1, :6], alone)
    assert all(len(SLOTS) <= p < len(SLOTS) + len(PHONES) for p in speller.spell("xylograph"))
    assert speller.spell("—") == ()


@pytest.mark.parametrize("damage", ["lexicon", "spelling", "text"])
def test_a_checkpoint_that_lacks_words_is_told(tmp_path: object, damage: str) -> None:
    folder = write(tmp_path)  # type: ignore[arg-type]
    if damage == "lexicon":
        (folder / LEXICON).unlink()
    elif damage == "text":
        (folder / LEXICON).write_bytes(b"no gzip")
    else:
        (folder / "spelling" / "model.safetensors").unlink()
    with pytest.raises(UserError, match="bench train"):
        load_pronouncer(folder)


# --------------------------------------------------------------------------------------- times
def test_the_best_path_follows_what_is_heard() -> None:
    text = script(PRONOUNCER.words(["a", "cat"]))  # slot AH slot K AE T slot
    wanted = [2, 3, 0, 2, 4, 1, 2]
    scores = np.full((sum(wanted), len(PHONES) + 1), -10.0, dtype=np.float32)
    at = np.repeat(np.arange(len(wanted)), wanted)
    column = np.where(text.slot, SILENCE, text.symbols - len(SLOTS))
    scores[np.arange(len(at)), column[at]] = 0
    np.testing.assert_array_equal(best_path(scores, text), wanted)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_every_phone_gets_a_frame_and_every_frame_a_symbol(seed: int, more: int) -> None:
    text = script(PRONOUNCER.words(["please", "the", "key"]))
    phones = int((~text.slot).sum())
    scores = np.random.default_rng(seed).normal(size=(phones + more, SILENCE + 1))
    pace = best_path(scores.astype(np.float32), text)
    assert pace.sum() == phones + more
    assert pace[~text.slot].min() >= 1


def test_more_phones_than_frames_is_a_failure() -> None:
    text = script(PRONOUNCER.words(["please"]))
    with pytest.raises(ItemFailure, match="4 phones do not fit into 3 frames"):
        best_path(np.zeros((3, SILENCE + 1), dtype=np.float32), text)


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_predicted_lengths_are_laid_out_to_the_frame(seed: int) -> None:
    text = script(PRONOUNCER.words(["please", "enter", "a", "key."]))
    random = np.random.default_rng(seed)
    frames = random.integers(0, 40, size=(4, 3))
    parts = torch.from_numpy(random.normal(size=len(text.symbols)) * 3)
    pace = lay_out(text, torch.from_numpy(np.log1p(frames)), parts).numpy()
    phones = np.bincount(text.word[~text.slot])
    own = np.bincount(text.word[~text.slot], pace[~text.slot])
    np.testing.assert_array_equal(own, np.maximum(frames[:, 0], phones))
    np.testing.assert_array_equal(pace[text.slot], [frames[0, 2], *frames[:, 1]])
    assert pace[~text.slot].min() >= 1


def test_frames_know_their_places() -> None:
    text = script(PRONOUNCER.words(["a", "key"]))  # slot AH slot K IY slot
    pace = np.array([1, 2, 1, 2, 2, 0])
    at, places = spread(text, pace)
    np.testing.assert_array_equal(at, [0, 1, 1, 2, 3, 3, 4, 4])
    np.testing.assert_allclose(places[4:, 1], [0.125, 0.375, 0.625, 0.875])
    np.testing.assert_allclose(places[1:3, 0], [0.25, 0.75])
    lengths, inside, place = lengths_of(text, pace)
    np.testing.assert_allclose(np.expm1(lengths), [[2, 1, 1], [4, 0, 0]], rtol=1e-5)
    np.testing.assert_array_equal(inside.astype(int), [[0, 1, 1, 0, 0, 0, 0, 0],
                                                       [0, 0, 0, 0, 1, 1, 1, 1]])  # fmt: skip
    np.testing.assert_allclose(place[4:, 0], [0.125, 0.375, 0.625, 0.875])


def test_fine_frames_of_windows_join_to_those_of_the_whole() -> None:
    whole = fine_frames(0, 50)
    assert len(whole) == round(50 * HOP / 320)
    assert (np.diff(whole) >= 0).all()
    parts = [fine_frames(a, b - a) + a for a, b in ((0, 7), (7, 18), (18, 50))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_log_mels_have_a_frame_for_every_hop_and_see_the_tone() -> None:
    time = np.arange(16_001) / 16_000
    for hertz in (300.0, 3000.0):
        found = log_mels(np.sin(2 * np.pi * hertz * time).astype(np.float32))
        assert found.shape == (42, 40)
        assert (found[5:-5].argmax(1) == found[20].argmax()).all()
    low, high = (log_mels(np.sin(2 * np.pi * h * time).astype(np.float32))[20].argmax()
                 for h in (300.0, 3000.0))  # fmt: skip
    assert low < high


# ------------------------------------------------------------------------------------- network
def test_a_words_vector_comes_from_its_own_frames_alone() -> None:
    model, text = network(), script(sentence())  # type: ignore[arg-type]
    torch.manual_seed(0)
    pace = np.where(text.slot, 2, 3)
    frames = int(pace.sum())
    lengths, inside, place = lengths_of(text, pace)
    deep, values = torch.randn(1, frames, 288), torch.randn(1, frames, 330)
    rest = [torch.from_numpy(x)[None] for x in (place, inside, lengths)]
    batch = Text.of([text], "cpu")
    with torch.inference_mode():
        before = model.aggregator(batch, deep, values, *rest)
        other = values.clone()
        other[0, ~torch.from_numpy(inside[2])] = 0
        after = model.aggregator(batch, deep, other, *rest)
    torch.testing.assert_close(before[0, 2], after[0, 2])
    assert (before[0, [0, 1, 3]] - after[0, [0, 1, 3]]).abs().amax(1).min() > 1e-4


def test_speech_is_as_long_as_its_frames() -> None:
    model, text = network(), script(sentence())  # type: ignore[arg-type]
    ids = torch.randint(0, CONFIG.entries, (CONFIG.books, text.words))
    pace = np.where(text.slot, 1, 4)
    made = model.speak(text, ids, torch.from_numpy(pace))
    assert len(made) == len(fine_frames(0, int(pace.sum()))) * 320
    assert made.abs().max() <= 1 and made.std() > 0


def test_a_prefix_of_the_codebooks_speaks_and_without_any_the_mean_does() -> None:
    model, text = network(), script(sentence())  # type: ignore[arg-type]
    torch.manual_seed(3)
    ids = torch.randint(0, CONFIG.entries, (CONFIG.books, text.words))
    pace = torch.from_numpy(np.where(text.slot, 1, 4))
    sounds = [model.speak(text, ids[:k], pace) for k in range(CONFIG.books + 1)]
    assert all(not torch.equal(a, b) for a, b in pairwise(sounds))
    other = torch.randint(0, CONFIG.entries, ids.shape)
    torch.testing.assert_close(sounds[0], model.speak(text, other[:0], pace))
    torch.testing.assert_close(model.decode_ids(ids[:0]), model.mean.expand(text.words, -1))


def test_padding_changes_no_words_prediction() -> None:
    model = network()
    long, short = (script(PRONOUNCER.words(t.split())) for t in (SENTENCE, "the key"))
    torch.manual_seed(0)
    vectors = torch.randn(2, long.words, CONFIG.dimension)
    with torch.inference_mode():
        both, alone = Text.of([short, long], "cpu"), Text.of([short], "cpu")
        x = model.read(both, vectors)
        y = model.read(alone, vectors[:1, :2])
        torch.testing.assert_close(x[:1, : y.shape[1]], y)
        first = model.durations(both, x, vectors)[0][0, :2]
        torch.testing.assert_close(first, model.durations(alone, y, vectors[:1, :2])[0][0])
