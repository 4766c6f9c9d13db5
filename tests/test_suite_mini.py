"""The bundled suite `mini`: its files, splits, tasks and alignments hold what its card says."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import soundfile as sf

import bench.suites
from bench.suites.load import load_suite

MINI = Path(bench.suites.__file__).parent / "mini"
Row = dict[str, Any]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    found: list[Row] = pq.read_table(MINI / "manifest.parquet").to_pylist()
    return found


def of(rows: list[Row], split: str) -> list[Row]:
    return [r for r in rows if r["split"] == split]


def test_every_file_has_its_sum(rows: list[Row]) -> None:
    lines = (MINI / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    for name, digest in sums.items():
        assert hashlib.sha256((MINI / name).read_bytes()).hexdigest() == digest, name
    on_disk = {p.relative_to(MINI).as_posix() for p in (MINI / "audio").rglob("*") if p.is_file()}
    assert {r["file"] for r in rows} == on_disk == set(sums) - {"manifest.parquet"}


def test_audio_is_16_khz_mono_and_as_long_as_stated(rows: list[Row]) -> None:
    for row in rows:
        info = sf.info(str(MINI / row["file"]))
        assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16"), row["file"]
        assert row["seconds"] == info.frames / 16_000, row["file"]


def test_ids_are_unique_and_no_recording_stands_twice(rows: list[Row]) -> None:
    assert max(Counter(r["utterance"] for r in rows).values()) == 1
    sounds = {sf.read(MINI / r["file"], dtype="int16")[0].tobytes() for r in rows}
    assert len(sounds) == len(rows)


def test_no_held_out_sentence_is_trained_on(rows: list[Row]) -> None:
    words = {s: {(r["language"], frozenset(r["normalised_text"].split()))
                 for r in of(rows, s) if r["normalised_text"]}
             for s in ("test", "validation", "train")}  # fmt: skip
    assert not words["test"] & words["train"]
    assert not words["test"] & words["validation"]
    assert not words["validation"] & words["train"]


def test_acted_voices_are_in_one_split_each(rows: list[Row]) -> None:
    voices = {s: {r["speaker"] for r in of(rows, s) if r["corpus"] == "hedgewars"}
              for s in ("test", "validation", "train")}  # fmt: skip
    assert len(voices["test"]) == 4
    assert not voices["test"] & (voices["train"] | voices["validation"])
    assert not voices["validation"] & voices["train"]


def test_breadth_and_size(rows: list[Row]) -> None:
    assert len({r["speaker"] for r in rows}) >= 20
    assert len({r["language"] for r in rows}) >= 5
    assert sum(p.stat().st_size for p in MINI.rglob("*") if p.is_file()) <= 50e6
    test = of(rows, "test")
    assert len(test) <= 330
    assert sum(r["seconds"] for r in test) <= 660


def test_tasks_follow_their_rules(rows: list[Row]) -> None:
    enough = Counter((r["split"], r["speaker"]) for r in rows if r["seconds"] >= 1.0)
    for r in rows:
        tasks, seconds = set(r["tasks"]), r["seconds"]
        assert seconds >= 0.5 or "signal" not in tasks
        assert ("emotion" in tasks) == (r["affect"] is not None)
        read = r["language"] == "en" and r["text"] and 2 <= seconds <= 15
        assert ("transcription" in tasks) == bool(read)
        known = seconds >= 1.0 and enough[r["split"], r["speaker"]] >= 3
        assert ("speaker" in tasks) == known
        assert "quality" not in tasks or seconds >= 2.0
    assert sum("quality" in r["tasks"] for r in of(rows, "test")) <= 135


def test_affect_classes_have_examples_in_the_test(rows: list[Row]) -> None:
    counts = Counter(r["affect"] for r in of(rows, "test") if r["affect"])
    assert len(counts) >= 5
    assert min(counts.values()) >= 10
    assert set(counts) == {r["affect"] for r in of(rows, "train") if r["affect"]}
    with (MINI / "affect.csv").open(newline="") as file:
        classes = {r["line"]: r["affect"] for r in csv.DictReader(file)}
    for r in rows:
        if r["corpus"] == "hedgewars":
            assert r["affect"] == classes[r["utterance"].rsplit("/", 1)[1]]


@pytest.mark.parametrize("kind", ["phones", "words"])
def test_alignments_are_in_order_and_inside_the_file(rows: list[Row], kind: str) -> None:
    aligned = [r for r in rows if r[kind] is not None]
    english = [r for r in rows if r["language"] == "en" and r["text"]]
    assert len(aligned) >= 0.95 * len(english)
    for r in aligned:
        assert r["language"] == "en" and r[kind]
        end = 0.0
        for span in r[kind]:
            assert end - 0.005 <= span["start"] < span["end"] <= r["seconds"], r["utterance"]
            end = span["end"]


def test_words_of_an_alignment_are_those_of_the_text(rows: list[Row]) -> None:
    for r in rows:
        if r["words"] and not any(c.isdigit() for c in r["text"]):
            said = "".join(w["word"] for w in r["words"])
            assert said == "".join(c for c in r["text"].lower() if c.isalpha() or c == "'")


def test_every_correction_is_in_force(rows: list[Row]) -> None:
    texts = {r["utterance"]: r["text"] for r in rows}
    with (MINI / "corrections.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))
    assert listed
    for row in listed:
        assert texts[row["utterance"]] == row["spoken"] != row["published"]
        assert row["why"]


def test_the_loader_accepts_it_with_its_digest(rows: list[Row]) -> None:
    suite = load_suite("mini")
    assert (suite.name, suite.version) == ("mini", "1")
    assert {i.utterance.id for i in suite.items} == {r["utterance"] for r in of(rows, "test")}
    assert f"digest: {suite.digest}" in (MINI / "suite.yaml").read_text()
