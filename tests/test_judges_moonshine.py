"""Moonshine: what it hears, and that its ids and text go both ways."""

from __future__ import annotations

import jiwer
import numpy as np
import pytest
from whisper_normalizer.english import EnglishTextNormalizer

from bench.judges.moonshine import MoonshineJudge, load
from bench.moonshine import PIECE, TEXT_END, split
from tests.judge_speech import BECKETT, RATE, TWO_CITIES, noisy, pieces, recording


@pytest.fixture(scope="module")
def judge() -> MoonshineJudge:
    return load(threads=2)


def heard(judge: MoonshineJudge, audio: list[np.ndarray]) -> list[str]:
    normal = EnglishTextNormalizer()
    return [normal(found["text"]) for found in judge.judge(audio)]  # type: ignore[index]


def test_known_words(judge: MoonshineJudge) -> None:
    beckett, cities = heard(judge, [recording("beckett"), recording("two_cities")[: 8 * RATE]])
    assert jiwer.wer(BECKETT, beckett) <= 0.1
    assert jiwer.wer(TWO_CITIES, cities) <= 0.1


def test_noise_costs_words(judge: MoonshineJudge) -> None:
    (text,) = heard(judge, [noisy(recording("beckett"), -10)])
    assert jiwer.wer(BECKETT, text) > 0.2


def test_twenty_texts_together_are_the_texts_alone(judge: MoonshineJudge) -> None:
    audio = pieces(2.0, 3.1, 1.3, 4.0)
    assert len(audio) >= 20
    assert judge.judge(audio) == [judge.judge([item])[0] for item in audio]


def test_long_audio_is_split_in_silence(judge: MoonshineJudge) -> None:
    audio = recording("two_cities")  # 44 s
    parts = split(audio)
    np.testing.assert_array_equal(np.concatenate(parts), audio)
    assert all(PIECE[0] <= len(p) / RATE <= PIECE[1] for p in parts[:-1])
    assert 1 <= len(parts[-1]) / RATE <= PIECE[1]
    loud = np.sqrt(np.mean(np.square(audio)))
    cuts = np.cumsum([len(p) for p in parts])[:-1]
    assert all(np.sqrt(np.mean(np.square(audio[c - 800 : c + 800]))) < loud / 5 for c in cuts)
    whole, *by_part = heard(judge, [audio, *parts])
    assert whole == " ".join(by_part)
    assert jiwer.wer(TWO_CITIES, " ".join(whole.split()[: len(TWO_CITIES.split())])) <= 0.1


@pytest.mark.parametrize("seconds", [29.0, 30.1, 41.0, 65.0])
def test_pieces_of_any_length(seconds: float) -> None:
    audio = np.zeros(int(seconds * RATE), np.float32)
    parts = split(audio)
    assert sum(map(len, parts)) == len(audio)
    assert (len(parts) == 1) == (seconds <= 30)
    assert all(RATE <= len(p) <= PIECE[1] * RATE for p in parts) or len(parts) == 1


def test_silence_and_noise_end(judge: MoonshineJudge) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32)
    for ids in judge.model.transcribe_ids([np.zeros(4 * RATE, np.float32), noise]):
        assert len(ids) <= 26  # 6.5 a second


def test_frames(judge: MoonshineJudge) -> None:
    frames = judge.model.encode(recording("beckett"))
    assert frames.shape[1] == judge.model.dimension and frames.dtype == np.float32
    seconds = len(recording("beckett")) / RATE
    assert abs(len(frames) - seconds * judge.model.frame_rate) < 3


def test_text_and_ids_go_both_ways(judge: MoonshineJudge) -> None:
    model = judge.model
    assert len(model.pieces) == model.vocabulary
    for ids in model.transcribe_ids(pieces(5.0)):
        assert model.tokenize(model.detokenize(ids)) == ids
        assert all(2 < i < TEXT_END for i in ids)
    for text in ("", "It's 9:30, Mr. O'Neil!", "naïve façade – 日本 🙂", "two  spaces "):
        assert model.detokenize(model.tokenize(text)) == " ".join(text.split())
    assert model.detokenize([1, *model.tokenize("hello"), 2, 32_500]) == "hello"
