"""Metrics on samples: independent computations, direction, a copy, and audio that has no score."""

from __future__ import annotations

import importlib.util
import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import f0 as f0_module
from bench.contracts import Judged, Metric, Samples, Utterance
from bench.errors import ItemFailure
from bench.metrics import energy, mel, pesq, pitch, rate, sisdr, stoi, voicing

RATE = 16_000
UTTERANCE = Utterance("u", "c", "en", "s", 3.0)
METRICS: dict[str, Metric] = {
    module.__name__.rsplit(".", 1)[1]: module.load()
    for module in (energy, mel, pesq, pitch, rate, sisdr, stoi, voicing)
}


@pytest.fixture(scope="module")
def reading() -> Samples:
    """Ten seconds of a person reading, 16 kHz."""
    import soundfile

    spec = importlib.util.find_spec("moonshine_voice")
    assert spec is not None and spec.origin is not None
    path = Path(spec.origin).parent / "assets" / "beckett.wav"
    audio, rate_hz = soundfile.read(path, dtype="float32")
    assert rate_hz == RATE
    return audio


@pytest.fixture(scope="module")
def speech(reading: Samples) -> Samples:
    """Three seconds of it."""
    return reading[RATE : 4 * RATE]


def noise(n: int, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32)


def score(name: str, x: Any, y: Any) -> dict[str, float]:
    sums = METRICS[name].score(UTTERANCE, Judged(audio=x), Judged(audio=y))
    return {row: s.numerator / s.denominator for row, s in sums.items()}


# ------------------------------------------------------------------------------- every metric
@pytest.mark.parametrize("name", METRICS)
def test_a_copy_has_the_value_of_identity(name: str, speech: Samples) -> None:
    found = score(name, speech, speech.copy())
    assert set(found) == {row.name for row in METRICS[name].info.rows}
    for row in METRICS[name].info.rows:
        low, high = row.bounds
        assert low <= found[row.name] <= high
        if row.identity is not None:
            assert found[row.name] == pytest.approx(row.identity, abs=1e-5)


@pytest.mark.parametrize("name", [n for n in METRICS if n != "pitch"])
def test_noise_makes_it_worse(name: str, speech: Samples) -> None:
    levels = (0.0, 0.002, 0.008, 0.03)
    rows = [score(name, speech, speech + s * noise(len(speech))) for s in levels]
    for row in METRICS[name].info.rows:
        if row.shown:
            values = [r[row.name] * (1 if row.higher_is_better else -1) for r in rows]
            pairs = list(itertools.pairwise(values))
            assert all(a >= b for a, b in pairs) and values[0] > values[-1], (row.name, values)
            assert all(row.bounds[0] <= r[row.name] <= row.bounds[1] for r in rows)


@pytest.mark.parametrize("name", METRICS)
def test_the_same_audio_has_the_same_score(name: str, speech: Samples) -> None:
    damaged = speech + 0.005 * noise(len(speech))
    damaged[8000:20000] = 0  # ESTOI has random numbers for digital silence
    f0_module._track.cache_clear()
    first = METRICS[name].score(UTTERANCE, Judged(audio=speech), Judged(audio=damaged))
    np.random.standard_normal(7)
    f0_module._track.cache_clear()
    assert METRICS[name].score(UTTERANCE, Judged(audio=speech), Judged(audio=damaged)) == first


N = 2 * RATE
BAD: dict[str, Samples] = {
    "silence": np.zeros(N, np.float32),
    "nearly silent": 1e-6 * noise(N),
    "constant": np.full(N, 0.5, np.float32),
    "wholly clipped": np.full(N, 1.0, np.float32),
    "20 ms": 0.1 * noise(RATE // 50),
    "empty": np.zeros(0, np.float32),
    "NaN": np.where(np.arange(N) == 7, np.nan, 0.1 * noise(N)).astype(np.float32),
    "infinite": np.where(np.arange(N) == 7, np.inf, 0.1 * noise(N)).astype(np.float32),
    "stereo": 0.1 * noise(2 * N).reshape(N, 2),
}


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_scored_is_a_failure(name: str, kind: str, speech: Samples) -> None:
    bad = BAD[kind]
    good = np.resize(speech, len(bad)) if bad.ndim == 1 else speech[: len(bad)]
    for x, y in ((bad, bad), (good, bad), (bad, good)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ItemFailure) as caught:
                score(name, x, y)
        assert len(str(caught.value)) > 10


@pytest.mark.parametrize("name", METRICS)
def test_lengths_must_agree(name: str, speech: Samples) -> None:
    with pytest.raises(ItemFailure, match="samples"):
        score(name, speech, speech[:-1])
    with pytest.raises(ItemFailure, match="no audio"):
        METRICS[name].score(UTTERANCE, Judged(audio=speech), Judged())


@pytest.mark.parametrize("name", METRICS)
def test_clipped_speech_is_scored_and_worse(name: str, speech: Samples) -> None:
    clipped = np.clip(speech * 30, -1, 1)
    found = score(name, speech, clipped)
    for row in METRICS[name].info.rows:
        if row.shown and row.identity is not None:
            worse = row.identity - found[row.name]
            assert (worse if row.higher_is_better else -worse) > 0, row.name


# --------------------------------------------------------------------------------------- each
def test_pesq_is_the_package(speech: Samples) -> None:
    from pesq import pesq as reference

    damaged = speech + 0.002 * noise(len(speech))
    expected = reference(RATE, speech, damaged, "wb")
    assert score("pesq", speech, damaged)["pesq"] == pytest.approx(expected, abs=1e-6)


def test_pesq_limits() -> None:
    x = 0.1 * noise(RATE // 5)
    with pytest.raises(ItemFailure, match=r"0\.200 s long, under 0\.25 s"):
        score("pesq", x, x)
    click = np.zeros(RATE, np.float32)
    click[8000:9000] = 0.3 * noise(1000)
    with pytest.raises(ItemFailure, match="No utterances"):
        score("pesq", click, click)


def test_pesq_survives_a_hundred_utterances() -> None:
    """The C code alone ends with a segmentation fault here: it has room for 50."""
    t = np.arange(45 * RATE) / RATE
    bursts = (0.3 * noise(len(t)) * (t % 0.52 < 0.27)).astype(np.float32)
    assert score("pesq", bursts, bursts)["pesq"] == pytest.approx(pesq.COPY, abs=1e-5)
    damaged = bursts + 0.01 * noise(len(t), 1)
    whole = score("pesq", bursts, damaged)["pesq"]
    part = score("pesq", bursts[: 15 * RATE], damaged[: 15 * RATE])["pesq"]
    assert whole == pytest.approx(part, abs=0.05)


def test_stoi_is_the_package_and_refuses_its_default(speech: Samples) -> None:
    from pystoi import stoi as reference

    damaged = speech + 0.005 * noise(len(speech))
    found = score("stoi", speech, damaged)
    assert found["stoi"] == pytest.approx(reference(speech, damaged, RATE), abs=1e-6)
    assert found["estoi"] == pytest.approx(reference(speech, damaged, RATE, True), abs=1e-6)
    brief = np.zeros(2 * RATE, np.float32)
    brief[8000:10000] = 0.1 * noise(2000)
    with pytest.raises(ItemFailure, match="under 30 frames"):
        score("stoi", brief, brief)


def test_stoi_leaves_the_random_generator_alone(speech: Samples) -> None:
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    score("stoi", speech, speech)
    assert np.random.random() == expected


def test_mel_distance_by_librosa(speech: Samples) -> None:
    import librosa

    damaged = speech + 0.004 * noise(len(speech))
    total = 0.0
    for window, bands in zip(mel.WINDOWS, mel.BANDS, strict=True):
        logs = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for audio in (speech, damaged):
                spectrogram = librosa.feature.melspectrogram(
                    y=audio, sr=RATE, n_fft=window, hop_length=window // 4, n_mels=bands,
                    power=1.0, center=True, pad_mode="reflect",
                )  # fmt: skip
                logs.append(np.log10(np.maximum(spectrogram, 1e-5)))
        total += float(np.abs(logs[0] - logs[1]).mean())
    assert score("mel", speech, damaged)["mel_distance"] == pytest.approx(total, rel=1e-4)


def test_mel_distance_of_a_gain(speech: Samples) -> None:
    loud = 0.1 * noise(len(speech))  # no band near the floor but the empty ones
    full = sum(
        float((mel._filters(w, b).sum(1) > 0).double().mean())
        for w, b in zip(mel.WINDOWS, mel.BANDS, strict=True)
    )
    found = score("mel", loud, loud / 2)["mel_distance"]
    assert found == pytest.approx(full * np.log10(2), rel=1e-3)


def test_si_sdr_closed_forms(speech: Samples) -> None:
    t = np.arange(RATE) / RATE
    x, orthogonal = np.sin(2 * np.pi * 100 * t), np.sin(2 * np.pi * 200 * t)
    for amplitude in (10.0, 1.0, 0.1, 1e-3):
        expected = -20 * np.log10(amplitude)
        assert sisdr.si_sdr(x, x + amplitude * orthogonal) == pytest.approx(expected, abs=1e-6)
    assert sisdr.si_sdr(x, 3 * x + 0.2) == sisdr.LIMIT
    assert sisdr.si_sdr(x, orthogonal) == -sisdr.LIMIT
    damaged = speech + 0.004 * noise(len(speech))
    base = score("sisdr", speech, damaged)["si_sdr"]
    for changed in (-2 * damaged, 0.1 * damaged + 0.3):
        assert score("sisdr", speech, changed)["si_sdr"] == pytest.approx(base, abs=1e-3)
    a, b = (z - z.mean() for z in (speech.astype(float), damaged.astype(float)))
    cosine = a @ b / np.sqrt((a @ a) * (b @ b))
    assert base == pytest.approx(10 * np.log10(cosine**2 / (1 - cosine**2)), abs=1e-6)


def test_energy_correlation(speech: Samples) -> None:
    assert score("energy", speech, 0.2 * speech)["energy_correlation"] == pytest.approx(1)
    t = np.arange(2 * RATE) / RATE
    up = (0.1 * noise(len(t)) * 10 ** (t - 1)).astype(np.float32)  # 40 dB up, 40 dB down
    assert score("energy", up, up[::-1].copy())["energy_correlation"] == pytest.approx(-1, abs=0.01)
    levels = energy.contour(up.astype(float))
    direct = [20 * np.log10(np.sqrt(np.mean(up[i : i + 400].astype(float) ** 2)))
              for i in range(0, len(up) - 399, 160)]  # fmt: skip
    np.testing.assert_allclose(levels, np.array(direct) - max(direct), atol=1e-6)


# ----------------------------------------------------------------------------- pitch and rate
def voice(f0: Any, seconds: float = 1.5) -> Any:
    """Twelve harmonics of f0 (Hz, a number or one a sample)."""
    n = int(seconds * RATE)
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(f0, n)) / RATE
    harmonics = np.stack([np.sin(k * phase) / k for k in range(1, 13)])
    return (0.1 * harmonics.sum(axis=0)).astype(np.float32)


@pytest.mark.parametrize("f0", [65.0, 100.0, 181.3, 300.0, 590.0])
def test_f0_of_a_harmonic_tone(f0: float) -> None:
    found = f0_module.track(voice(f0).astype(float))
    assert len(found) == (int(1.5 * RATE) - 800) // 160 + 1
    assert (found > 0).all()
    assert np.abs(1200 * np.log2(found / f0)).max() < 3  # cents


def test_f0_finds_none_in_noise() -> None:
    assert (f0_module.track(0.1 * noise(RATE).astype(float)) > 0).mean() < 0.05
    assert len(f0_module.track(np.ones(100))) == 0


def test_f0_agrees_with_praat(reading: Samples) -> None:
    parselmouth = pytest.importorskip("parselmouth", reason="pip install praat-parselmouth")
    sound = parselmouth.Sound(reading.astype(float), RATE)
    praat = sound.to_pitch_ac(time_step=0.01, pitch_floor=60, pitch_ceiling=600)
    expected = praat.selected_array["frequency"]
    found = f0_module.track(reading.astype(float))
    assert len(found) == len(expected)
    both = (found > 0) & (expected > 0)
    cents = np.abs(1200 * np.log2(found[both] / expected[both]))
    assert ((found > 0) != (expected > 0)).mean() < 0.03
    assert np.median(cents) < 0.2 and (cents > 50).mean() < 0.01


def test_pitch_closed_forms() -> None:
    t = np.arange(int(1.5 * RATE)) / RATE
    contour = 150 * 2 ** (0.3 * np.sin(2 * np.pi * 1.5 * t))
    for cents in (50, -200, 700):
        found = score("pitch", voice(contour), voice(contour * 2 ** (cents / 1200)))
        assert found["f0_rmse"] == pytest.approx(abs(cents), abs=3)
        assert found["f0_correlation"] == pytest.approx(1, abs=1e-3)
    mirrored = score("pitch", voice(contour), voice(150**2 / contour))
    assert mirrored["f0_correlation"] == pytest.approx(-1, abs=0.01)


def test_pitch_error_grows_with_the_change(speech: Samples) -> None:
    import librosa

    stretched = [
        librosa.resample(speech, orig_sr=RATE, target_sr=int(RATE / s)) for s in (1.0, 1.02, 1.06)
    ]
    n = min(len(z) for z in stretched)  # faster and higher: F0 moves by the factor
    found = [score("pitch", speech[:n], z[:n])["f0_rmse"] for z in stretched]
    assert found[0] < 1 < found[1] < found[2]


def test_pitch_fails_without_a_voice(speech: Samples) -> None:
    hiss = 0.1 * noise(len(speech))
    with pytest.raises(ItemFailure, match="voiced in both"):
        score("pitch", speech, hiss)
    with pytest.raises(ItemFailure, match="voiced frames"):
        score("voicing", hiss, speech)
    with pytest.raises(ItemFailure, match="no syllable"):
        score("rate", hiss, speech)


def test_voicing_error_counts_frames(speech: Samples) -> None:
    hiss = 0.05 * noise(len(speech))
    before = METRICS["voicing"].score(UTTERANCE, Judged(audio=speech), Judged(audio=hiss))
    sums = before["voicing_error"]
    a, b = (f0_module.track(z.astype(float)) > 0 for z in (speech, hiss))
    assert (sums.numerator, sums.denominator) == ((a != b).sum(), len(a))
    assert sums.numerator / sums.denominator == pytest.approx(a.mean(), abs=0.05)


@pytest.mark.parametrize("count", [1, 3, 7, 10])
def test_syllables_of_a_babble(count: int) -> None:
    t = np.arange(count * RATE // 4) / RATE  # four a second, the pauses 12 dB lower
    loudness = 0.25 + 0.75 * np.sin(np.pi * 4 * t) ** 2
    babble = np.pad(voice(140.0, count / 4) * loudness, RATE // 5)
    assert rate.syllables(babble.astype(float)) == count


def test_syllables_need_a_voice_and_a_dip() -> None:
    assert rate.syllables(np.pad(voice(140.0), RATE // 5).astype(float)) == 1
    assert rate.syllables(0.1 * noise(RATE).astype(float)) == 0


def test_rate_of_half_the_speech(speech: Samples) -> None:
    half = speech.copy()
    half[len(half) // 2 :] *= 0.001
    found = score("rate", speech, half)
    kept = rate.syllables(half.astype(float)) / rate.syllables(speech.astype(float))
    assert 0.2 < found["rate_ratio"] == kept < 0.8
    assert found["rate_error"] == pytest.approx(1 - kept)
