"""Moonshine's encoder in torch is the packaged one, layer by layer and for any length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.errors import UserError
from bench.moonshine import Moonshine
from bench.moonshine_layers import LAYERS, hidden_states, weights
from bench.train import corpus
from bench.train.layers import measure
from tests.conftest import speech


def test_its_last_layer_is_what_onnxruntime_gives() -> None:
    """Up to the rounding of the packaged graph's 8-bit products: 3 % of the spread."""
    packaged = Moonshine(threads=1)
    for _, sound in speech(2):
        wanted, found = packaged.encode(sound), hidden_states(sound)
        assert len(found) == LAYERS + 1
        assert found[-1].shape == wanted.shape
        error = np.sqrt(np.square(found[-1] - wanted).mean() / wanted.var())
        assert error < 0.05
        assert np.corrcoef(found[-1].ravel(), wanted.ravel())[0, 1] > 0.999


def test_layers_differ_and_know_more_of_the_surroundings_the_deeper_they_are() -> None:
    """Of two neighbouring frames, deeper ones are more alike."""
    states = hidden_states(speech(1)[0][1])
    change = [np.square(np.diff(x, axis=0)).sum() / (x - x.mean(0)).var() for x in states]
    assert change == sorted(change, reverse=True)


def test_every_weight_is_there_once() -> None:
    found = weights()
    assert len(found) == 8 + 10 * LAYERS
    assert all(np.isfinite(value).all() for value in found.values())


def test_a_file_that_is_no_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.ort").write_bytes(b"not a model at all")
    with pytest.raises(UserError, match="is no model in onnxruntime's format"):
        weights(tmp_path / "x.ort")


def test_a_middle_layer_tells_more_of_the_phone_than_the_last() -> None:
    """What `python -m bench.train.layers` compares, on a dozen recordings."""
    rows = [
        row
        for row in corpus.rows(["mini"], "train", language=["en"])
        if isinstance(row.get("phones"), np.ndarray)
    ][:12]
    (middle, fast), (last, slow) = (measure("moonshine", n, 40, rows) for n in (4, LAYERS))
    assert last < middle < 1
    assert slow < fast
