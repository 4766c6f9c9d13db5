"""`bench train taste` on a few recordings: stages, resumption, mistakes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from bench import checkpoint
from bench.cli import parser
from bench.errors import UserError
from bench.nn.taste_spelling import FOLDER, LEXICON, load_pronouncer
from bench.nn.taste_text import SYMBOLS, Phones, spoken_words
from bench.train import corpus, taste, taste_command, taste_data
from bench.train.taste_spelling import train_speller
from tests.conftest import speech
from tests.taste_kit import WORDS, speller, write_aligner, write_units

STAGES = ["--warmup", "2", "--dropout-from", "4", "--sound-from", "5", "--adversarial-from", "7"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four prompts, the last held out, one without a transcript, and a lexicon of their words."""
    folder = tmp_path_factory.mktemp("speech")
    found = speech(4, "train")
    words: dict[str, str] = {}
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "speaker", "split", "language", "text"])
        for n, (row, clip) in enumerate(found):
            soundfile.write(folder / f"{n}.flac", clip, 16_000)
            split = "validation" if n == 3 else "train"
            writer.writerow([f"{n}.flac", "her", split, "xx", row["text"]])
            for word in (w for c in str(row["text"]).split() for w in spoken_words(c)):
                words[word] = " ".join(SYMBOLS[5 + ord(c) % 39] for c in word if c != "'")
        soundfile.write(folder / "silent.flac", found[0][1], 16_000)
        writer.writerow(["silent.flac", "her", "train", "xx", ""])
    lines = [f"{word} {phones}" for word, phones in words.items()]
    (folder / "lexicon.dict").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_units(tmp_path_factory.mktemp("units"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taste, "START_WORDS", 12)
    monkeypatch.setattr(taste_command, "HELD", 2)


def train(data: Path, units: Path, out: Path, *more: str) -> int:
    line = ["train", "taste", "--data", str(data), "--units", str(units), "--voice", "her",
            "--lexicon", str(data / "lexicon.dict"), "--batch", "1", "--others", "1",
            "--entries", "4", "--device", "cpu", "--threads", "1",
            "--out", str(out), *more]  # fmt: skip
    return taste_command.train_taste(parser().parse_args(line))


def ready(out: Path, prepared: Path) -> Path:
    """A run's folder with what takes long already there."""
    out.mkdir(exist_ok=True)
    (out / "prepared").symlink_to(prepared)
    if not (prepared / "reader").is_dir():
        write_aligner(prepared / "reader")
    speller(out / FOLDER)
    return out


def test_a_resumed_run_ends_with_the_weights_of_one_that_was_not_stopped(
    data: Path, units: Path, prepared: Path, tmp_path: Path, small: None
) -> None:
    whole, parts = (ready(tmp_path / name, prepared) for name in ("whole", "parts"))
    assert train(data, units, whole, *STAGES, "--steps", "9", "--snapshots", "6") == 0
    for steps in ("3", "6", "9"):
        assert train(data, units, parts, *STAGES, "--steps", steps) == 0
    one, other = (load_file(p / checkpoint.WEIGHTS) for p in (whole, parts))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    snapshot = load_file(whole / "step-6" / checkpoint.WEIGHTS)
    assert any(not torch.equal(one[n], snapshot[n]) for n in one if n.startswith("frames."))
    for name in ("quantizer.vectors", "mean", "aggregator.out.weight"):  # fixed with the sound
        assert torch.equal(one[name], snapshot[name])
    for folder in (whole, whole / "step-6"):
        assert load_pronouncer(folder).lexicon
        assert "silent" not in (folder / checkpoint.DATA).read_text()
    assert "(her)" in (whole / checkpoint.CARD).read_text()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--warmup", "9", "--dropout-from", "3"], "in this order"),
        (["--voice", "nobody"], "no recording of 'nobody'"),
        (["--lexicon", "/no/such/file"], "no such file"),
        (["--units", "/no/such/folder"], "does not exist"),
    ],
)
def test_mistakes_are_told_before_any_work(
    data: Path, units: Path, tmp_path: Path, more: list[str], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        train(data, units, tmp_path / "run", *more)
    assert not (tmp_path / "run" / "prepared").exists()


def test_labels_stand_where_the_phones_are() -> None:
    spans = (("SIL", 0.0, 0.05), ("K", 0.05, 0.1), ("IY", 0.1, 0.2))
    phones = [{"phone": name, "start": start, "end": end} for name, start, end in spans]
    found = taste_data.frame_labels(phones, 10)
    k, iy = (SYMBOLS.index(p) - 5 for p in ("K", "IY"))
    np.testing.assert_array_equal(found, [39, 39, k, k, iy, iy, iy, iy, 39, 39])


def test_windows_hold_whole_words_and_the_sound_that_goes_with_them(
    data: Path, prepared: Path
) -> None:
    from bench.nn.taste_listen import READER, PhoneReader
    from bench.nn.taste_text import Pronouncer, read_lexicon

    def known(word: str) -> Phones:
        return ()

    rows = corpus.rows([str(data)], "train")
    out = ready(data / "run", prepared)
    found = taste_data.prepare(rows, corpus.clips, lambda f: np.zeros(len(f), dtype=np.int64),
                               out / "prepared" / "test")  # fmt: skip
    reader = PhoneReader()
    checkpoint.load(prepared / "reader", READER).fill(reader)
    pronouncer = Pronouncer(read_lexicon(data / "lexicon.dict"), known)
    octave = taste_data.octave_of(found, "her")
    said = [taste_data.said(p, reader.eval(), pronouncer, ["her"], octave) for p in found]
    items = [s for s in said if s is not None]
    assert len(items) == len(found) == 6  # three recordings at two tempos
    windows = taste_data.Windows(items, 2, 2, 0)
    assert all(s.pcm is not None for s in windows.voice)
    one, again, other = windows.at(3, "cpu"), windows.at(3, "cpu"), windows.at(4, "cpu")
    assert torch.equal(one.audio, again.audio) and not torch.equal(one.audio, other.audio)
    assert one.audio.shape == (2, 36 * 320)
    frames = one.frames.sum(1)
    torch.testing.assert_close(one.pace.sum(1), frames)
    torch.testing.assert_close(torch.expm1(one.lengths).sum((1, 2)).round().long(), frames)
    assert one.units.shape == one.frames.shape == one.at.shape
    assert (one.inside.sum(1) <= 1).all()


def test_the_speller_learns_a_rule(tmp_path: Path) -> None:
    letters = "abdefghiklmnoprstuvz"
    random = np.random.default_rng(0)
    lexicon: dict[str, Phones] = dict(WORDS)
    for _ in range(600):
        word = "".join(random.choice(list(letters), random.integers(2, 7)))
        lexicon[word] = tuple(5 + letters.index(c) for c in word)
    train_speller(lexicon, tmp_path, 0, steps=250, batch=48)
    text = (tmp_path / checkpoint.CARD).read_text()
    exact = float(text.split("gives")[1].split("%")[0])
    assert exact > 50, text
    before = (tmp_path / checkpoint.WEIGHTS).stat().st_mtime_ns
    train_speller(lexicon, tmp_path, 0)  # it is there: nothing is done
    assert (tmp_path / checkpoint.WEIGHTS).stat().st_mtime_ns == before
    assert LEXICON not in [p.name for p in tmp_path.iterdir()]
