"""The engine on real speech: what goes wrong is listed, nothing is lost, nothing is invented."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from bench.plan import make_plan
from bench.progress import Quiet
from bench.run import Pass
from bench.suites.load import load_suite
from bench.write import write_run
from tests.conftest import speech, write_suite


def run(suite: Path, out: Path, name="identity", settings=None, metrics=("rms",), **options):
    plan = make_plan(name, settings or {}, device="cpu", metrics=metrics)
    measured = Pass(
        plan,
        load_suite(str(suite)),
        cache=out / ".cache",
        where="cpu",
        reporter=Quiet(),
        batch_seconds=options.pop("batch_seconds", 30.0),
        threads=2,
    ).run()
    folder = out / plan.variant
    return write_run(measured, folder, where="cpu", seed=0), folder


def without_timing(folder: Path) -> dict:
    content = json.loads((folder / "result.json").read_text())
    content.pop("timing")
    return content


def test_a_perfect_tokenizer_differs_from_the_original_by_nothing(plugins, small_suite, tmp_path):
    result, folder = run(small_suite, tmp_path)
    row = result.tracks["resynthesis"]["rms"]
    assert result.failures == []
    assert row.n == 6
    assert row.difference == pytest.approx(0, abs=1e-5)
    assert row.value == pytest.approx(row.reference, abs=1e-5)
    assert result.tokenizer.delay_samples == 0
    scores = pq.read_table(folder / "scores.parquet").to_pandas()
    part = scores[scores.metric == "rms"]
    assert row.value == pytest.approx(part.numerator.sum() / part.denominator.sum())


def test_a_constant_delay_is_removed_and_reported(plugins, small_suite, tmp_path):
    result, _ = run(small_suite, tmp_path, settings={"late": "123"}, metrics=("si_sdr",))
    assert result.tokenizer.delay_samples == 123
    assert result.tracks["resynthesis"]["si_sdr"].value > 60


@pytest.mark.parametrize(
    ("fault", "stage", "reason"),
    [
        ("raise", "encode", "ZeroDivisionError: the model broke"),
        ("floats", "encode", "holds float32, not integers"),
        ("range", "encode", "outside its vocabulary of 65536"),
        ("negative", "encode", "outside its vocabulary"),
        ("streams", "encode", "returned 2 streams, not 1"),
        ("type", "encode", "returned list, not Tokens"),
        ("shape", "encode", "has 2 dimensions"),
        ("nan", "decode", "NaN"),
        ("short", "decode", "for an utterance of"),
        ("long", "decode", "for an utterance of"),
        ("empty", "decode", "no audio"),
        ("raise-decode", "decode", "ValueError: no such id"),
    ],
)
def test_a_plugin_s_fault_is_listed_and_costs_only_its_utterances(
    plugins, small_suite, tmp_path, fault, stage, reason
):
    lengths = sorted(i.utterance.seconds for i in load_suite(str(small_suite)).items)
    above = (lengths[2] + lengths[3]) / 2  # the three longest go wrong
    result, _ = run(small_suite, tmp_path, "broken", {"fault": fault, "above": str(above)})
    assert len(result.failures) == 3
    assert {f.stage for f in result.failures} == {stage}
    assert all(reason in f.reason for f in result.failures)
    row = result.tracks["resynthesis"]["rms"]
    assert (row.n, row.failures) == (3, 3)


def test_too_few_results_from_a_batch_send_its_utterances_one_at_a_time(
    plugins, small_suite, tmp_path
):
    result, _ = run(small_suite, tmp_path, "broken", {"fault": "count"})
    assert len(result.failures) == 6
    assert result.tracks["resynthesis"]["rms"].value is None


def test_out_of_memory_halves_the_batch_and_loses_nothing(plugins, small_suite, tmp_path, capsys):
    result, _ = run(small_suite, tmp_path, "broken", {"fault": "oom"})
    assert result.failures == []
    assert result.tracks["resynthesis"]["rms"].n == 6
    assert "out of memory" in capsys.readouterr().err


def test_batch_size_changes_nothing(plugins, small_suite, tmp_path):
    _, one = run(small_suite, tmp_path / "one", "mulaw", batch_seconds=0.1)
    _, many = run(small_suite, tmp_path / "many", "mulaw", batch_seconds=60)
    assert without_timing(one) == without_timing(many)
    assert (one / "tokens.parquet").read_bytes() == (many / "tokens.parquet").read_bytes()


def test_the_second_run_computes_nothing_and_ends_the_same(plugins, small_suite, tmp_path):
    first, folder = run(small_suite, tmp_path, metrics=("rms", "stoi"))
    before = without_timing(folder), (folder / "scores.parquet").read_bytes()
    second, _ = run(small_suite, tmp_path, metrics=("rms", "stoi"))
    assert (without_timing(folder), (folder / "scores.parquet").read_bytes()) == before
    assert first.timing["encode"] > 0
    assert second.timing["encode"] == second.timing["metrics"] == second.timing["judges"] == 0


def test_unusable_audio_is_listed_and_the_rest_is_scored(plugins, tmp_path):
    clips = speech(3)
    suite = write_suite(tmp_path / "s", clips)
    folder = suite.parent
    (folder / "u00.flac").write_bytes(b"fLaC but not really")
    (folder / "u01.flac").unlink()
    result, _ = run(suite, tmp_path / "out")
    assert {(f.utterance, f.stage) for f in result.failures} == {("u00", "load"), ("u01", "load")}
    assert result.tracks["resynthesis"]["rms"].n == 1
    assert result.tracks["resynthesis"]["rms"].failures == 2


def test_silence_fails_the_judge_that_cannot_hear_it_and_only_that(plugins, tmp_path):
    clips = [*speech(2), ({"speaker": "s", "text": ""}, np.zeros(16_000, np.float32))]
    result, _ = run(write_suite(tmp_path / "s", clips), tmp_path / "out")
    assert [(f.utterance, f.stage) for f in result.failures] == [("u02", "judge:loudness")] * 2
    assert "silence has no loudness" in result.failures[0].reason
    assert result.tracks["tokens"]["bitrate"].n == 3


@pytest.mark.parametrize("rate", [8000, 48_000])
def test_other_rates_and_stereo_are_brought_to_the_tokenizer_s(plugins, tmp_path, rate):
    from bench.audio import resample

    clips = []
    for row, x in speech(2):
        y = resample(x, 16_000, rate)
        clips.append(({**row, "rate": rate}, np.stack([y, y], axis=1)))
    result, _ = run(write_suite(tmp_path / "s", clips), tmp_path / "out", "mulaw")
    assert result.failures == []
    assert result.tracks["tokens"]["token_rate"].value == pytest.approx(16_000, rel=1e-3)


def test_twenty_milliseconds_and_sixty_seconds(plugins, tmp_path):
    x = speech(1)[0][1]
    clips = [
        ({"speaker": "s", "text": "a"}, x[:320]),
        ({"speaker": "s", "text": "b"}, np.resize(x, 60 * 16_000)),
    ]
    result, _ = run(
        write_suite(tmp_path / "s", clips), tmp_path / "out", "mulaw", metrics=("rms", "stoi")
    )
    assert result.tracks["resynthesis"]["rms"].n == 2
    stages = [(f.utterance, f.stage) for f in result.failures]
    assert stages == [("u00", "metric:stoi")]


def test_an_edited_plugin_does_not_get_its_old_tokens(plugins, small_suite):
    plan = make_plan("identity", {}, device="cpu", tracks=["tokens"])
    changed = make_plan("identity", {"late": "1"}, device="cpu", tracks=["tokens"])
    assert plan.identity != changed.identity
    assert len(plan.identity["code"]) == 64
