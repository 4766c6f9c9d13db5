"""`bench encode` and `bench decode`: token data sets that resume, say what failed, and decode."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from bench import audio, registry
from bench.cli import main
from bench.contracts import AudioBatch
from bench.dataset import COLUMNS, id_type
from bench.dataset_io import file_name
from bench.dataset_read import MAX_GROUP_IDS
from tests.conftest import ROOT, lyra_weights, speech

RATE = 16_000


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight utterances of 2 to 6 s in folders: FLAC, and one each of WAV in stereo, Ogg and MP3."""
    folder = tmp_path_factory.mktemp("corpus")
    for n, (_, samples) in enumerate(speech(8)):
        place = folder / f"s{n % 2}"
        place.mkdir(exist_ok=True)
        if n == 0:
            high = audio.resample(samples, RATE, 44_100)
            soundfile.write(place / "u0.wav", np.stack([high, high / 2], axis=1), 44_100)
        else:
            soundfile.write(place / f"u{n}.{ {1: 'ogg', 2: 'mp3'}.get(n, 'flac') }", samples, RATE)
    (folder / "s0" / "notes.txt").write_text("not audio")
    (folder / ".hidden.wav").write_text("not audio")
    return folder


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def encode(inputs: Path, out: Path, *more: object, tokenizer: str = "mulaw") -> int:
    return run("encode", inputs, "--tokenizer", tokenizer, "-o", out, "--device", "cpu", *more)


def decode(tokens: Path, out: Path, *more: object) -> int:
    return run("decode", tokens, "-o", out, "--device", "cpu", *more)


def rows_of(path: Path) -> dict[str, dict[str, Any]]:
    return {row["utterance"]: row for row in pq.read_table(path).to_pylist()}


def meta_of(path: Path) -> dict[str, Any]:
    return dict(json.loads(pq.read_schema(path).metadata[b"bench"]))


def wave(path: Path, seconds: float, rate: int = RATE, channels: int = 1) -> None:
    """A tone, so that it compresses."""
    t = np.arange(int(seconds * rate)) / rate
    tone = (0.3 * np.sin(2 * np.pi * 220 * t)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.repeat(tone[:, None], channels, axis=1), rate)


# ------------------------------------------------------------------------------------ what it holds
def test_a_folder_becomes_one_row_a_recording(corpus, tmp_path, capsys):
    out = tmp_path / "deep" / "tokens.parquet"
    assert encode(corpus, out) == 0
    rows = rows_of(out)
    names = [f"s{n % 2}/u{n}" for n in range(8)]
    assert list(rows) == sorted(names)
    assert rows["s0/u0"]["file"] == "s0/u0.wav"
    assert "1 .txt" in capsys.readouterr().err
    assert not list(out.parent.glob("*.parts")), "parts are removed at the end"
    assert not (out.parent / "tokens.failures.json").exists()


def test_ids_are_those_that_an_evaluation_gets(corpus, tmp_path):
    assert encode(corpus, tmp_path / "t.parquet", "--set", "bits=6,rate=24000") == 0
    tokenizer = registry.plugin("tokenizers", "mulaw").module.load(bits=6, rate=24_000)
    for name, row in rows_of(tmp_path / "t.parquet").items():
        source, rate = audio.read((corpus / row["file"]).read_bytes())
        clip = audio.resample(source, rate, 24_000)
        (expected,) = tokenizer.encode(AudioBatch.of([clip], 24_000))
        assert row["samples"] == expected.streams[0].tolist(), name
        assert row["audio_samples"] == len(clip)
        assert row["seconds"] == pytest.approx(len(source) / rate)
        assert (row["start"], row["transcript"]) == (0.0, None)


def test_the_schema_says_what_wrote_it_and_no_place(corpus, tmp_path):
    out = tmp_path / "t.parquet"
    assert encode(corpus, out, "--set", "bits=6") == 0
    schema, told = pq.read_schema(out), meta_of(out)
    assert schema.names == [*COLUMNS, "samples"]
    assert schema.field("samples").type == pa.list_(pa.int16())
    assert (told["tokenizer"], told["options"]) == ("mulaw", {"bits": 6, "rate": 16_000})
    assert told["variant"] == "mulaw@bits=6,rate=16000"
    assert (told["revision"], told["sample_rate"], told["nested"]) == ("1", 16_000, False)
    assert told["streams"] == [{"name": "samples", "vocabulary": 64, "rate": 16_000.0}]
    assert (told["format"], told["side_info_bits"], told["rows"]) == (1, 0.0, 8)
    assert str(tmp_path).encode() not in out.read_bytes()
    assert str(corpus).encode() not in out.read_bytes()
    assert pq.ParquetFile(out).metadata.row_group(0).column(0).compression == "ZSTD"


def test_weights_are_a_place_and_stay_out(data_dir, corpus, tmp_path):
    pytest.importorskip("ai_edge_litert", reason="pip install -e '.[lyra]'")
    weights = lyra_weights(data_dir)
    setting = f"weights={weights}"
    short = tmp_path / "in" / "u.flac"
    short.parent.mkdir()
    samples, _ = soundfile.read(corpus / "s1" / "u3.flac", dtype="float32")
    soundfile.write(short, samples[: RATE // 2 + 100], RATE)
    out = tmp_path / "t.parquet"
    more = ("--set", setting, "--set", "quantizers=16")
    assert encode(short.parent, out, *more, tokenizer="lyra") == 0
    assert meta_of(out)["options"] == {"quantizers": 16}
    row = rows_of(out)["u"]
    assert [len(row[f"q{k + 1}"]) for k in range(16)] == [26] * 16
    assert decode(out, tmp_path / "made", "--set", setting) == 0
    made, rate = soundfile.read(tmp_path / "made" / "u.flac", dtype="float32")
    assert (len(made), rate) == (RATE // 2 + 100, RATE)  # cut: 26 frames are 8320 samples
    assert np.std(made) > 0.005


@pytest.mark.parametrize(
    ("vocabulary", "kind"),
    [(2, "int16"), (1 << 15, "int16"), ((1 << 15) + 1, "int32"), ((1 << 31) + 1, "int64")],
)
def test_ids_have_the_smallest_type_that_holds_them(vocabulary, kind):
    assert str(id_type(vocabulary)) == kind
    assert np.iinfo(kind).max >= vocabulary - 1


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_a_manifest_gives_names_and_transcripts(corpus, tmp_path, suffix):
    folder = tmp_path / "m"
    shutil.copytree(corpus, folder)
    cells = [("007", "s0/u0.wav", "null, or not"), ("b/b", "s1/u3.flac", "")]
    path = folder / f"list.{suffix}"
    if suffix == "parquet":
        pq.write_table(
            pa.table(
                {k: [c[i] for c in cells] for i, k in enumerate(("utterance", "file", "text"))}
            ),
            path,
        )
    else:
        tab = {"csv": ",", "tsv": "\t"}[suffix]
        quoted = [[f'"{cell}"' for cell in row] for row in cells]
        path.write_text("\n".join(tab.join(r) for r in [("utterance", "file", "text"), *quoted]))
    assert encode(path, tmp_path / "t.parquet") == 0
    rows = rows_of(tmp_path / "t.parquet")
    assert [(r["utterance"], r["file"]) for r in rows.values()] == [c[:2] for c in cells]
    assert [r["transcript"] for r in rows.values()] == ["null, or not", None]


def test_a_long_recording_becomes_equal_pieces(tmp_path):
    wave(tmp_path / "in" / "long.wav", 10.0, 22_050, channels=2)
    wave(tmp_path / "in" / "short.wav", 3.0)
    out = tmp_path / "t.parquet"
    assert encode(tmp_path / "in", out, "--max-seconds", "3") == 0
    rows = rows_of(out)
    assert list(rows) == [f"long#{k:04d}" for k in (1, 2, 3, 4)] + ["short"]
    assert [r["start"] for r in rows.values()] == pytest.approx([0, 2.5, 5, 7.5, 0], abs=1e-3)
    assert sum(r["seconds"] for r in rows.values()) == pytest.approx(13.0)
    whole, rate = soundfile.read(tmp_path / "in" / "long.wav", dtype="float32")
    part = audio.resample(whole[55_125:110_250, 0], rate, RATE)
    tokenizer = registry.plugin("tokenizers", "mulaw").module.load()
    (expected,) = tokenizer.encode(AudioBatch.of([part], RATE))
    assert rows["long#0002"]["samples"] == expected.streams[0].tolist()


# -------------------------------------------------------------------------------------- the summary
def test_the_summary_is_computed_from_what_came_out(corpus, tmp_path, capsys):
    out = tmp_path / "t.parquet"
    assert encode(corpus, out, "--set", "bits=4", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    rows = rows_of(out)
    seconds = sum(row["seconds"] for row in rows.values())
    ids = sum(len(row["samples"]) for row in rows.values())
    assert (told["recordings"], told["rows"], told["ids"]) == (8, 8, ids)
    assert told["seconds"] == pytest.approx(seconds)
    assert told["bitrate"] == pytest.approx(4 * ids / seconds)
    assert told["streams"][0]["token_rate"] == told["token_rate"] == pytest.approx(ids / seconds)
    assert told["failures"] == []
    assert told["times_real_time"] > 0
    assert encode(corpus, out, "--set", "bits=4") == 0
    shown = capsys.readouterr()
    assert "16,000.0" in shown.out
    assert "64.00" in shown.out
    assert "is finished; --overwrite makes it anew" in shown.err


# ----------------------------------------------------------------------------------------- failures
@pytest.fixture
def troubled(corpus: Path, tmp_path: Path) -> Path:
    """Good recordings between ones that cannot be read."""
    folder = tmp_path / "troubled"
    shutil.copytree(corpus, folder)
    (folder / "a-text.wav").write_text("no audio at all")
    soundfile.write(folder / "b-empty.wav", np.zeros(0, np.float32), RATE)
    bad = np.full(RATE, np.nan, np.float32)
    soundfile.write(folder / "c-nan.wav", bad, RATE, subtype="FLOAT")
    whole = (corpus / "s1" / "u3.flac").read_bytes()
    (folder / "d-cut.flac").write_bytes(whole[: len(whole) // 2])
    whole = (corpus / "s0" / "u2.mp3").read_bytes()
    (folder / "e-cut.mp3").write_bytes(whole[: len(whole) // 2])
    os.mkfifo(folder / "f-pipe.wav")
    return folder


def test_what_cannot_be_read_is_listed_and_the_rest_encoded(troubled, tmp_path, capsys):
    out = tmp_path / "t.parquet"
    assert encode(troubled, out, "--json") == 1
    shown = capsys.readouterr()
    reasons = {f["utterance"]: f["reason"] for f in json.loads(shown.out)["failures"]}
    assert len(rows_of(out)) == 8
    assert set(reasons) == {"a-text", "b-empty", "c-nan", "d-cut", "e-cut", "f-pipe"}
    assert "cannot be read" in reasons["a-text"]
    assert reasons["b-empty"] == "audio is empty"
    assert reasons["c-nan"] == "audio holds NaN or infinity"
    assert "cannot be read" in reasons["d-cut"]
    assert "s before its header says" in reasons["e-cut"]
    assert "not a file" in reasons["f-pipe"]
    assert not any(str(tmp_path) in reason for reason in reasons.values())
    for name in reasons:
        assert f"failed: {name}: read:" in shown.err
    listed = json.loads((tmp_path / "t.failures.json").read_text())
    assert {f["file"] for f in listed} >= {"a-text.wav", "e-cut.mp3"}
    assert meta_of(out)["failures"] == 6
    assert encode(troubled, out) == 1, "a finished file with failures still says so"
    assert "failed: c-nan" in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["raise", "floats", "range", "negative", "streams", "type"])
def test_a_failing_tokenizer_costs_only_what_fails(plugins, corpus, tmp_path, capsys, fault):
    wave(tmp_path / "in" / "long.wav", 7.0)
    shutil.copytree(corpus, tmp_path / "in" / "good")
    out = tmp_path / "t.parquet"
    more = ("--set", f"fault={fault}", "--set", "above=6.5")
    assert encode(tmp_path / "in", out, *more, tokenizer="broken") == 1
    assert len(rows_of(out)) == 8
    assert "failed: long: encode: " in capsys.readouterr().err


def test_out_of_memory_halves_the_batch(plugins, corpus, tmp_path, capsys):
    out = tmp_path / "t.parquet"
    assert encode(corpus, out, "--set", "fault=oom", tokenizer="broken") == 0
    assert "trying half as many" in capsys.readouterr().err
    assert len(rows_of(out)) == 8


def test_everything_may_fail(troubled, tmp_path):
    out = tmp_path / "t.parquet"
    assert encode(troubled / "a-text.wav", out) == 1
    assert pq.read_table(out).num_rows == 0


# ----------------------------------------------------------------------------------- read elsewhere
def test_pandas_and_datasets_read_it(corpus, tmp_path):
    import pandas
    from datasets import load_dataset

    out = tmp_path / "t.parquet"
    assert encode(corpus, out) == 0
    frame = pandas.read_parquet(out, columns=["utterance", "samples"]).set_index("utterance")
    rows = load_dataset(
        "parquet", data_files=str(out), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert rows.column_names == [*COLUMNS, "samples"]
    assert len(rows) == len(frame) == 8
    for row in rows:
        assert frame.loc[row["utterance"], "samples"].tolist() == row["samples"]
        assert len(row["samples"]) == row["audio_samples"]


# --------------------------------------------------------------------------------------- wrong use
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "does not exist"),
        (["empty"], "no audio in"),
        (["corpus", "--tokenizer", "mulow"], "did you mean 'mulaw'"),
        (["corpus", "--set", "bits=99"], "choose 2 to 16"),
        (["corpus", "--batch-seconds", "0"], "--batch-seconds wants"),
        (["corpus", "--max-seconds", "nan"], "--max-seconds wants"),
        (["corpus", "--threads", "0"], "--threads wants"),
        (["corpus", "-o", "tokens"], "ends in .parquet"),
        (["corpus", "corpus"], "two recordings would be called 's0/u0'"),
        (["bad.csv"], "wants a column 'file'"),
        (["hole.csv"], "row 1 has no file"),
        (["bad.parquet"], "cannot be read as Parquet"),
    ],
)
def test_wrong_use_is_one_sentence(corpus, tmp_path, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "corpus").symlink_to(corpus)
    (tmp_path / "bad.csv").write_text("path\nx.wav\n")
    (tmp_path / "hole.csv").write_text("file,text\n,words\n")
    (tmp_path / "bad.parquet").write_text("x")
    given = ["encode", "--tokenizer", "mulaw", "-o", "t.parquet", "--device", "cpu"]
    assert main([*given, *arguments]) == 2
    out, error = capsys.readouterr()
    assert sentence in error
    assert out == ""
    assert "Traceback" not in error
    assert not (tmp_path / "t.parquet").exists()


def test_a_row_s_name_is_never_used_twice(tmp_path, capsys):
    wave(tmp_path / "in" / "a.wav", 2.0)
    wave(tmp_path / "in" / "a#0001.wav", 0.5)
    assert encode(tmp_path / "in", tmp_path / "t.parquet", "--max-seconds", "1") == 2
    assert "two rows would be called 'a#0001'" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------- resuming
@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of at most six seconds, so that eight utterances make several."""
    monkeypatch.setattr("bench.encoding.PART_SECONDS", 6.0)


def interrupt(corpus: Path, out: Path, monkeypatch: pytest.MonkeyPatch, *more: object) -> Path:
    """A run that ends before its parts are joined; the folder of the parts."""
    with monkeypatch.context() as patch:
        patch.setattr("bench.parts.Parts.finish", stop)
        assert encode(corpus, out, "--batch-seconds", "6", *more) == 130
    assert not out.exists()
    return out.with_name(out.name + ".parts")


def stop(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("damage", ["flip", "truncate", "seal", "facts", "gone"])
def test_a_damaged_part_is_made_again(corpus, tmp_path, monkeypatch, capsys, small_parts, damage):
    whole, out = tmp_path / "whole.parquet", tmp_path / "t.parquet"
    assert encode(corpus, whole, "--batch-seconds", "6") == 0
    parts = interrupt(corpus, out, monkeypatch)
    assert len(list(parts.glob("part-*.parquet"))) >= 4
    rows, seal = parts / "part-00001.parquet", parts / "part-00001.json"
    data = bytearray(rows.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
        rows.write_bytes(data)
    elif damage == "truncate":
        rows.write_bytes(data[:-100])
    elif damage == "seal":
        seal.write_text(seal.read_text()[:-9])
    elif damage == "facts":
        told = json.loads(seal.read_text())
        told["facts"]["rows"] += 1
        seal.write_text(json.dumps(told))
    else:
        seal.unlink()
    kept = (parts / "part-00000.parquet").stat().st_mtime_ns
    with monkeypatch.context() as patch:
        patch.setattr("bench.parts.Parts.finish", stop)
        assert encode(corpus, out, "--batch-seconds", "6") == 130
    assert (parts / "part-00000.parquet").stat().st_mtime_ns == kept, "finished work stays"
    assert ("part 1 is damaged: it is made again" in capsys.readouterr().err) == (damage != "gone")
    assert encode(corpus, out, "--batch-seconds", "6") == 0
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("change", ["option", "code", "recordings", "plan", "max"])
def test_parts_of_other_work_are_refused(
    corpus, tmp_path, monkeypatch, capsys, small_parts, change
):
    inputs, out = tmp_path / "in", tmp_path / "t.parquet"
    shutil.copytree(corpus, inputs)
    parts = interrupt(inputs, out, monkeypatch)
    more: list[object] = []
    sentence = "belongs to other work"
    if change == "option":
        more, sentence = ["--set", "bits=7"], "variant was 'mulaw@bits=8"
    elif change == "max":
        more, sentence = ["--max-seconds", "300"], "max_seconds was 600.0, now it is 300.0"
    elif change == "code":
        plan = json.loads((parts / "plan.json").read_text())
        (parts / "plan.json").write_text(json.dumps({**plan, "code": "another"}))
        sentence = "the tokenizer's code has changed since"
    elif change == "recordings":
        wave(inputs / "new.wav", 1.0)
        sentence = "the recordings have changed since"
    else:
        (parts / "plan.json").write_text("{")
        sentence = "plan.json is damaged"
    capsys.readouterr()
    assert encode(inputs, out, "--batch-seconds", "6", *more) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "--overwrite to begin anew" in error
    assert encode(inputs, out, "--batch-seconds", "6", "--overwrite", *more) == 0
    assert not parts.exists()


def test_a_finished_file_is_not_replaced_unasked(corpus, tmp_path, capsys):
    out = tmp_path / "t.parquet"
    assert encode(corpus, out) == 0
    first = out.read_bytes()
    assert encode(corpus, out, "--set", "bits=7") == 2
    assert "is finished and holds other work (variant 'mulaw@bits=8" in capsys.readouterr().err
    assert encode(corpus / "s0", out) == 2
    assert "recordings" in capsys.readouterr().err
    assert out.read_bytes() == first
    assert encode(corpus, out, "--set", "bits=7", "--overwrite") == 0
    assert meta_of(out)["options"]["bits"] == 7
    out.write_text("something of the person's own")
    assert encode(corpus, out) == 2
    assert "--overwrite to replace it" in capsys.readouterr().err
    assert out.read_text() == "something of the person's own"


def test_threads_and_a_finished_run_s_leavings_change_nothing(
    corpus, tmp_path, monkeypatch, small_parts
):
    one, out = tmp_path / "one.parquet", tmp_path / "t.parquet"
    assert encode(corpus, one, "--batch-seconds", "6", "--threads", "1") == 0
    parts = interrupt(corpus, out, monkeypatch)
    shutil.copytree(parts, tmp_path / "left")
    assert encode(corpus, out, "--batch-seconds", "6", "--threads", "3") == 0
    assert out.read_bytes() == one.read_bytes()
    shutil.move(tmp_path / "left", parts)  # killed after the file was in place
    assert encode(corpus, out, "--batch-seconds", "6") == 0
    assert not parts.exists()


KILLABLE = (
    "import sys, bench.cli, bench.encoding\n"
    "bench.encoding.PART_SECONDS = 6.0\n"
    "sys.exit(bench.cli.main(sys.argv[1:]))\n"
)


def begin(site: Path, *arguments: object) -> subprocess.Popen[bytes]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])}
    return subprocess.Popen(
        [sys.executable, "-c", KILLABLE, *map(str, arguments), "--device", "cpu"],
        env=env,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill_and_finish(
    site: Path, *arguments: object, kills: int, done: Callable[[], int]
) -> list[int]:
    """Kill −9 at random moments, each after more was finished than before, then let it end; what
    was finished after each kill."""
    moments = random.Random(kills)
    counts: list[int] = []
    for _ in range(kills):
        before = done()
        process = begin(site, *arguments)
        until = time.monotonic() + 120
        while done() == before and process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(moments.uniform(0.0, 0.15))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        counts.append(done())
    assert begin(site, *arguments).wait(timeout=240) == 0
    return counts


@pytest.mark.parametrize("kills", [2, pytest.param(15, marks=pytest.mark.slow)])
def test_killed_at_any_moment_it_ends_as_if_never_interrupted(
    testkit, plugins, corpus, tmp_path, small_parts, kills
):
    more = ("--batch-seconds", "6", "--set", "slow=0.1")
    assert encode(corpus, tmp_path / "w.parquet", *more, tokenizer="identity") == 0
    out = tmp_path / "t.parquet"
    arguments = ["encode", corpus, "--tokenizer", "identity", "-o", out, *more]

    def sealed() -> int:
        return len(list((tmp_path / "t.parquet.parts").glob("part-*.json")))

    counts = kill_and_finish(testkit, *arguments, kills=kills, done=sealed)
    assert counts[0] > 0, "the first kill came too early, or too late, to show anything"
    assert out.read_bytes() == (tmp_path / "w.parquet").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.parquet", "w.parquet"]


# ---------------------------------------------------------------------------------------- decoding
def test_decoding_gives_the_audio_back(plugins, corpus, tmp_path, capsys):
    out, made = tmp_path / "t.parquet", tmp_path / "made"
    assert encode(corpus, out, tokenizer="identity") == 0
    assert decode(out, made) == 0
    for n in range(3, 8):
        name = f"s{n % 2}/u{n}.flac"
        original, _ = soundfile.read(corpus / name, dtype="int16")
        again, rate = soundfile.read(made / name, dtype="int16")
        assert rate == RATE
        np.testing.assert_array_equal(again, original)
    assert soundfile.info(made / "s0" / "u0.flac").subtype == "PCM_16"
    assert "8 files written" in capsys.readouterr().out
    assert decode(out, tmp_path / "wav", "--format", "wav", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["written"], told["skipped"], told["failures"]) == (8, 0, [])
    for path in (tmp_path / "wav").rglob("*.wav"):
        again, _ = soundfile.read(path, dtype="int16")
        flac = made / path.relative_to(tmp_path / "wav").with_suffix(".flac")
        np.testing.assert_array_equal(again, soundfile.read(flac, dtype="int16")[0])


def test_decoding_goes_on_where_it_stopped(plugins, corpus, tmp_path, capsys):
    out, made = tmp_path / "t.parquet", tmp_path / "made"
    assert encode(corpus, out, tokenizer="identity") == 0
    assert decode(out, made, "--only", "s0/u2", "--only", "s1/u3") == 0
    files = {p.name: p.stat().st_mtime_ns for p in made.rglob("*.flac")}
    assert set(files) == {"u2.flac", "u3.flac"}
    assert decode(out, made) == 0
    assert "6 files written, 2 were there" in capsys.readouterr().out
    assert all(files[p.name] == p.stat().st_mtime_ns for p in made.rglob("u[23].flac"))
    assert len(list(made.rglob("*.flac"))) == 8
    assert decode(out, made, "--only", "u9") == 2
    assert "no row is called 'u9'" in capsys.readouterr().err


def test_killed_decoding_leaves_only_whole_files(testkit, plugins, corpus, tmp_path):
    out, made = tmp_path / "t.parquet", tmp_path / "made"
    more = ("--set", "slow=0.1")
    assert encode(corpus, out, *more, tokenizer="identity") == 0
    arguments = ("decode", out, "-o", made, "--batch-seconds", "1")
    counts = kill_and_finish(
        testkit, *arguments, kills=2, done=lambda: len(list(made.rglob("*.flac")))
    )
    assert 0 < counts[0] < 8
    assert decode(out, tmp_path / "whole") == 0
    expected = {
        p.relative_to(tmp_path / "whole"): p.read_bytes()
        for p in (tmp_path / "whole").rglob("*")
        if p.is_file()
    }
    found = {p.relative_to(made): p.read_bytes() for p in made.rglob("*") if p.is_file()}
    assert found == expected


def test_the_pieces_of_a_recording_are_asked_for_by_its_name(tmp_path):
    wave(tmp_path / "in" / "long.wav", 4.0)
    wave(tmp_path / "in" / "other.wav", 1.0)
    assert encode(tmp_path / "in", tmp_path / "t.parquet", "--max-seconds", "2") == 0
    assert decode(tmp_path / "t.parquet", tmp_path / "made", "--only", "long") == 0
    names = {p.name for p in (tmp_path / "made").glob("*.flac")}
    assert names == {"long#0001.flac", "long#0002.flac"}


def test_a_folder_with_anything_else_is_left_alone(plugins, corpus, tmp_path, capsys):
    out, other = tmp_path / "t.parquet", tmp_path / "o.parquet"
    assert encode(corpus, out) == 0
    assert encode(corpus, other, "--set", "bits=7") == 0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").write_text("mine")
    assert decode(out, tmp_path / "mine") == 2
    assert "is not empty" in capsys.readouterr().err
    assert decode(out, tmp_path / "made") == 0
    assert decode(other, tmp_path / "made") == 2
    assert "holds audio of other tokens" in capsys.readouterr().err


def test_failures_of_decoding_are_listed(plugins, corpus, tmp_path, capsys):
    out = tmp_path / "t.parquet"
    wave(tmp_path / "in" / "long.wav", 7.0)
    shutil.copytree(corpus, tmp_path / "in" / "good")
    more = ("--set", "fault=raise-decode", "--set", "above=6.5")
    assert encode(tmp_path / "in", out, *more, tokenizer="broken") == 0
    assert decode(out, tmp_path / "made") == 1
    assert "failed: long: decode: ValueError: no such id" in capsys.readouterr().err
    assert len(list((tmp_path / "made").rglob("*.flac"))) == 8


# ----------------------------------------------------------------------------------- hostile files
@pytest.fixture
def honest(tmp_path: Path) -> Path:
    """A small data set, to be spoilt."""
    for n in range(3):
        wave(tmp_path / "in" / f"u{n}.wav", 0.5 + n / 10)
    assert encode(tmp_path / "in", tmp_path / "t.parquet") == 0
    return tmp_path / "t.parquet"


def spoil(path: Path, change: dict[str, Any] | None = None, **columns: list[Any]) -> Path:
    """The same file with other metadata or other columns."""
    table = pq.read_table(path)
    for name, values in columns.items():
        kind = table.schema.field(name)
        at = table.schema.get_field_index(name)
        table = table.set_column(at, kind, pa.array(values, kind.type))
    told = {**meta_of(path), **(change or {})}
    table = table.replace_schema_metadata({b"bench": json.dumps(told).encode()})
    pq.write_table(table, path)
    return path


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../up", "__/__/up"),
        ("/etc/passwd", "etc/passwd"),
        ("..", "__"),
        ("a/./b//c", "a/_/b/c"),
        ("C:\\x", "C__x"),
        ("nul\0 \n", "nul_ _"),
        ("", "_"),
        ("...", "___"),
        ("ü" * 300, "ü" * 100),
        (".hidden", ".hidden"),
        ("a.b/c.d", "a.b/c.d"),
    ],
)
def test_no_name_leads_out_of_the_folder(name, safe):
    assert file_name(name) == safe


def test_names_that_climb_stay_inside(honest, tmp_path, capsys):
    spoil(honest, utterance=["../../escaped", "/tmp/absolute", None])
    made = tmp_path / "deep" / "made"
    assert decode(honest, made) == 1
    assert {str(p.relative_to(made)) for p in made.rglob("*.flac")} == {
        "__/__/escaped.flac",
        "tmp/absolute.flac",
    }
    assert not list(tmp_path.glob("escaped*"))
    assert "failed: ?: decode: it has no name" in capsys.readouterr().err


def test_a_link_in_the_folder_is_not_followed(honest, tmp_path, capsys):
    spoil(honest, utterance=["out/a", "b", "c"])
    assert decode(honest, tmp_path / "made", "--only", "b") == 0
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "made" / "out").symlink_to(tmp_path / "elsewhere")
    assert decode(honest, tmp_path / "made") == 1
    assert "a link leads its file out of the folder" in capsys.readouterr().err
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"samples": [[256], [0], [0]], "audio_samples": [1, 1, 1]}, "outside its vocabulary"),
        ({"samples": [[-1], [0], [0]], "audio_samples": [1, 1, 1]}, "outside its vocabulary"),
        ({"samples": [None, [0], [0]], "audio_samples": [1, 1, 1]}, "holds null"),
        ({"samples": [[None], [0], [0]], "audio_samples": [1, 1, 1]}, "holds null"),
        ({"samples": [[0] * 9000, [0], [0]], "audio_samples": [1, 1, 1]}, "has 9000 ids for"),
        ({"samples": [[], [0], [0]], "audio_samples": [1, 1, 1]}, "decode returned no audio"),
        ({"audio_samples": [-5, 9600, 11200]}, "audio_samples is -5"),
        ({"audio_samples": [10**15, 9600, 11200]}, "audio_samples is 1000000000000000"),
        ({"audio_samples": [None, 9600, 11200]}, "audio_samples is None"),
        ({"audio_samples": [80_000, 9600, 11200]}, "for an utterance of 5.00 s"),
        ({"utterance": ["x", "u1", "x"]}, "one whose file another row has"),
    ],
)
def test_a_row_that_cannot_be_is_listed_and_the_others_decode(
    honest, tmp_path, capsys, columns, sentence
):
    assert decode(spoil(honest, **columns), tmp_path / "made") == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("failed: ") == 1
    assert len(list((tmp_path / "made").glob("*.flac"))) == 2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"revision": "2"}, "was encoded with revision '2' of mulaw, but here '1' is loaded"),
        ({"tokenizer": "mulow"}, "did you mean 'mulaw'"),
        ({"tokenizer": "../../evil"}, "unknown tokenizer"),
        ({"options": {"bits": 99, "rate": 16_000}}, "choose 2 to 16"),
        ({"options": {"weights": "/etc"}}, "its metadata sets weights"),
        ({"options": {"bits": [8]}}, "its metadata cannot be used (options.bits"),
        ({"options": {"bits": 4, "rate": 16_000}}, "are not those of mulaw"),
        ({"sample_rate": 8000}, "are not those of mulaw"),
        ({"sample_rate": "many"}, "its metadata cannot be used (sample_rate"),
        ({"format": 2}, "its format is 2, this bench reads 1"),
        ({"streams": []}, "its metadata cannot be used (streams"),
        ({"streams": [{"name": "file", "vocabulary": 2, "rate": None}]}, "two columns"),
        ({"streams": [{"name": "q1", "vocabulary": 256, "rate": None}]}, "its columns are not"),
        ({"streams": [{"name": "samples", "vocabulary": 1 << 20, "rate": 1.0}]}, "its columns"),
        ({"ids": []}, "counts other streams"),
        ({"side_info_bits": float("nan")}, "its metadata cannot be used"),
    ],
)
def test_metadata_is_checked_before_anything_is_loaded(honest, tmp_path, capsys, change, sentence):
    assert decode(spoil(honest, change), tmp_path / "made") == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "does not exist"),
        (b"PAR1" + bytes(40) + b"PAR1", "cannot be read as Parquet"),
        (b"", "cannot be read as Parquet"),
        ("plain", "is no token data set"),
        ("deep", "its metadata cannot be used"),
    ],
)
def test_a_file_that_is_none_is_one_sentence(tmp_path, capsys, content, sentence):
    path = tmp_path / "t.parquet"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        text = b"[" * 100_000 if content == "deep" else None
        table = pa.table({"utterance": ["a"]})
        pq.write_table(table.replace_schema_metadata({b"bench": text} if text else None), path)
    assert decode(path, tmp_path / "made") == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error


def test_a_damaged_page_is_told(honest, tmp_path, capsys):
    data = bytearray(honest.read_bytes())
    place = pq.ParquetFile(honest).metadata.row_group(0).column(len(COLUMNS))
    data[place.dictionary_page_offset + place.total_compressed_size // 2] ^= 0xFF
    honest.write_bytes(data)
    assert decode(honest, tmp_path / "made") == 2
    assert "is damaged in its row group 0" in capsys.readouterr().err


def test_a_few_bytes_that_hold_very_many_ids_are_refused(honest, tmp_path, monkeypatch, capsys):
    """The bound is lowered to what a test can write; the file's own counts are what is checked."""
    monkeypatch.setattr("bench.dataset_read.MAX_GROUP_IDS", 1 << 20)
    assert MAX_GROUP_IDS == 1 << 28
    spoil(honest, samples=[[0] * (1 << 20), [0], [0]])
    assert honest.stat().st_size < 10_000
    assert decode(honest, tmp_path / "made") == 2
    assert "larger than `bench encode` makes any" in capsys.readouterr().err


def test_options_of_the_file_cannot_be_overruled(honest, tmp_path, capsys):
    assert decode(honest, tmp_path / "made", "--set", "bits=4") == 2
    assert "was encoded with bits=8" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------- memory
# Not ru_maxrss, which a child takes over from the process that started it.
MEASURE = (
    "import sys, bench.cli\n"
    "assert bench.cli.main(sys.argv[1:]) == 0\n"
    "lines = open('/proc/self/status').read().splitlines()\n"
    "print(next(int(x.split()[1]) for x in lines if x.startswith('VmHWM')) // 1024)\n"
)


def peak(*arguments: object) -> int:
    """Most memory that a process of its own had (MB)."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, arguments), "--device", "cpu", "--threads", "2"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
@pytest.mark.parametrize("files", [1, 60])
def test_memory_stays_flat_over_an_hour(tmp_path, files):
    """An hour at 16 kHz is 230 MB of samples and 460 MB of ids: neither may lie in memory."""
    found = []
    for seconds in (300, 3600):
        folder = tmp_path / str(seconds)
        for n in range(files):
            wave(folder / f"{n:02d}.wav", seconds / files)
        out = tmp_path / f"{seconds}.parquet"
        more = ("--max-seconds", "60")
        encoding = peak("encode", folder, "--tokenizer", "mulaw", "-o", out, *more)
        found.append((encoding, peak("decode", out, "-o", tmp_path / f"made{seconds}")))
        shutil.rmtree(folder)
        assert meta_of(out)["seconds"] == pytest.approx(seconds)
    (short, short_back), (long, long_back) = found
    assert long - short < 120, found
    assert long_back - short_back < 120, found
