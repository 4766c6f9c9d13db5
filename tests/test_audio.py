"""Reading, resampling, delay."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import audio
from bench.batching import batches
from bench.errors import ItemFailure
from tests.conftest import speech


def wav(samples: np.ndarray, rate: int = 16_000, **options: object) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="FLOAT", **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "cannot be read"),
        (b"RIFFgarbage", "cannot be read"),
        (wav(np.zeros(0, np.float32)), "empty"),
        (wav(np.array([0.0, np.nan, 0.1], np.float32)), "NaN"),
        (wav(np.zeros(8000 * 121, np.float32), 8000), "longer than 120 s"),
    ],
    ids=["nothing", "garbage", "no sample", "NaN", "too long"],  # a WAV holds the time of day
)
def test_what_cannot_be_used_says_why(data, reason):
    with pytest.raises(ItemFailure, match=reason):
        audio.read(data)


def test_stereo_is_averaged_and_overload_clipped():
    stereo = np.stack([np.full(100, 1.5), np.full(100, 0.1)], axis=1).astype(np.float32)
    samples, rate = audio.read(wav(stereo, 48_000))
    assert rate == 48_000
    assert samples.shape == (100,)
    assert samples[0] == pytest.approx(0.8)
    assert audio.read(wav(np.full(10, 1.5, np.float32)))[0].max() == 1.0


@pytest.mark.parametrize("rate", [8000, 24_000, 44_100, 48_000])
def test_resampling_there_and_back_keeps_speech(rate):
    x = speech(1)[0][1]
    back = audio.resample(audio.resample(x, 16_000, rate), rate, 16_000)
    n = min(len(x), len(back))
    band = np.fft.rfft(x[:n] - back[:n])
    limit = int(0.9 * min(rate, 16_000) / 16_000 * len(band))
    kept = np.sum(np.abs(band[:limit]) ** 2) / np.sum(np.abs(np.fft.rfft(x[:n])) ** 2)
    assert 10 * np.log10(kept) < -40


@given(st.integers(-800, 800))
@settings(max_examples=15, deadline=None)
def test_a_constant_delay_is_found_and_removed(shift):
    pairs = []
    for _, x in speech(4):
        noise = np.random.default_rng(len(x)).normal(0, 0.003, len(x)).astype(np.float32)
        late = audio.align(x, -shift, len(x))
        pairs.append((x, late + noise))
    found = audio.delay(pairs, 16_000)
    assert found == shift
    original, decoded = pairs[0]
    back = audio.align(decoded, found, len(original))
    inner = slice(1000, -1000)
    assert np.corrcoef(back[inner], original[inner])[0, 1] > 0.98


def test_unrelated_audio_has_no_delay():
    clips = [x for _, x in speech(4)]
    pairs = [(clips[i], clips[(i + 1) % 4]) for i in range(4)]
    assert audio.delay(pairs, 16_000) is None


@given(
    st.lists(st.integers(1, 10_000), max_size=60),
    st.sampled_from(["any", "equal-length", "single"]),
    st.integers(1, 50_000),
)
@settings(deadline=None)
def test_batches_hold_each_utterance_once_and_keep_their_limits(lengths, batching, limit):
    made = batches(lengths, batching, limit)
    assert sorted(i for batch in made for i in batch) == list(range(len(lengths)))
    for batch in made:
        own = [lengths[i] for i in batch]
        assert len(batch) == 1 or len(batch) * max(own) <= limit
        if batching == "equal-length":
            assert len(set(own)) == 1
        if batching == "single":
            assert len(batch) == 1
