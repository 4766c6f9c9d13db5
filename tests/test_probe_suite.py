"""Probes on real speech: the shapes that honest probes must have. Slow, and for trained weights."""

from __future__ import annotations

import csv
import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bench import registry
from bench.errors import UserError
from bench.options import resolve
from tests.conftest import bench

pytestmark = pytest.mark.slow

EMOTIONS = {"W": "anger", "F": "happiness", "N": "neutral", "T": "sadness"}


@cache
def at_hand(name: str) -> bool:
    """The tokenizer loads: its packages and weights are there."""
    plugin = registry.plugin("tokenizers", name)
    try:
        plugin.load(device="cpu", **resolve(plugin, {}))
    except (UserError, ImportError):
        return False
    return True


def probed(name: str, suite: str, out: Path, *extra: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Rows and details of one run of this track."""
    if not at_hand(name):
        pytest.skip(f"the weights of {name} are not at hand: `bench doctor` tells how to get them")
    arguments = ("eval", name, "--suite", suite, "--tracks", "probe", "--out", str(out), *extra)
    done = bench(*arguments, check=True)
    (result,) = out.rglob("result.json")
    assert done.returncode == 0
    details = json.loads(result.with_name("details.json").read_text())
    return json.loads(result.read_text())["tracks"]["probe"], details["probe"]


def german(data_dir: Path, folder: Path) -> Path:
    """emodb as a person's own suite of one split."""
    clips = sorted((data_dir / "emodb").glob("*.wav"))
    if not clips:
        pytest.skip(
            "no EMO-DB here: set BENCH_DATA_DIR to a folder that has its WAV files in emodb"
        )
    folder.mkdir(parents=True)
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["utterance", "file", "language", "speaker", "affect"])
        for clip in clips:
            shutil.copyfile(clip, folder / clip.name)
            writer.writerow([clip.stem, clip.name, "de", clip.stem[:2], EMOTIONS[clip.stem[5]]])
    text = 'name: emodb\nversion: "1"\nmanifest: manifest.csv\n'
    (folder / "suite.yaml").write_text(text)
    return folder / "suite.yaml"


@pytest.mark.parametrize("name", ["soundstream", "units"])
def test_emotion_of_unseen_voices_is_above_chance(
    name: str, data_dir: Path, tmp_path: Path
) -> None:
    suite = german(data_dir, tmp_path / "emodb")
    rows, details = probed(
        name, str(suite), tmp_path / "o", "--metrics", "emotion_accuracy_linear,emotion_uar_linear"
    )
    assert details["emotion"]["folds"] == 5
    assert rows["emotion_accuracy_linear"]["n"] == 339
    assert rows["emotion_uar_linear"]["ci95"][0] > 25.0, "four classes"


def test_the_shapes_of_honest_probes(tmp_path: Path) -> None:
    units, of_units = probed("units", "mini", tmp_path / "u")
    codec, of_codec = probed("soundstream", "mini", tmp_path / "s")
    for size in ("linear", "network"):
        assert units[f"phone_accuracy_{size}"]["value"] > codec[f"phone_accuracy_{size}"]["value"]
        assert units[f"asr_cer_{size}"]["value"] < codec[f"asr_cer_{size}"]["value"]
        for told in (of_units, of_codec):
            phone = told["phone"][size]["rows"]["phone_accuracy"]
            assert phone["tokens_minus"]["shuffled"]["ci95"][0] > 0, "order matters to phones"
            for task, row in (("speaker", "speaker_accuracy"), ("phone", "phone_accuracy")):
                found = told[task][size]["rows"][row]
                majority = max(found["majority"], 100 / len(told[task]["classes"]))
                # Ids that have heard a phone's neighbours can learn some of its random labels
                # (docs/probes.md), but nowhere near as many as true ones.
                half = found["arms"]["tokens"]["value"] / 2
                assert found["arms"]["random"]["value"] < max(majority + 15, half)
    assert codec["speaker_accuracy_network"]["value"] >= units["speaker_accuracy_network"]["value"]
    for told in (of_units, of_codec):
        for task in ("phone", "speaker", "emotion", "language"):
            for size in ("linear", "network"):
                for name, row in told[task][size]["rows"].items():
                    ceiling = row.get("tokens_minus", {}).get("features")
                    if ceiling and ceiling["ci95"] and name.endswith(("accuracy", "uar")):
                        assert ceiling["ci95"][0] <= 0, f"{task} {size} beats its ceiling"


def test_the_whole_track_fits_its_time(tmp_path: Path) -> None:
    rows, _ = probed("mulaw", "mini", tmp_path / "m", "--threads", "2")
    (result,) = (tmp_path / "m").rglob("result.json")
    spent = json.loads(result.read_text())["timing"]["probe"]
    print(f"track probe: {spent:.0f} s")
    assert rows["phone_accuracy_network"]["value"] > 0
    assert rows["keyword_accuracy_linear"]["note"] == "the suite has no corpus of single words"
