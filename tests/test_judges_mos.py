"""The MOS judges against the packages whose models they run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.errors import UserError, WeightsUnavailable
from bench.judges import distillmos, dnsmos, utmos
from tests.judge_speech import RATE, noisy, recording

SPEECH = recording("two_cities")


def test_distillmos_equals_its_package(capsys: pytest.CaptureFixture[str]) -> None:
    judge = distillmos.load(threads=2)
    assert capsys.readouterr().out == ""
    from distillmos import ConvTransformerSQAModel

    package = ConvTransformerSQAModel().eval()
    audio = [SPEECH[: int(s * RATE)] for s in (2.0, 7.68, 9.1)]
    found = judge.judge(audio)
    with torch.inference_mode():
        expected = [float(package(torch.from_numpy(item)[None])) for item in audio]
    assert [f["mos"] for f in found] == pytest.approx(expected, abs=1e-5)  # type: ignore[index]


@pytest.mark.parametrize("samples", [0, 1, 1601, 79, 50_000, 117_760, 119_039, 120_959, 122_880])
def test_distillmos_without_the_silence_is_the_same(samples: int) -> None:
    from distillmos import ConvTransformerSQAModel

    from bench.judges._distillmos_model import Sounding

    cnn = ConvTransformerSQAModel().eval().cnn
    row = torch.zeros(1, distillmos.SEGMENT)
    row[:, :samples] = torch.from_numpy(SPEECH[:samples]) + 0.01
    with torch.inference_mode():
        torch.testing.assert_close(Sounding(cnn)(row), cnn(row), rtol=0, atol=1e-6)


def test_distillmos_does_not_hear_the_gain() -> None:
    loud, quiet = distillmos.load().judge([SPEECH[:RATE], SPEECH[:RATE] / np.float32(8)])
    assert loud["mos"] == pytest.approx(quiet["mos"], abs=1e-3)  # type: ignore[index]


def test_distillmos_in_fixed_batches_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distillmos, "CUDA_BATCH", 2)
    judge = distillmos.load(threads=2)
    rows = distillmos.segments(SPEECH[: 9 * RATE])
    one_by_one = [judge._score_one(row) for row in rows]
    assert judge._score_batches(rows).tolist() == pytest.approx(one_by_one, abs=1e-4)
    assert torch.equal(judge._score_batches(rows)[1:], judge._score_batches(rows[1:]))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seconds", [4.6, 9.5, 11.2])
def test_dnsmos_equals_its_package(seconds: float) -> None:
    from speechmos import dnsmos as package

    audio = SPEECH[: int(seconds * RATE)]
    expected = package.run(audio, RATE)
    (found,) = dnsmos.load(threads=2).judge([audio])
    assert isinstance(found, dict)
    for name, value in found.items():
        key = f"{name}_mos"
        assert value == pytest.approx(float(expected[key]), abs=1e-4), name


def test_dnsmos_tells_background_from_speech() -> None:
    audio = SPEECH[: 5 * RATE]
    clean, noise = dnsmos.load(threads=2).judge([audio, noisy(audio, 10)])
    assert clean["bak"] - noise["bak"] > 1  # type: ignore[index,operator]


@pytest.mark.parametrize("samples", [1600, 144_159, 144_160, 160_000, 163_000, 400_000])
def test_dnsmos_windows_are_those_of_its_package(samples: int) -> None:
    audio = np.arange(samples, dtype=np.float32)
    expected, padded = [], audio
    while len(padded) < 144_160:
        padded = np.append(padded, padded)
    for n in range(int(np.floor(len(padded) / RATE) - 9.01) + 1):
        window = padded[int(n * RATE) : int((n + 9.01) * RATE)]
        if len(window) >= 144_160:
            expected.append(window)
    whole, starts = dnsmos.windows(audio)
    found = [whole[n * RATE : n * RATE + 144_160] for n in starts]
    assert len(found) == len(expected) > 0
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


# ------------------------------------------------------------------------------------- UTMOS
@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the real architecture, where UTMOS looks for them."""
    from utmos_pytorch.utmos_torch import UTMOSModel

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "utmos" / utmos.FILES[1]
    path.parent.mkdir()
    torch.save(UTMOSModel().state_dict(), path)
    return path


@pytest.mark.slow
def test_utmos_equals_its_package_and_judges_alone(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from utmos_pytorch import UTMOSScoreTorch

    monkeypatch.setenv("BENCH_WEIGHTS_DIR", str(weights.parent.parent))
    judge = utmos.load(threads=2)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert digest[:12] in judge.info.version
    audio = [SPEECH[:n] for n in (RATE // 2, 1000, RATE // 4, RATE)]
    found = judge.judge(audio)
    assert isinstance(found.pop(1), Exception) and audio.pop(1) is not None
    package = UTMOSScoreTorch(str(weights))
    expected = [float(package.score(torch.from_numpy(item))) for item in audio]
    assert [f["mos"] for f in found] == pytest.approx(expected, abs=1e-5)  # type: ignore[index]
    assert len(set(expected)) == 3
    assert found == [judge.judge([item])[0] for item in audio]


def test_utmos_refuses_weights_that_are_not_its_own(weights: Path, tmp_path: Path) -> None:
    state = torch.load(weights, weights_only=True)
    broken = tmp_path / "broken.pt"
    torch.save(dict(list(state.items())[:-1]), broken)
    with pytest.raises(UserError, match="lacks 1 of"):
        utmos.load(weights=broken)
    torch.save({**state, "output_layers.1.net.3.bias": torch.zeros(7)}, broken)
    with pytest.raises(UserError, match="other weights"):
        utmos.load(weights=broken)
    with pytest.raises(UserError, match="sha256"):
        utmos.load(weights=broken, sha256="0" * 64)


def test_utmos_without_weights_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(utmos, "_cached", lambda: None)
    monkeypatch.setenv("BENCH_WEIGHTS_DIR", str(tmp_path))
    with pytest.raises(WeightsUnavailable) as caught:
        utmos.load()
    assert caught.value.command == f"{utmos.COMMAND} --local-dir {tmp_path / 'utmos'}"
    assert caught.value.command in str(caught.value) and "\n" not in str(caught.value)
    monkeypatch.delenv("BENCH_WEIGHTS_DIR")
    with pytest.raises(WeightsUnavailable, match="hf download"):
        utmos.load()
