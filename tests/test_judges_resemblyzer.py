"""Resemblyzer: the package's embeddings, and what they tell."""

from __future__ import annotations

import numpy as np
import pytest

from bench.errors import ItemFailure
from bench.judges import resemblyzer
from tests.judge_speech import RATE, pieces, recording


@pytest.fixture(scope="module")
def judge() -> resemblyzer.Resemblyzer:
    return resemblyzer.load(threads=2)


def embed(judge: resemblyzer.Resemblyzer, audio: list[np.ndarray]) -> np.ndarray:
    return np.array([found["embedding"] for found in judge.judge(audio)])  # type: ignore[index]


@pytest.mark.filterwarnings("ignore")
def test_it_equals_its_package(judge: resemblyzer.Resemblyzer) -> None:
    from resemblyzer import VoiceEncoder, preprocess_wav

    package = VoiceEncoder("cpu", verbose=False)
    audio = [p * gain for p, gain in zip(pieces(2.0, 5.3, 1.2, 9.0), [1, 0.01] * 9, strict=False)]
    for item, found in zip(audio, judge.judge(audio), strict=True):
        cleaned = preprocess_wav(item)
        if not len(cleaned):
            assert isinstance(found, ItemFailure)
            continue
        assert isinstance(found, dict)
        expected = package.embed_utterance(cleaned)
        np.testing.assert_allclose(np.array(found["embedding"]), expected, atol=1e-5)


def test_a_voice_is_nearer_to_itself(judge: resemblyzer.Resemblyzer) -> None:
    one, two = recording("two_cities"), recording("beckett")
    halves = [one[: 10 * RATE], one[10 * RATE : 20 * RATE], two[: 5 * RATE], two[5 * RATE :]]
    a, b, c, d = embed(judge, halves)
    np.testing.assert_allclose(np.linalg.norm([a, b, c, d], axis=1), 1, atol=1e-5)
    assert min(a @ b, c @ d) > max(a @ c, a @ d, b @ c, b @ d) + 0.05


@pytest.mark.parametrize("level", [0.0, 1e-5])
def test_nobody_speaks(judge: resemblyzer.Resemblyzer, level: float) -> None:
    noise = level * np.random.default_rng(0).standard_normal(2 * RATE)
    (found,) = judge.judge([noise.astype(np.float32)])
    if isinstance(found, dict):
        assert level > 0 and np.isfinite(np.array(found["embedding"])).all()
    else:
        assert isinstance(found, ItemFailure) and str(found) == "no voiced frames found"
