"""`bench submit`: what it refuses, shows and asks, and the branch or folder that it makes."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path

import pytest

from bench.cli import main
from bench.errors import UserError
from bench.leaderboards import submit as module
from bench.leaderboards.board import Board
from bench.leaderboards.entry import LIMITS, read_entry, token_hash
from bench.leaderboards.submit import without_paths
from bench.results import Failure, Result, dump, read_result
from tests.conftest import ROOT
from tests.leaderboard_kit import board, write_card, write_run

PLACE = "toy-1/toy@books=2/w1"


@pytest.fixture(scope="module")
def made() -> Board:
    return board()


@pytest.fixture(scope="module")
def run(made: Board, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run") / "toy", made)


@pytest.fixture(autouse=True)
def toy_board(made: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy board takes the place of the project's."""
    monkeypatch.setattr(module, "load_boards", lambda path: {made.name: made})


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_the_entry_is_written_and_holds_no_id(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = write_card(tmp_path / "card.json")
    out = tmp_path / "out"
    assert main(["submit", str(run), "--card", str(card), "--out", str(out), "--yes"]) == 0
    folder = out / PLACE
    assert {p.name for p in folder.iterdir()} == set(LIMITS) - {"withdrawal.json"}
    entry, refused = read_entry(folder, PLACE)
    assert refused == {}
    assert entry is not None
    import pyarrow.parquet as pq

    tokens = pq.read_table(run / "tokens.parquet").to_pylist()
    first = {r["utterance"]: r for r in entry.hashes.to_pylist()}[tokens[0]["utterance"]]
    assert first["counts"] == [len(tokens[0]["q0"]), len(tokens[0]["q1"])]
    assert first["sha256"] == token_hash([tokens[0]["q0"], tokens[0]["q1"]])
    told = capsys.readouterr().out
    for public in ("This will be public", "someone@example.org", "Apache-2.0", "wer ", "x86_64"):
        assert public in told
    # the same run again is the next revision, and the first stays
    assert main(["submit", str(run), "--card", str(card), "--out", str(out), "--yes"]) == 0
    assert sorted(p.name for p in (out / "toy-1" / "toy@books=2").iterdir()) == ["w1", "w1+2"]


def test_the_answer_no_writes_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    card = write_card(tmp_path / "card.json")
    assert main(["submit", str(run), "--card", str(card), "--out", str(tmp_path / "out")]) == 1
    assert not (tmp_path / "out").exists()


def test_without_a_terminal_it_wants_yes(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    card = write_card(tmp_path / "card.json")
    assert main(["submit", str(run), "--card", str(card), "--out", str(tmp_path / "out")]) == 2
    assert "--yes" in capsys.readouterr().err


def test_a_branch_is_made_and_nothing_else_changes(run: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "leaderboards" / "submissions").mkdir(parents=True)
    (checkout / "leaderboards" / "submissions" / ".gitkeep").touch()
    git(tmp_path, "init", "-q", "-b", "main", str(checkout))
    git(checkout, "config", "user.name", "t")
    git(checkout, "config", "user.email", "t@example.org")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-q", "-m", "first")
    (checkout / "work.txt").write_text("not committed")
    (checkout / "staged.txt").write_text("staged")
    git(checkout, "add", "staged.txt")
    before = (git(checkout, "rev-parse", "HEAD"), git(checkout, "status", "--porcelain"))
    card = write_card(tmp_path / "card.json")
    arguments = ["submit", str(run), "--card", str(card), "--to", str(checkout), "--yes"]
    assert main(arguments) == 0
    assert (git(checkout, "rev-parse", "HEAD"), git(checkout, "status", "--porcelain")) == before
    branch = "submit/toy-1-toy-books-2-w1"
    changed = git(checkout, "diff", "--name-status", "main", branch).splitlines()
    assert sorted(changed) == sorted(
        f"A\tleaderboards/submissions/{PLACE}/{name}"
        for name in LIMITS
        if name != "withdrawal.json"
    )
    assert git(checkout, "rev-parse", f"{branch}^") == before[0]
    # the branch is there: a second time is told, and changes nothing
    assert main(arguments) == 2
    assert main([*arguments, "--branch", "again"]) == 0


def test_a_checkout_of_something_else_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = write_card(tmp_path / "card.json")
    assert main(["submit", str(run), "--card", str(card), "--to", str(tmp_path), "--yes"]) == 2
    assert "git says" in capsys.readouterr().err


def test_a_card_is_written_once_to_be_filled_in(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = tmp_path / "card.json"
    assert main(["submit", str(run), "--new-card", str(card)]) == 0
    assert json.loads(card.read_text())["licence"] == "Apache-2.0"
    assert main(["submit", str(run), "--new-card", str(card)]) == 2
    assert "is there already" in capsys.readouterr().err
    # as it is, it says too little
    assert main(["submit", str(run), "--card", str(card), "--yes"]) == 2
    told = capsys.readouterr().err
    assert "contact is neither an e-mail" in told
    assert "links[0].url is no plain http" in told
    assert main(["submit", str(run)]) == 2
    assert "--new-card card.json" in capsys.readouterr().err


def test_changed_files_and_partial_runs_are_refused(
    run: Path, made: Board, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    card = write_card(tmp_path / "card.json")
    changed = Path(shutil.copytree(run, tmp_path / "changed"))
    with (changed / "scores.parquet").open("ab") as file:
        file.write(b" ")
    assert main(["submit", str(changed), "--card", str(card), "--yes"]) == 2
    assert "its sha256 differs" in capsys.readouterr().err
    partial = Path(shutil.copytree(run, tmp_path / "partial"))
    result = read_result(partial / "result.json")
    del result.tracks["resynthesis"]["wer"]
    (partial / "result.json").write_text(dump(result))
    assert main(["submit", str(partial), "--card", str(card), "--yes"]) == 2
    assert "resynthesis.wer is missing" in capsys.readouterr().err


def test_this_machine_s_folders_are_cut_from_words(run: Path) -> None:
    result = read_result(run / "result.json")
    result.failures = [
        Failure(track="all", utterance="u", stage="encode",
                reason="OSError: /home/ann/secret/plan/model.bin <class 'X'> & more")
    ]  # fmt: skip
    result.tracks["resynthesis"]["utmos"].note = "get them with: x --local-dir C:\\Users\\ann\\w"
    made = without_paths(result)
    told = made.failures[0].reason + str(made.tracks["resynthesis"]["utmos"].note)
    assert "ann" not in told
    assert "model.bin ‹class 'X'›" in told
    assert made.model_copy(update={"failures": [], "tracks": {}}) == result.model_copy(
        update={"failures": [], "tracks": {}}
    )
    kept = Failure(track="all", utterance="u", stage="encode", reason="see https://a.org/b/c")
    result.failures = [kept]
    assert without_paths(result).failures[0].reason == "see https://a.org/b/c"


def test_results_of_every_schema_version_are_read() -> None:
    """A run of an old version is refused for what it lacks, not for its age."""
    for path in sorted((ROOT / "tests" / "historic_results").glob("*/result.json")):
        result = read_result(path)
        assert isinstance(without_paths(result), Result)


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_result(tmp_path / "result.json")
    assert main(["submit", str(tmp_path), "--card", "none.json"]) == 2
