"""Training: what a run depends on, kills and resumption, bad input, and what was trained on."""

from __future__ import annotations

import csv
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
import torch

from bench import checkpoint
from bench.errors import UserError
from bench.nn.soundstream import HOP, SoundStreamConfig
from bench.nn.vocoder import UnitVocoder, VocoderConfig, load_vocoder
from bench.train import corpus, loop
from bench.train.adversary import Adversary
from bench.train.gan import average, falling
from bench.train.loop import Loop, cosine
from bench.train.soundstream import Settings, Trainer
from bench.train.units import UnitClip, UnitCrops, pitch
from bench.train.vocoder import Settings as VocoderSettings
from bench.train.vocoder import Trainer as VocoderTrainer
from tests.conftest import ROOT, bench

SMALL = SoundStreamConfig(
    books=2, entries=8, dimension=8, encoder_width=16, encoder_depth=1, decoder_width=16,
    decoder_depth=1,
)  # fmt: skip
STEPS = 18


def clips(count: int = 6) -> list[corpus.Clip]:
    return list(corpus.clips(corpus.rows(["mini"], "train", language=["en"])[:count]))


def small_trainer() -> Trainer:
    """A run that goes through all three stages in STEPS steps."""
    chosen = Settings(SMALL, batch=2, seconds=0.4, warmup=4, adversarial_from=10)
    found = clips()
    return Trainer(
        chosen,
        corpus.Crops(found, 0.4, 2, 0),
        corpus.Crops(found, 0.4, 2, 1),
        corpus.Crops(found, 0.4, 4, 2, augment=False),
        "cpu",
    )


def run(folder: Path, steps: int = STEPS) -> dict[str, torch.Tensor]:
    """Train up to `steps` (on from where the folder is) and return the exported weights."""
    trainer = small_trainer()
    made = Loop(folder, trainer.parts, trainer.settings.to_dict())
    made.run(steps, trainer.step, quiet=True)
    trainer.export(folder / "out", made.step)
    return checkpoint.load(folder / "out", "soundstream").tensors


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """States are saved every two steps."""
    monkeypatch.setattr(loop, "LOG_EVERY", 2)
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)


# --------------------------------------------------------------------------------- resumption
def test_a_run_in_pieces_ends_like_one_in_one_go(tmp_path: Path, often: None) -> None:
    torch.set_num_threads(1)
    whole = run(tmp_path / "whole")
    for steps in (3, 7, 12, STEPS):  # in the warm-up, at the quantizer's start, in both stages
        parts = run(tmp_path / "parts", steps)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    logs = [(tmp_path / n / "log.csv").read_text().splitlines() for n in ("whole", "parts")]
    assert [line.split(",")[0] for line in logs[1]] == [line.split(",")[0] for line in logs[0]]


def test_a_killed_run_goes_on(tmp_path: Path, often: None) -> None:
    torch.set_num_threads(1)
    script = (
        "import torch; torch.set_num_threads(1)\n"
        "from bench.train import loop; loop.LOG_EVERY, loop.SAVE_SECONDS = 2, 0.0\n"
        "from pathlib import Path; from tests.test_train import run\n"
        f"run(Path({str(tmp_path / 'killed')!r}))"
    )
    random = np.random.default_rng(0)
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, start_new_session=True)
        state, began = tmp_path / "killed" / "state.pt", time.monotonic()
        before = state.stat().st_mtime_ns if state.is_file() else 0
        while time.monotonic() - began < 60 and process.poll() is None:
            if state.is_file() and state.stat().st_mtime_ns != before:
                break
            time.sleep(0.02)
        time.sleep(random.uniform(0, 0.3))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    killed, whole = run(tmp_path / "killed"), run(tmp_path / "whole")
    assert all(torch.equal(whole[name], killed[name]) for name in whole)


def test_another_setting_does_not_resume(tmp_path: Path, often: None) -> None:
    part = torch.nn.Linear(1, 1)
    Loop(tmp_path, {"model": part}, {"seed": 0, "batch": 8}).save()
    with pytest.raises(UserError, match="holds a run with another seed; give the same"):
        Loop(tmp_path, {"model": part}, {"seed": 1, "batch": 8})


def test_a_damaged_state_is_told(tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(UserError, match=r"is damaged .*; delete it to begin anew"):
        Loop(tmp_path, {}, {})


def test_a_pickle_in_place_of_the_state_is_not_run(tmp_path: Path) -> None:
    import pickle

    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "harmed"),)

    (tmp_path / "state.pt").write_bytes(pickle.dumps(Harm()))
    with pytest.raises(UserError, match="is damaged"):
        Loop(tmp_path, {}, {})
    assert not (tmp_path / "harmed").exists()


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path, often: None) -> None:
    with pytest.raises(UserError, match="no longer finite at step 2"):
        Loop(tmp_path, {}, {}).run(9, lambda step: {"loss": math.nan}, quiet=True)


def test_the_rate_rises_and_falls() -> None:
    rates = [cosine(n, 1000, warmup=100) for n in range(1001)]
    assert rates[99] == 1.0 == max(rates)
    assert rates[1000] == pytest.approx(0.02)
    assert rates[99:] == sorted(rates[99:], reverse=True)


# ------------------------------------------------------------------------------------- speech
def test_crops_depend_on_seed_and_step_alone() -> None:
    found = clips()
    one, other = corpus.Crops(found, 0.5, 4, 3), corpus.Crops(found, 0.5, 4, 3)
    one.at(5)
    np.testing.assert_array_equal(one.at(9), other.at(9))
    assert not np.array_equal(one.at(9), one.at(10))
    assert not np.array_equal(one.at(9), corpus.Crops(found, 0.5, 4, 4).at(9))


def test_a_crop_without_augmentation_is_in_its_recording() -> None:
    found = clips(1)
    pcm = found[0].audio
    for crop in corpus.Crops(found, 0.3, 4, 0, augment=False).at(0):
        kept = np.trim_zeros(crop)
        at = [i for i in np.flatnonzero(pcm == kept[0]) if np.array_equal(
            pcm[i : i + len(kept)], kept)]  # fmt: skip
        assert at


def test_any_manifest_will_do(tmp_path: Path) -> None:
    for name, rate, channels in (("a", 44_100, 2), ("b", 8000, 1)):
        sf.write(tmp_path / f"{name}.wav", np.zeros((rate, channels)) + 0.25, rate)
    pd.DataFrame({"file": ["a.wav", "b.wav"]}).to_csv(tmp_path / "list.csv", index=False)
    rows = corpus.rows([str(tmp_path / "list.csv")], "train")
    assert [r["seconds"] for r in rows] == [1.0, 1.0]
    for clip in corpus.clips(rows):
        assert abs(len(clip.pcm) - 16_000) <= 1
        assert clip.audio[8000] == pytest.approx(0.25, abs=1e-3)


def test_a_manifest_without_validation_keeps_some_for_it(tmp_path: Path) -> None:
    names = [f"{n}.wav" for n in range(400)]
    pd.DataFrame({"file": names, "seconds": 1.0}).to_csv(tmp_path / "manifest.csv", index=False)
    heard = {r["file"] for r in corpus.rows([str(tmp_path)], "train")}
    held = {r["file"] for r in corpus.rows([str(tmp_path)], "validation")}
    assert heard | held == set(names) and not heard & held and 0 < len(held) < 30


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--data", "nowhere"], "--data nowhere: no manifest there"),
        (["--language", "xx"], "no recording of split 'train' in mini"),
        (["--warmup", "0"], "--warmup must be above 0 and below --adversarial-from"),
        (["--batch", "0"], "--batch must be 1 or more"),
        (["--favour", "mini"], "--favour wants CORPUS=N with N above 0, not 'mini'"),
        (["--favour", "nothing=2", "--language", "en"], "--favour nothing: the speech has no such"),
        (["--depths", "1,1"], "--depths wants four chances that add up to 1, not '1,1'"),
        (["--start", "nowhere"], "nowhere is no soundstream checkpoint"),
        (["--entries", "1"], "--entries must be 2 or more"),
    ],
)
def test_wrong_arguments(arguments: list[str], told: str, tmp_path: Path) -> None:
    done = bench("train", "soundstream", "--out", str(tmp_path / "run"), *arguments)
    assert done.returncode == 2
    assert told in done.stderr and "Traceback" not in done.stderr


def test_a_favoured_corpus_is_drawn_more_often() -> None:
    found = list(corpus.clips(corpus.rows(["mini"], "train")[:200:20]))
    names = sorted({c.corpus for c in found})
    plain = corpus.Crops(found, 0.1, 1, 0)._chance
    more = corpus.Crops(found, 0.1, 1, 0, favour={names[0]: 3.0})._chance
    mine = np.array([c.corpus == names[0] for c in found])
    odds = plain[mine].sum() / plain[~mine].sum()
    assert 0 < mine.sum() < len(mine)
    assert more[mine].sum() / more[~mine].sum() == pytest.approx(3 * odds)


def test_a_codec_goes_on_from_another(tmp_path: Path) -> None:
    run(tmp_path / "first", 6)
    trainer = small_trainer()
    trainer.start_from(checkpoint.load(tmp_path / "first" / "out", "soundstream"))
    again = trainer.model.state_dict()
    kept = checkpoint.load(tmp_path / "first" / "out", "soundstream").tensors
    assert all(torch.equal(again[n].half(), kept[n]) for n in kept)
    assert trainer.model.quantizer.counts.unique().tolist() == [1.0]


# ------------------------------------------------------------------------------------ vocoder
def test_pitch_of_a_tone_after_silence() -> None:
    t = np.arange(16_000) / 16_000
    tone = sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 6)).astype(np.float32) * 0.2
    tone[:4000] = 0
    f0 = pitch(tone)
    assert len(f0) == 50
    np.testing.assert_allclose(f0[16:46], 150, rtol=0.01)
    assert (f0[:10] == 0).all()
    assert pitch(tone[:500]).tolist() == [0.0, 0.0]


def vocoder() -> UnitVocoder:
    torch.manual_seed(0)
    config = VocoderConfig(20, 16_000 / 384, "abc", 16, 1, 16, 1)
    return UnitVocoder(config).eval()


@pytest.mark.parametrize("count", [1, 7, 40])
def test_spoken_units_have_their_length(count: int) -> None:
    units = torch.arange(count) % 20
    ones = torch.ones_like(units)
    assert len(vocoder().speak(units, ones)) == count * 384
    assert len(vocoder().speak(units, 2 * ones)) == 2 * count * 384
    assert len(vocoder().speak(units, None)) % 384 == 0


def test_runs_and_repetitions_sound_the_same() -> None:
    units = torch.tensor([3, 3, 3, 7, 1, 1])
    runs, lengths = torch.tensor([3, 7, 1]), torch.tensor([3, 1, 2])
    made = vocoder()
    assert torch.equal(made.speak(units, torch.ones_like(units)), made.speak(runs, lengths))


def test_a_vocoder_starts_from_another(tmp_path: Path) -> None:
    """The same units: all of it; other units: all but the embeddings; a codec: its decoder."""
    clip = UnitClip(np.arange(100) % 20, np.full(240, 100, dtype=np.float32),
                    np.zeros(100 * 384, dtype=np.int16))  # fmt: skip
    crops = UnitCrops([clip], 16_000 / 384, 12, 1, 0)

    def trainer(units: int = 20, kmeans: str = "abc", width: int = 16) -> VocoderTrainer:
        model = VocoderConfig(units, 16_000 / 384, kmeans, width, 1, width, 1)
        return VocoderTrainer(VocoderSettings(model), crops, crops, "cpu")

    first = vocoder()
    checkpoint.save(tmp_path, "unit-vocoder", first.config.to_dict(), first.state_dict())
    found = checkpoint.load(tmp_path, "soundstream", "unit-vocoder")
    same, other = trainer(), trainer(30, "def")
    for made in (same, other):
        made.start_from(found)
    assert torch.equal(same.model.embed.weight, first.embed.weight)
    assert len(other.model.embed.weight) == 30
    for name, weight in other.model.state_dict().items():
        assert "embed." in name or torch.equal(weight, first.state_dict()[name])
    with pytest.raises(UserError, match="sizes"):
        trainer(width=8).start_from(found)


def test_no_units_are_silence() -> None:
    assert len(vocoder().speak(torch.zeros(0, dtype=torch.long), None)) == 0


def test_crops_of_units_lie_on_their_sound() -> None:
    """A recording whose samples tell their time: the crop starts where its first unit does."""
    rate, frames = 16_000 / 384, 12
    pcm = (np.arange(64_000) // 64).astype(np.int16)
    units = np.arange(-(-64_000 // 384))
    f0 = 2 ** (np.arange(200) / 100).astype(np.float32)  # its log tells the frame
    crops = UnitCrops([UnitClip(units, f0, pcm)], rate, frames, 16, 0)
    batch = crops.at(0)
    for row in range(16):
        start = batch.units[row, 0] * 384
        assert batch.audio[row, 0] * 2**15 == start // 64
        frame = 100 * (batch.prosody[row, 1, 0] + crops.mean_octave)
        assert abs(frame * HOP - start) <= HOP / 2 + 1
    assert batch.known[:, 0].sum() == 0 and batch.known.any()


def test_a_vocoder_survives_its_checkpoint(tmp_path: Path) -> None:
    made = vocoder()
    checkpoint.save(tmp_path, "unit-vocoder", made.config.to_dict(), made.state_dict())
    units = torch.tensor([1, 2, 3])
    again = load_vocoder(tmp_path, "cpu").speak(units, torch.ones_like(units))
    assert torch.equal(again, made.speak(units, torch.ones_like(units)))


# ---------------------------------------------------------------------------------- adversary
def test_discriminators_tell_noise_from_tone() -> None:
    """A few steps of the hinge loss separate two sounds that are easy to tell apart."""
    torch.manual_seed(0)
    adversary = Adversary((256,), 4)
    optimizer = torch.optim.Adam(adversary.parameters(), 3e-3)
    tone = torch.sin(torch.arange(4000) * 0.3).repeat(2, 1)
    first = None
    for _ in range(40):
        loss = adversary.judge_loss(tone, 0.5 * torch.randn(2, 4000))
        first = loss.item() if first is None else first
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5 * first
    fool, match = adversary.maker_losses(tone, tone)
    assert match.item() == 0.0 and fool.item() >= 0.0


def test_one_discriminator_a_step_is_all_of_them_on_average() -> None:
    torch.manual_seed(0)
    adversary = Adversary((256, 128), 4)
    real, made = torch.randn(2, 4000), torch.randn(2, 4000)
    alone = [adversary.judge_loss(real, made, [i]).item() for i in (0, 1)]
    assert adversary.judge_loss(real, made).item() == pytest.approx(np.mean(alone))
    fool, match = adversary.maker_losses(real, made)
    each = [adversary.maker_losses(real, made, [i]) for i in (0, 1)]
    assert fool.item() == pytest.approx(np.mean([f.item() for f, _ in each]))
    assert match.item() == pytest.approx(np.mean([m.item() for _, m in each]))
    drawn = [adversary.draw(1, (0, step, 2)) for step in range(200)]
    assert 70 < sum(d == [0] for d in drawn) < 130
    assert drawn == [adversary.draw(1, (0, step, 2)) for step in range(200)]
    assert sorted(adversary.draw(2, (0, 0, 2))) == [0, 1]


def test_the_rate_falls_to_zero_at_the_end() -> None:
    fade = falling(10, 4)
    assert [fade(n) for n in (0, 6, 8, 9, 10, 11)] == [1, 1, 0.5, 0.25, 0, 0]
    assert falling(10, 0)(10) == 1


def test_the_average_moves_towards_the_new_weights() -> None:
    kept, new = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    torch.nn.init.zeros_(kept.weight)
    torch.nn.init.ones_(new.weight)
    average(kept, new, 0.9)
    average(kept, new, 0.9)
    assert kept.weight.item() == pytest.approx(0.19)


# ------------------------------------------------------------------------------ what ships
LISTS = sorted(checkpoint.SHIPPED.glob("**/data.csv"))


@pytest.mark.parametrize("path", LISTS, ids=[str(p.parent.name) for p in LISTS])
def test_no_shipped_checkpoint_heard_the_test(path: Path) -> None:
    mini = pd.read_parquet(ROOT / "bench" / "suites" / "mini" / "manifest.parquet")
    held = mini[mini["split"] != "train"]
    with path.open(newline="") as file:
        heard = list(csv.DictReader(file))
    assert not {r["utterance"] for r in heard} & set(held["utterance"])
    acted = {f"hedgewars-{v}" for v in ("HillBilly", "Default_es", "Default_ru", "Default_uk")}
    assert not {r["speaker"] for r in heard} & (acted | {"carlo-flora", "hedgewars-Mobster"})


@pytest.mark.parametrize(
    ("folders", "limit"), [(("soundstream", "moonshine-*"), 50e6), (("taste", "aligner"), 30e6)]
)
def test_the_shipped_checkpoints_are_small(folders: tuple[str, ...], limit: float) -> None:
    files = [p for f in folders for g in checkpoint.SHIPPED.glob(f) for p in g.rglob("*.*")]
    assert 1e6 < sum(p.stat().st_size for p in files if p.is_file()) <= limit
