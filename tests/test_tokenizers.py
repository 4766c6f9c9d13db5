"""The tokenizers that ship, and the tests' controls, keep the contract on real speech."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import audio, registry
from bench.checks import check_audio, check_info, check_tokens
from bench.contracts import AudioBatch, Samples, Tokenizer, Tokens
from bench.errors import UserError
from bench.options import resolve
from bench.rates import bits
from tests.conftest import lyra_weights, speech

Load = Callable[..., Tokenizer]
SPEECH_RATE = 16_000

CASES = [
    ("mulaw", {}),
    ("mulaw", {"bits": "2", "rate": "8000"}),
    ("mulaw", {"bits": "6", "rate": "24000"}),
    ("mulaw", {"bits": "16", "rate": "48000"}),
    ("lyra", {"quantizers": "16"}),
    ("lyra", {"quantizers": "30"}),
    ("lyra", {"quantizers": "46"}),
    ("soundstream", {}),
    ("soundstream", {"codebooks": "2"}),
    ("units", {}),
    ("units", {"k": "100", "dedup": "true"}),
    ("units", {"dedup": "true", "durations": "true", "bpe": "500"}),
    ("taste", {}),
    ("text", {}),
    ("identity", {}),
    ("shuffled", {}),
]


def _label(case: tuple[str, dict[str, str]]) -> str:
    return "-".join([case[0], *case[1].values()])


every = pytest.mark.parametrize("case", CASES, ids=_label)


@cache
def clips(rate: int = SPEECH_RATE) -> tuple[Samples, ...]:
    """Eight real utterances of different lengths."""
    found = [audio.resample(x, SPEECH_RATE, rate) for _, x in speech(8)]
    assert len({len(x) for x in found}) == len(found) == 8
    return tuple(found)


@pytest.fixture(scope="session")
def loaded() -> dict[str, Tokenizer]:
    return {}


@pytest.fixture
def load(plugins: Path, data_dir: Path, loaded: dict[str, Tokenizer]) -> Load:
    """Loads a tokenizer as the command line does; skips where its weights or package are absent."""

    def make(name: str, chosen: dict[str, str]) -> Tokenizer:
        label = _label((name, chosen))
        if name == "lyra":
            pytest.importorskip("ai_edge_litert", reason="pip install -e '.[lyra]'")
            weights = lyra_weights(data_dir)
            chosen = {**chosen, "weights": str(weights)}
        if name == "text":
            pytest.importorskip("piper", reason="pip install -e '.[text]'")
        if label not in loaded:
            plugin = registry.plugin("tokenizers", name)
            loaded[label] = plugin.module.load(device="cpu", **resolve(plugin, chosen))
        return loaded[label]

    return make


def encode(tokenizer: Tokenizer, *batch: Samples) -> list[Tokens]:
    return tokenizer.encode(AudioBatch.of(batch, tokenizer.info.sample_rate))


def same(one: Tokens, other: Tokens) -> bool:
    return len(one.streams) == len(other.streams) and all(
        np.array_equal(a, b) for a, b in zip(one.streams, other.streams, strict=True)
    )


# ------------------------------------------------------------------------------- the contract
@every
def test_a_batch_gives_each_utterance_the_ids_it_gets_alone(case: Any, load: Load) -> None:
    tokenizer = load(*case)
    sounds = clips(tokenizer.info.sample_rate)
    together = encode(tokenizer, *sounds)
    for sound, tokens in zip(sounds, together, strict=True):
        assert same(tokens, encode(tokenizer, sound)[0])


@every
def test_ids_are_int64_and_inside_their_vocabulary(case: Any, load: Load) -> None:
    tokenizer = load(*case)
    info = check_info(tokenizer.info)
    for tokens in encode(tokenizer, *clips(info.sample_rate)):
        assert all(ids.dtype == np.int64 for ids in tokens.streams)
        check_tokens(tokens, info)


@every
def test_decoding_depends_on_the_ids_alone(case: Any, load: Load) -> None:
    tokenizer = load(*case)
    sounds = clips(tokenizer.info.sample_rate)[:3]
    tokens = encode(tokenizer, *sounds)
    forth = tokenizer.decode(tokens)
    back = tokenizer.decode(tokens[::-1])[::-1]
    for sound, item, first, second in zip(sounds, tokens, forth, back, strict=True):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, tokenizer.decode([item])[0])
        seconds = len(sound) / tokenizer.info.sample_rate
        np.testing.assert_array_equal(first, check_audio(first, tokenizer.info, seconds))


@every
def test_measured_rates_are_the_declared_ones(case: Any, load: Load) -> None:
    tokenizer = load(*case)
    info = tokenizer.info
    sounds = clips(info.sample_rate)[:3]
    for sound, tokens in zip(sounds, encode(tokenizer, *sounds), strict=True):
        for stream, ids in zip(info.streams, tokens.streams, strict=True):
            if stream.rate is not None:
                declared = stream.rate * len(sound) / info.sample_rate
                assert abs(len(ids) - declared) <= 1


# -------------------------------------------------------------------------------------- mulaw
def mulaw(count: int, rate: int = SPEECH_RATE) -> Tokenizer:
    plugin = registry.plugin("tokenizers", "mulaw")
    made: Tokenizer = plugin.module.load(**resolve(plugin, {"bits": str(count), "rate": str(rate)}))
    return made


def largest_error(x: np.ndarray, count: int) -> np.ndarray:
    """How far the nearest of 2^bits companded steps can lie from x.

    A half step is ln(1 + µ)/µ on the scale u = ln(1 + µ|x|), and |x| = (e^u − 1)/µ, so the error
    is at most (1 + µ|x|)·(e^(ln(1 + µ)/µ) − 1)/µ. An id may also stand on the other side of zero
    (zero lies between two steps): the same bound holds, as the slope is least at zero. Float32
    adds a rounding.
    """
    mu = 2**count - 1
    return (1 + mu * np.abs(x)) * np.expm1(np.log1p(mu) / mu) / mu + 1e-7


amplitudes = st.lists(
    st.floats(-1, 1, allow_nan=False, allow_subnormal=False, width=32), min_size=1, max_size=200
)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(amplitudes, st.integers(2, 16))
def test_mulaw_errs_by_no_more_than_its_step(values: list[float], count: int) -> None:
    tokenizer = mulaw(count)
    x = np.array(values, dtype=np.float32)
    y = tokenizer.decode(encode(tokenizer, x))[0]
    assert y.dtype == np.float32
    assert np.all(np.abs(y) <= 1)
    assert np.all(np.abs(y.astype(np.float64) - x) <= largest_error(x.astype(np.float64), count))


@settings(deadline=None, max_examples=200, derandomize=True)
@given(amplitudes, st.integers(2, 16))
def test_mulaw_ids_rise_with_the_amplitude(values: list[float], count: int) -> None:
    ids = encode(mulaw(count), np.array(sorted(values), dtype=np.float32))[0].streams[0]
    assert np.all(np.diff(ids) >= 0)


@pytest.mark.parametrize("count", [2, 5, 8, 12, 16])
def test_mulaw_uses_its_whole_vocabulary_and_finds_every_id_again(count: int) -> None:
    tokenizer = mulaw(count)
    ids = np.arange(2**count, dtype=np.int64)
    sound = tokenizer.decode([Tokens((ids,))])[0]
    assert (sound[0], sound[-1]) == (-1.0, 1.0)
    assert np.all(np.diff(sound) > 0)
    np.testing.assert_array_equal(encode(tokenizer, sound)[0].streams[0], ids)


def test_more_bits_of_mulaw_leave_less_noise_in_speech() -> None:
    sound = clips()[0]
    ratios = []
    for count in (4, 6, 8, 10, 12):
        tokenizer = mulaw(count)
        noise = tokenizer.decode(encode(tokenizer, sound))[0] - sound
        ratios.append(10 * np.log10(np.sum(sound**2) / np.sum(noise**2)))
    # µ changes with the bits, so a bit is worth a little less than its 6 dB
    assert all(7 < b - a < 13 for a, b in pairwise(ratios)), ratios


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"bits": "1"}, "choose 2 to 16"),
        ({"bits": "17"}, "choose 2 to 16"),
        ({"bits": "8.5"}, "wants int, not '8.5'"),
        ({"rate": "3999"}, "choose 4000 to 48000 Hz"),
        ({"rate": "48001"}, "choose 4000 to 48000 Hz"),
        ({"rates": "8000"}, "did you mean 'rate'"),
    ],
)
def test_wrong_options_of_mulaw(load: Load, options: dict[str, str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        load("mulaw", options)


# --------------------------------------------------------------------------------------- lyra
def lyra(load: Load, quantizers: int) -> Tokenizer:
    return load("lyra", {"quantizers": str(quantizers)})


@pytest.mark.parametrize("length", [1, 319, 320, 321, 640, 16_000, 16_001])
def test_lyra_has_a_frame_for_every_320_samples_begun(load: Load, length: int) -> None:
    tokenizer = lyra(load, 16)
    tokens = encode(tokenizer, clips()[0][:length])[0]
    frames = math.ceil(length / 320)
    assert [len(ids) for ids in tokens.streams] == [frames] * 16
    assert len(tokenizer.decode([tokens])[0]) == 320 * frames


@pytest.mark.parametrize("quantizers", [16, 30])
def test_fewer_quantizers_of_lyra_are_a_prefix_of_all(load: Load, quantizers: int) -> None:
    few, all_of_them = lyra(load, quantizers), lyra(load, 46)
    assert all_of_them.info.nested
    whole = encode(all_of_them, *clips())
    short = encode(few, *clips())
    for a, b in zip(whole, short, strict=True):
        assert same(Tokens(a.streams[:quantizers]), b)
    prefix = Tokens(whole[0].streams[:quantizers])
    np.testing.assert_array_equal(all_of_them.decode([prefix])[0], few.decode(short[:1])[0])


@pytest.mark.parametrize("streams", [1, 2, 7, 23, 45])
def test_any_prefix_of_lyra_decodes_to_sound(load: Load, streams: int) -> None:
    tokenizer = lyra(load, 46)
    whole = encode(tokenizer, clips()[1])[0]
    sound = tokenizer.decode([Tokens(whole.streams[:streams])])[0]
    assert sound.shape == (320 * len(whole.streams[0]),)
    assert 0.005 < np.std(sound) < 1


@pytest.mark.parametrize("ahead", [0, 1, 160, 319])
def test_no_id_of_lyra_knows_a_later_frame(load: Load, ahead: int) -> None:
    tokenizer = lyra(load, 46)
    sound = clips()[0]
    change = 50 * 320 + ahead  # inside frame 50
    changed = sound.copy()
    noise = np.random.default_rng(0).normal(0, 0.1, len(sound) - change)
    changed[change:] = noise.astype(np.float32)
    before = np.stack(encode(tokenizer, sound)[0].streams)
    after = np.stack(encode(tokenizer, changed)[0].streams)
    np.testing.assert_array_equal(after[:, :50], before[:, :50])
    assert np.any(after[:, 50:52] != before[:, 50:52])


def test_lyra_s_sound_does_not_know_later_ids(load: Load) -> None:
    tokenizer = lyra(load, 16)
    tokens = encode(tokenizer, clips()[0])[0]
    changed = Tokens(tuple(np.where(np.arange(len(i)) < 50, i, 15 - i) for i in tokens.streams))
    before, after = tokenizer.decode([tokens, changed])
    np.testing.assert_array_equal(after[: 50 * 320], before[: 50 * 320])
    assert np.any(after[50 * 320 :] != before[50 * 320 :])


@pytest.mark.parametrize(("quantizers", "rate"), [(16, 3200), (30, 6000), (46, 9200)])
def test_lyra_s_bitrates_are_those_published(load: Load, quantizers: int, rate: int) -> None:
    tokenizer = lyra(load, quantizers)
    sound = clips()[0][: 320 * 150]
    tokens = encode(tokenizer, sound)[0]
    assert bits(tokens, tokenizer.info) / 3 == pytest.approx(rate)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"quantizers": "17"}, "choose 16, 30, 46"),
        ({"quantizers": "sixteen"}, "choose 16, 30, 46"),
        ({"quantizer": "16"}, "did you mean 'quantizers'"),
    ],
)
def test_wrong_options_of_lyra(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        resolve(registry.plugin("tokenizers", "lyra"), options)


def test_a_folder_without_lyra_s_weights_is_told(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="pip install -e '.[lyra]'")
    module = registry.plugin("tokenizers", "lyra").module
    with pytest.raises(UserError, match=r"lacks the file soundstream_encoder\.tflite"):
        module.load(weights=str(tmp_path))
    with pytest.raises(UserError, match="does not exist"):
        module.load(weights=os.fspath(tmp_path / "none"))


# --------------------------------------------------------------------------------------- text
def test_text_ids_spell_the_recogniser_s_transcript(load: Load) -> None:
    tokenizer = load("text", {})
    judge = registry.plugin("judges", "moonshine").module.load(device="cpu", threads=1)
    sounds = clips()[:3]
    heard = judge.judge(list(sounds))
    recogniser = judge_of(tokenizer)
    for tokens, judgement in zip(encode(tokenizer, *sounds), heard, strict=True):
        assert recogniser.detokenize(tokens.streams[0].tolist()) == judgement["text"] != ""


def judge_of(tokenizer: Tokenizer) -> Any:
    """The recogniser inside `text`."""
    return tokenizer._recogniser  # type: ignore[attr-defined]


def test_text_costs_some_tens_of_bits_a_second(load: Load) -> None:
    tokenizer = load("text", {})
    sounds = clips()
    spent = sum(bits(tokens, tokenizer.info) for tokens in encode(tokenizer, *sounds))
    assert 20 < spent / sum(len(x) / SPEECH_RATE for x in sounds) < 100


def test_no_text_is_silence(load: Load) -> None:
    tokenizer = load("text", {})
    nothing = Tokens((np.zeros(0, dtype=np.int64),))
    sound = tokenizer.decode([nothing])[0]
    assert (sound.dtype, sound.shape) == (np.float32, (8000,))
    assert not np.any(sound)


def test_text_has_no_options() -> None:
    with pytest.raises(UserError, match="text has no option 'voice'"):
        resolve(registry.plugin("tokenizers", "text"), {"voice": "joe"})


# ----------------------------------------------------------------------------------- controls
def test_identity_returns_the_samples(load: Load) -> None:
    tokenizer = load("identity", {})
    for sound, made in zip(clips(), tokenizer.decode(encode(tokenizer, *clips())), strict=True):
        np.testing.assert_array_equal(made, np.clip(sound, -1, 1 - 2**-15))


def test_shuffled_keeps_the_samples_and_loses_their_order(load: Load) -> None:
    tokenizer = load("shuffled", {})
    sound = clips()[0]
    made = tokenizer.decode(encode(tokenizer, sound))[0]
    np.testing.assert_array_equal(np.sort(made), np.sort(sound))
    assert abs(np.corrcoef(made, sound)[0, 1]) < 0.02
