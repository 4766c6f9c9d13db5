"""`bench show`: a finished run in parts, every figure from the stored sums."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from bench.breakdown import HEARD, UNHEARD, broken_down
from bench.cli import main
from bench.errors import UserError
from bench.results import read_result

(RUN,) = (p.parent for p in (Path(__file__).parent / "historic_results").glob("v1/**/result.json"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A copy whose tokenizer says that it was trained on one of the speakers."""
    folder = tmp_path / "run"
    shutil.copytree(RUN, folder)
    result = json.loads((folder / "result.json").read_text())
    speaker = pd.read_parquet(folder / "scores.parquet")["speaker"].iloc[0]
    result["tokenizer"]["training_speakers"] = [speaker]
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def ratio(table: pd.DataFrame) -> float:
    return table["numerator"].sum() / table["denominator"].sum()


def a_metric(folder: Path) -> str:
    """A metric that is a ratio of sums, and its scores."""
    table = pd.read_parquet(folder / "scores.parquet")
    return str(table.loc[table["target"].isna() & (table["metric"] == "stoi"), "metric"].iloc[0])


@pytest.mark.parametrize("by", ["language", "corpus", "speaker"])
def test_a_part_is_the_ratio_of_its_sums(by: str) -> None:
    table = pd.read_parquet(RUN / "scores.parquet")
    table = table[table["metric"] == a_metric(RUN)]
    parts = broken_down(read_result(RUN / "result.json"), RUN / "scores.parquet", by, ["stoi"])
    assert set(parts) == set(table[by])
    for group, rows in parts.items():
        own = table[table[by] == group]
        assert rows["stoi"].value == pytest.approx(ratio(own))
        assert rows["stoi"].n == len(own)


def test_the_whole_in_one_part_is_the_result() -> None:
    result = read_result(RUN / "result.json")
    parts = broken_down(result, RUN / "scores.parquet", None, [])
    for track in result.tracks.values():
        for name, row in track.items():
            if row.n and name in parts["all"]:
                assert parts["all"][name].value == pytest.approx(row.value)
                assert parts["all"][name].ci95 == pytest.approx(row.ci95)


def test_heard_and_unheard_voices(run: Path) -> None:
    result = read_result(run / "result.json")
    parts = broken_down(result, run / "scores.parquet", "voices", ["stoi"])
    table = pd.read_parquet(run / "scores.parquet")
    table = table[table["metric"] == "stoi"]
    heard = table["speaker"].isin(result.tokenizer.training_speakers or [])
    for group, own in ((HEARD, table[heard]), (UNHEARD, table[~heard])):
        if len(own):
            assert parts[group]["stoi"].value == pytest.approx(ratio(own))
        else:
            assert group not in parts


def test_a_run_that_does_not_tell_its_voices() -> None:
    with pytest.raises(UserError, match="does not tell which speakers it was trained on"):
        broken_down(read_result(RUN / "result.json"), RUN / "scores.parquet", "voices", [])


def test_what_is_printed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(run)]) == 0
    whole = capsys.readouterr().out
    assert main(["show", str(run), "--by", "speaker", "--metrics", "stoi"]) == 0
    parts = capsys.readouterr().out
    assert "stoi ↑" in whole and "pesq" not in parts and "stoi ↑" in parts
    assert max(map(len, (whole + parts).splitlines())) <= 100
    assert main(["show", str(run / "result.json"), "--by", "speaker", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert all("value" in row for rows in found.values() for row in rows.values())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "cannot be read"),
        ([str(RUN), "--by", "speaker", "--metrics", "stio"], "did you mean 'stoi'?"),
    ],
)
def test_wrong_arguments(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", *arguments]) == 2
    assert told in capsys.readouterr().err
