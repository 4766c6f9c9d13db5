"""What holds for every judge that runs from packages alone."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from bench.contracts import Judge
from bench.errors import ItemFailure
from tests.judge_speech import RATE, noisy, pieces, recording

NAMES = ("distillmos", "dnsmos", "moonshine", "resemblyzer")


@pytest.fixture(params=NAMES, scope="module")
def judge(request: pytest.FixtureRequest) -> Judge:
    module = importlib.import_module(f"bench.judges.{request.param}")
    loaded = module.load(threads=2)
    assert loaded.info.name == request.param
    return loaded


def test_it_is_a_judge_that_returns_its_outputs(judge: Judge) -> None:
    assert isinstance(judge, Judge)
    (found,) = judge.judge([recording("beckett")[: 3 * RATE]])
    assert isinstance(found, dict) and set(found) == set(judge.info.outputs)


def test_a_judgement_does_not_depend_on_the_list_or_the_threads(judge: Judge) -> None:
    audio = pieces(1.1, 0.7, 9.1)[:4]
    together = judge.judge(audio)
    backwards = judge.judge(audio[::-1])[::-1]
    module = importlib.import_module(f"bench.judges.{judge.info.name}")
    alone_judge = module.load(threads=1)
    alone = [alone_judge.judge([item])[0] for item in audio]
    for one, two, three in zip(together, backwards, alone, strict=True):
        assert str(one) == str(two) == str(three)  # a failure is equal by what it says
    assert sum(isinstance(one, dict) for one in together) >= 3


def test_what_cannot_be_judged_is_a_failure_in_its_place(judge: Judge) -> None:
    good = recording("beckett")[: 2 * RATE]
    bad = [
        np.zeros(0, np.float32),
        good[:1000],
        good * np.float32(1.5) / np.abs(good).max(),
        np.where(np.arange(len(good)) == 9, np.nan, good).astype(np.float32),
    ]
    found = judge.judge([good, *bad, good])
    assert found[0] == found[-1] and isinstance(found[0], dict)
    assert all(isinstance(item, ItemFailure) for item in found[1:-1])
    assert judge.judge([]) == []


def test_silence_never_gives_nan(judge: Judge) -> None:
    (found,) = judge.judge([np.zeros(2 * RATE, np.float32)])
    if isinstance(found, dict):
        assert all(isinstance(v, str) or np.all(np.isfinite(v)) for v in found.values())
    else:
        assert isinstance(found, ItemFailure)


def test_the_audio_is_left_as_it_was(judge: Judge) -> None:
    audio = recording("beckett")[: 2 * RATE].copy()
    before = audio.copy()
    judge.judge([audio])
    np.testing.assert_array_equal(audio, before)


@pytest.mark.parametrize("name", ["distillmos", "dnsmos"])
def test_mos_falls_with_noise(name: str) -> None:
    judge = importlib.import_module(f"bench.judges.{name}").load()
    clean = recording("beckett")[: 5 * RATE]
    some, more, most = judge.judge([clean, noisy(clean, 20), noisy(clean, 0)])
    output = judge.info.outputs[0]
    assert 5 >= some[output] > more[output] > most[output] >= 1
    assert some[output] - most[output] > 1
