"""A real run of a real tokenizer, from `bench eval` to an entry that a re-run verifies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.leaderboards.board import BOARDS
from bench.leaderboards.entry import HASHES
from bench.leaderboards.rerun import choose
from bench.suites.load import load_suite
from tests.conftest import bench
from tests.leaderboard_kit import write_card


def test_the_utterances_of_a_rerun_depend_on_the_seed_alone() -> None:
    names = [f"u{n}" for n in range(100)]
    assert choose(names, 10, 3) == choose(names[::-1], 10, 3) == sorted(choose(names, 10, 3))
    assert len(set(choose(names, 10, 3)) & set(choose(names, 10, 4))) < 6
    assert choose(names, 200, 0) == sorted(names)


@pytest.fixture(scope="module")
def submitted(small_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `boards.json` of the small suite and `submissions/` of one real entry."""
    folder = tmp_path_factory.mktemp("real")
    policy = json.loads(BOARDS.read_text())["boards"]["mini-1"]
    # One voice and no acted speech: rows that this suite cannot have are not asked for.
    policy["optional_judges"] += ["resemblyzer", "emotion"]
    policy |= {"suite": str(small_suite), "digest": load_suite(str(small_suite)).digest}
    (folder / "boards.json").write_text(json.dumps({"boards": {"small-1": policy}}))
    bench("eval", "mulaw", "--suite", str(small_suite), "--out", str(folder / "runs"),
          "--threads", "1", check=True)  # fmt: skip
    (run,) = (folder / "runs" / "small").iterdir()
    card = write_card(folder / "card.json", name="mulaw")
    bench("submit", str(run), "--card", str(card), "--out", str(folder / "submissions"), "--yes",
          "--boards", str(folder / "boards.json"), check=True)  # fmt: skip
    return folder


@pytest.mark.slow
def test_a_real_entry_is_verified_by_a_rerun_and_swapped_tokens_are_not(submitted: Path) -> None:
    boards = str(submitted / "boards.json")
    below = submitted / "submissions"
    rerun = ["leaderboard", "verify", str(below), "--boards", boards, "--rerun", "3"]
    done = bench(*rerun, "--sign", "A maintainer", check=True)
    assert "0 problems" in done.stdout
    (record,) = (submitted / "verifications").rglob("*.json")
    assert json.loads(record.read_text())["by"] == "A maintainer"
    out = submitted / "site"
    bench("leaderboard", "build", str(below), "--boards", boards, "--out", str(out), check=True)
    assert 'class="badge verified"' in (out / "small-1" / "resynthesis.html").read_text()
    (hashes,) = below.rglob(HASHES)
    kept = submitted / "kept"
    shutil.copyfile(hashes, kept)
    table = pq.read_table(hashes)
    rows = table.to_pylist()
    rows[0]["sha256"], rows[1]["sha256"] = rows[1]["sha256"], rows[0]["sha256"]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), hashes)
    told = bench(*rerun)
    assert told.returncode == 1
    assert "other ids come out for 2" in told.stdout
    assert "of other files than the entry has now" in told.stdout
    shutil.copyfile(kept, hashes)
