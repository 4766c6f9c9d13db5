"""Suites: one corpus in any format is one corpus; data sets of the hub; digests; examples."""

from __future__ import annotations

import io
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import yaml

from bench.cli import main
from bench.errors import UserError
from bench.suites.load import Suite, load_suite
from bench.suites.schema import SuiteFile
from tests.conftest import ROOT, bench, speech

Row = dict[str, Any]


def corpus(folder: Path) -> list[Row]:
    """Four real recordings in `folder`, with labels that are easily read as something else."""
    labels = [
        ("007", "01", "none of it", "anger"),
        ("1e3", "02", "None", ""),
        ("NA", "01", "42", "joy"),
        ("ünïcode, quoted", "NaN", "", "none"),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for (name, speaker, text, affect), (_, samples) in zip(labels, speech(4), strict=True):
        file = f"{len(rows)}.flac"
        soundfile.write(folder / file, samples, 16_000)
        rows.append(
            {
                "utterance": name,
                "file": file,
                "language": "en",
                "speaker": speaker,
                "text": text or None,
                "affect": affect or None,
                "seconds": len(samples) / 16_000,
                "tasks": ["signal", "transcription"] if text else ["signal"],
            }
        )
    return rows


def write(folder: Path, rows: list[Row], kind: str) -> Suite:
    """The suite of a manifest of this kind."""
    import pandas as pd

    manifest = folder / f"manifest.{kind}"
    if kind == "csv":
        frame = pd.DataFrame(rows)
        if "tasks" in frame:
            frame["tasks"] = [";".join(t) for t in frame["tasks"]]
        frame.to_csv(manifest, index=False)
    elif kind == "jsonl":
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        pd.DataFrame(rows).to_parquet(manifest)
    path = folder / f"{kind}.yaml"
    path.write_text(f"name: small\nversion: '1'\nmanifest: {manifest.name}\n")
    return load_suite(str(path))


def test_csv_jsonl_and_parquet_are_one_corpus(tmp_path: Path) -> None:
    rows = corpus(tmp_path)
    suites = [write(tmp_path, rows, kind) for kind in ("csv", "jsonl", "parquet")]
    assert len({suite.digest for suite in suites}) == 1
    assert suites[0].items == suites[1].items == suites[2].items
    found = {i.utterance.id: i.utterance for i in suites[0].items}
    assert set(found) == {row["utterance"] for row in rows}
    for row in rows:
        utterance = found[row["utterance"]]
        assert (utterance.speaker, utterance.text) == (row["speaker"], row["text"])
        assert utterance.seconds == pytest.approx(row["seconds"])
        assert utterance.affect == (None if row["affect"] == "none" else row["affect"])
    assert suites[0].of_task("transcription") == [i for i in suites[0].items if i.utterance.text]


def test_seconds_and_tasks_are_found_where_the_manifest_has_none(tmp_path: Path) -> None:
    rows = corpus(tmp_path)
    bare = [{k: v for k, v in r.items() if k not in ("seconds", "tasks")} for r in rows]
    for kind in ("csv", "jsonl", "parquet"):
        items = {i.utterance.id: i for i in write(tmp_path, bare, kind).items}
        for row in rows:
            item = items[row["utterance"]]
            assert item.utterance.seconds == row["seconds"]
            expected = {"signal", "speaker", "quality"}
            expected |= {"transcription"} if row["text"] else set()
            expected |= {"emotion"} if item.utterance.affect else set()
            assert item.tasks == expected


def test_the_order_of_rows_is_nothing(tmp_path: Path) -> None:
    rows = corpus(tmp_path)
    forth, back = write(tmp_path, rows, "csv"), write(tmp_path, rows[::-1], "csv")
    assert (forth.digest, forth.items) == (back.digest, back.items)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("utterance", "other"),
        ("speaker", "other"),
        ("language", "de"),
        ("text", "other words"),
        ("affect", "fear"),
        ("tasks", ["signal", "quality"]),
    ],
)
def test_a_changed_label_changes_the_digest(tmp_path: Path, column: str, value: Any) -> None:
    rows = corpus(tmp_path)
    before = write(tmp_path, rows, "parquet").digest
    rows[2][column] = value
    assert write(tmp_path, rows, "parquet").digest != before


def test_changed_or_missing_audio_changes_the_digest(tmp_path: Path) -> None:
    rows = corpus(tmp_path)
    digests = [write(tmp_path, rows, "csv").digest]
    samples, rate = soundfile.read(tmp_path / "1.flac", dtype="int16")
    samples[len(samples) // 2] ^= 1
    soundfile.write(tmp_path / "1.flac", samples, rate)
    digests.append(write(tmp_path, rows, "csv").digest)
    (tmp_path / "1.flac").unlink()
    digests.append(write(tmp_path, rows, "csv").digest)
    assert len(set(digests)) == 3


@pytest.mark.parametrize("limit", [1, 3, 4, 99])
def test_a_limit_takes_evenly_and_says_so_in_the_digest(tmp_path: Path, limit: int) -> None:
    write(tmp_path, corpus(tmp_path), "csv")
    path = str(tmp_path / "csv.yaml")
    whole, part = load_suite(path), load_suite(path, limit=limit)
    assert len(part.items) == min(limit, 4)
    assert set(part.items) <= set(whole.items)
    assert (part.digest == whole.digest) == (limit >= 4)
    assert part == load_suite(path, limit=limit)


def test_a_row_without_split_belongs_to_the_suite_s_split_only(tmp_path: Path) -> None:
    rows = corpus(tmp_path)
    for row, split in zip(rows, ["test", "train", None, "train"], strict=True):
        row["split"] = split
    for kind in ("csv", "jsonl", "parquet"):
        assert {i.utterance.id for i in write(tmp_path, rows, kind).items} == {"007", "NA"}
        trained = load_suite(str(tmp_path / f"{kind}.yaml"), split="train")
        assert {i.utterance.id for i in trained.items} == {"1e3", "ünïcode, quoted"}
    bare = [{k: v for k, v in row.items() if k != "split"} for row in rows]
    assert len(write(tmp_path, bare, "csv").items) == 4
    with pytest.raises(UserError, match="no utterance has split 'train'"):
        load_suite(str(tmp_path / "csv.yaml"), split="train")


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("file", None, "utterance '007' has no file"),
        ("seconds", "long", "which is no number"),
        ("tasks", ["singing"], "unknown task 'singing'"),
    ],
)
def test_wrong_cells(tmp_path: Path, column: str, value: Any, sentence: str) -> None:
    rows = [corpus(tmp_path)[0]]
    rows[0][column] = value
    with pytest.raises(UserError, match=sentence):
        write(tmp_path, rows, "csv")


# ------------------------------------------------------------------------ data sets of the hub
def librispeech(folder: Path, **more: Any) -> list[tuple[Row, bytes]]:
    """A data set folder with the schema of LibriSpeech, its FLAC bytes inside Parquet."""
    from datasets import Audio, Features, Value

    columns: dict[str, list[Any]] = {"audio": [], "text": [], "speaker_id": [], "id": []}
    found = []
    for n, (row, samples) in enumerate(speech(4)):
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, 16_000, format="FLAC")
        columns["audio"].append({"bytes": buffer.getvalue(), "path": f"{n % 2}-1-{n:04d}.flac"})
        columns["text"].append(str(row["text"]).upper())
        columns["speaker_id"].append(n % 2)  # 0 is a speaker too
        columns["id"].append(f"{n % 2}-1-{n:04d}")
        found.append((row, buffer.getvalue()))
    features = {
        "audio": Audio(16_000, decode=False),
        "text": Value("string"),
        "speaker_id": Value("int64"),
        "id": Value("string"),
    }
    for name, (feature, values) in more.items():
        features[name], columns[name] = feature, values
    (folder / "data").mkdir(parents=True)
    table = pa.table(columns, schema=Features(features).arrow_schema)
    pq.write_table(table, folder / "data" / "test-00000-of-00001.parquet")
    return found


LIBRISPEECH = {"utterance": "id", "speaker": "speaker_id", "text": "text", "audio": "audio"}


def hub_suite(folder: Path, dataset: str = "libri", **changed: Any) -> Path:
    hub = {"dataset": dataset, "language": "en", "corpus": "libri", "columns": LIBRISPEECH}
    content = {"name": "hub", "version": "1", "corpora": [{**hub, **changed}]}
    folder.mkdir(exist_ok=True)
    (folder / "suite.yaml").write_text(yaml.safe_dump(content))
    return folder / "suite.yaml"


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `datasets` prepares stays among the tests' files."""
    from datasets import config

    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))


def test_a_data_set_of_librispeech_s_schema(tmp_path: Path) -> None:
    clips = librispeech(tmp_path / "libri")
    suite = load_suite(str(hub_suite(tmp_path)))
    assert [i.utterance.id for i in suite.items] == [
        f"libri/{n}" for n in ("0-1-0000", "0-1-0002", "1-1-0001", "1-1-0003")
    ]
    assert [i.utterance.speaker for i in suite.items] == [
        "libri/0",
        "libri/0",
        "libri/1",
        "libri/1",
    ]
    for item, n in zip(suite.items, (0, 2, 1, 3), strict=True):
        assert item.utterance.text == str(clips[n][0]["text"]).upper()
        assert item.utterance.seconds == pytest.approx(clips[n][0]["seconds"])
        assert item.read_bytes() == clips[n][1]
        samples, rate = item.load()
        assert (rate, len(samples)) == (16_000, round(item.utterance.seconds * 16_000))
        assert item.tasks == {"signal", "speaker", "quality", "transcription"}
    assert load_suite(str(tmp_path / "suite.yaml")).digest == suite.digest


def test_two_data_sets_make_one_suite(tmp_path: Path) -> None:
    librispeech(tmp_path / "libri")
    path = hub_suite(tmp_path)
    content = yaml.safe_load(path.read_text())
    content["corpora"].append({**content["corpora"][0], "corpus": "again"})
    path.write_text(yaml.safe_dump(content))
    suite = load_suite(str(path))
    assert sorted({i.utterance.corpus for i in suite.items}) == ["again", "libri"]
    assert len(suite.items) == 8


def test_class_labels_come_by_their_names(tmp_path: Path) -> None:
    from datasets import ClassLabel

    feature = ClassLabel(names=["anger", "joy"])
    librispeech(tmp_path / "libri", emotion=(feature, [0, 1, -1, 0]))
    path = hub_suite(tmp_path, columns={**LIBRISPEECH, "affect": "emotion"})
    found = {i.utterance.id[-1]: i.utterance.affect for i in load_suite(str(path)).items}
    assert found == {"0": "anger", "1": "joy", "2": None, "3": "anger"}


def test_a_local_data_set_from_end_to_end(tmp_path: Path) -> None:
    librispeech(tmp_path / "libri")
    done = bench(
        *("eval", "mulaw", "--suite", str(hub_suite(tmp_path)), "--tracks", "tokens"),
        *("--limit", "3", "--out", str(tmp_path / "runs"), "--json"),
        HF_HOME=str(tmp_path / "hf"),
        check=True,
    )
    result = json.loads(done.stdout)
    assert result["failures"] == []
    assert result["suite"]["utterances"] == 3
    assert result["tracks"]["tokens"]["bitrate"]["value"] == pytest.approx(128_000)
    assert result["tracks"]["tokens"]["bitrate"]["n"] == 3


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"columns": {"audio": "sound"}}, "no column 'sound' for columns.audio: known: audio"),
        ({"columns": {"text": "texts"}}, "no column 'texts' for columns.text: did you mean 'text'"),
        ({"columns": {"words": "text"}}, "columns.words"),
        ({"split": "dev"}, "'libri' cannot be loaded: .*dev"),
        ({"config": "clean"}, "'libri' cannot be loaded: .*clean"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_wrong_data_sets(tmp_path: Path, changed: Row, sentence: str) -> None:
    librispeech(tmp_path / "libri")
    with pytest.raises(UserError, match=sentence) as caught:
        load_suite(str(hub_suite(tmp_path, **changed)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("switched", [False, True])
def test_an_unreachable_hub_is_told_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    switched: bool,
) -> None:
    from datasets import config
    from huggingface_hub import constants

    if switched:  # as HF_HUB_OFFLINE=1 does
        monkeypatch.setattr(config, "HF_HUB_OFFLINE", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    else:
        monkeypatch.setattr("bench.suites.hub.getproxies", dict)
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    path = hub_suite(tmp_path, "somebody/no_such_data_set")
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)  # between tries
    status = main(["eval", "mulaw", "--suite", str(path), "--out", str(tmp_path / "runs")])
    assert status == 2
    assert sum(waits) < 1
    out, error = capsys.readouterr()
    assert out == ""
    assert len(error.strip().splitlines()) == 1
    assert "'somebody/no_such_data_set' cannot be loaded" in error
    assert "--local-dir" in error
    assert constants.HF_HUB_OFFLINE is switched


# ------------------------------------------------------------------------ bundled and documented
def test_the_bundled_suite_has_the_digest_it_states() -> None:
    suite = load_suite("mini")
    stated = yaml.safe_load(suite.path.read_text())["digest"]
    assert suite.digest == stated
    assert load_suite(str(suite.path.parent)).digest == stated
    part = load_suite("mini", limit=7)
    assert len(part.items) == 7
    assert part.digest != stated


def test_every_example_of_the_page_on_suites_is_one() -> None:
    page = (ROOT / "docs" / "suites.md").read_text(encoding="utf-8")
    examples = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    assert len(examples) >= 2
    parsed = [SuiteFile.model_validate(yaml.safe_load(example)) for example in examples]
    assert any(p.manifest for p in parsed)
    assert any(p.corpora for p in parsed)


def test_wav_flac_and_ogg_at_any_rate(tmp_path: Path) -> None:
    tone = np.sin(np.arange(8000) * 0.1).astype(np.float32) / 2
    for name, sound, rate in [
        ("a.wav", tone, 8000),
        ("b.flac", np.stack([tone, tone], 1), 16_000),
        ("c.ogg", tone, 44_100),
    ]:
        soundfile.write(tmp_path / name, sound, rate)
    rows = [
        {"utterance": n, "file": n, "language": "en", "speaker": "s"}
        for n in ("a.wav", "b.flac", "c.ogg")
    ]
    items = write(tmp_path, rows, "jsonl").items
    assert [i.utterance.seconds for i in items] == pytest.approx([1.0, 0.5, 8000 / 44_100])
    assert [i.load()[1] for i in items] == [8000, 16_000, 44_100]
