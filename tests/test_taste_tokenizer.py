"""The plugin `taste` on a checkpoint of random weights: the contract, odd input, mistakes."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench import registry
from bench.checks import check_audio, check_info, check_tokens
from bench.contracts import AudioBatch, Samples, Tokenizer, Tokens
from bench.errors import ItemFailure, UserError
from bench.options import resolve
from bench.rates import bits
from tests.conftest import ROOT, speech
from tests.taste_kit import CONFIG, write

RATE = 16_000


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("taste"))


def load(**chosen: str) -> Tokenizer:
    plugin = registry.plugin("tokenizers", "taste")
    made: Tokenizer = plugin.module.load(device="cpu", **resolve(plugin, chosen))
    return made


@pytest.fixture(scope="module")
def asr(weights: Path) -> Tokenizer:
    return load(weights=str(weights))


@pytest.fixture(scope="module")
def reference(weights: Path) -> Tokenizer:
    return load(weights=str(weights), text="reference")


def clips(count: int = 3) -> list[Samples]:
    return [clip for _, clip in speech(count)]


def encode(tokenizer: Tokenizer, audio: Samples, text: str | None = None) -> Tokens:
    return tokenizer.encode(AudioBatch.of([audio], RATE, [text]))[0]


def same(one: Tokens, other: Tokens) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.streams, other.streams, strict=True))


# -------------------------------------------------------------------------------- the contract
def test_streams_are_of_one_length_and_valid(asr: Tokenizer) -> None:
    info = check_info(asr.info)
    assert (info.family, info.nested, info.batching) == ("text-aligned", True, "any")
    assert [s.rate for s in info.streams] == [None] * 5
    assert info.revision.count(";") == 1
    for clip in clips():
        tokens = check_tokens(encode(asr, clip), info)
        assert len({len(ids) for ids in tokens.streams}) == 1
        assert 1 < len(tokens.streams[0]) / (len(clip) / RATE) < 6.5
        seconds = len(clip) / RATE
        whole = bits(tokens, info)
        assert whole == pytest.approx(len(tokens.streams[0]) * (15 + 4 * 4))
        assert whole / seconds < 250


def test_a_batch_gives_each_utterance_the_ids_and_sound_it_gets_alone(asr: Tokenizer) -> None:
    batch = asr.encode(AudioBatch.of(clips(), RATE))
    alone = [encode(asr, clip) for clip in clips()]
    assert all(same(a, b) for a, b in zip(batch, alone, strict=True))
    forth, back = asr.decode(batch), asr.decode(batch[::-1])[::-1]
    for item, one, other in zip(batch, forth, back, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, asr.decode([item])[0])
        check_audio(one, asr.info, 5.0)


def test_a_words_tokens_have_one_group_of_ids(asr: Tokenizer) -> None:
    item = encode(asr, clips(1)[0])
    spans = asr.spans(item)  # type: ignore[attr-defined]
    assert sum(count for _, count in spans) == len(item.streams[0])
    starts = np.cumsum([0, *(count for _, count in spans)])
    for book in item.streams[1:]:
        assert all(len(set(book[a:b].tolist())) == 1 for a, b in pairwise(starts))
    assert len({tuple(int(b[s]) for b in item.streams[1:]) for s in starts[:-1]}) > 1


def test_the_prefixes_of_the_streams_decode(asr: Tokenizer) -> None:
    item = encode(asr, clips(1)[0])
    sounds = [asr.decode([Tokens(item.streams[:k])])[0] for k in range(1, 6)]
    assert all(len(sound) for sound in sounds)
    assert not any(len(a) == len(b) and np.array_equal(a, b) for a, b in pairwise(sounds))


def test_features_stand_at_the_tokens(asr: Tokenizer) -> None:
    clip = clips(1)[0]
    item = encode(asr, clip)
    (found,) = asr.features(AudioBatch.of([clip], RATE))  # type: ignore[attr-defined]
    assert found.shape == (len(item.streams[0]), CONFIG.dimension)
    assert found.dtype == np.float32


# ----------------------------------------------------------------------------------- the text
def test_a_given_text_is_taken_as_it_is(reference: Tokenizer) -> None:
    row, clip = speech(1)[0]
    text = str(row["text"])
    item = encode(reference, clip, text)
    words = [word for word, _ in reference.spans(item)]  # type: ignore[attr-defined]
    assert " ".join(words) == text
    other = encode(reference, clip, "please enter a number")
    assert not same(item, other)
    with pytest.raises(ItemFailure, match="no transcript"):
        encode(reference, clip)


def test_a_text_that_does_not_fit_the_sound_is_a_failure(reference: Tokenizer) -> None:
    with pytest.raises(ItemFailure, match="do not fit"):
        encode(reference, clips(1)[0][:8000], "please enter your number " * 20)


@pytest.mark.parametrize("text", ["", "   ", "...", "—  !"])
def test_a_text_that_says_nothing_is_silence(reference: Tokenizer, text: str) -> None:
    item = encode(reference, clips(1)[0], text)
    assert len({len(ids) for ids in item.streams}) == 1
    (sound,) = reference.decode([item])
    assert len(sound) == RATE // 2 and not sound.any()


# ---------------------------------------------------------------------------------- odd input
def test_where_nothing_is_heard_there_are_no_ids(asr: Tokenizer) -> None:
    item = check_tokens(encode(asr, np.zeros(2 * RATE, dtype=np.float32)), asr.info)
    (sound,) = asr.decode([item])
    assert len(sound) and np.isfinite(sound).all()
    nothing = Tokens(tuple(np.zeros(0, dtype=np.int64) for _ in range(5)))
    assert not asr.decode([nothing])[0].any()


def test_too_short_is_a_failure(asr: Tokenizer) -> None:
    with pytest.raises(ItemFailure):
        encode(asr, np.zeros(100, dtype=np.float32))


def test_two_hundred_words(reference: Tokenizer) -> None:
    clip = np.concatenate([clips(1)[0]] * 40)[: 70 * RATE]
    item = encode(reference, clip, "please enter the number " * 50)
    assert len(reference.spans(item)) == 200  # type: ignore[attr-defined]
    check_audio(reference.decode([item])[0], reference.info, 70.0)


def test_another_language_is_written_as_english_and_spoken(asr: Tokenizer) -> None:
    import pyarrow.parquet as pq

    folder = ROOT / "bench" / "suites" / "mini"
    rows = pq.read_table(folder / "manifest.parquet").to_pylist()
    row = next(r for r in rows if r["language"] == "ru" and r["split"] == "test")
    clip, _ = soundfile.read(folder / row["file"], dtype="float32")
    item = check_tokens(encode(asr, clip), asr.info)
    check_audio(asr.decode([item])[0], asr.info, row["seconds"])


def test_any_ids_decode(asr: Tokenizer) -> None:
    """A language model may write whatever its vocabularies hold."""
    random = np.random.default_rng(0)
    ids = [random.integers(0, s.vocabulary, 12) for s in asr.info.streams]
    check_audio(asr.decode([Tokens(tuple(ids))])[0], asr.info, 10.0)
    with pytest.raises(ItemFailure, match="12 text ids have"):
        asr.decode([Tokens((ids[0], *(b[:5] for b in ids[1:])))])


# ----------------------------------------------------------------------------------- mistakes
def test_mistakes_are_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load(weights=str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="text"):
        load(text="guess")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="is no taste checkpoint"):
        load(weights=str(tmp_path / "empty"))


@pytest.mark.parametrize("damage", ["cut", "pickle", "kind", "config", "shape"])
def test_damaged_checkpoints_are_refused(tmp_path: Path, damage: str) -> None:
    folder = write(tmp_path / "taste")
    file, config = folder / "model.safetensors", folder / "config.json"
    about = json.loads(config.read_text())
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:5000])
    elif damage == "pickle":
        file.rename(folder / "model.pt")
    elif damage == "kind":
        config.write_text(json.dumps(about | {"kind": "soundstream"}))
    elif damage == "config":
        config.write_text(json.dumps(about | {"config": {"width": 16}}))
    else:
        config.write_text(json.dumps(about | {"config": about["config"] | {"width": 24}}))
    with pytest.raises(UserError) as told:
        load(weights=str(folder))
    assert len(str(told.value)) < 400 and "\n" not in str(told.value)
