"""What a person or the system may do wrong: told in one sentence, never a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.cli import main
from bench.errors import UserError
from bench.store import Store
from bench.suites.load import load_suite
from tests.conftest import ROOT, bench


# --------------------------------------------------------------------------------- command line
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["mulaw", "--batch-seconds", "nan"], "--batch-seconds wants"),
        (["mulaw", "--batch-seconds", "inf"], "--batch-seconds wants"),
        (["mulaw", "--seed", "-1"], "--seed wants"),
        (["mulaw,text", "--set", "bits=8"], "text has no option 'bits'"),
        (["mulaw", "--tracks", "tokens", "--metrics", "weer"], "did you mean 'wer'"),
        (["identity", "--set", "slow=nan"], "slow wants float"),
    ],
)
def test_wrong_use_is_told_before_any_work(plugins, arguments, sentence, capsys, tmp_path):
    assert main(["eval", *arguments, "--out", str(tmp_path / "o")]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize("where", [".cache", "small"])
def test_a_place_that_cannot_be_written_is_one_sentence(
    plugins, small_suite, capsys, tmp_path, where
):
    (tmp_path / where).write_text("in the way")
    arguments = ["eval", "identity", "--suite", str(small_suite), "--metrics", "rms"]
    assert main([*arguments, "--out", str(tmp_path)]) == 2
    assert "choose another --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("row", "sentence"), [("u,,en,s,1", "has no file"), ("u,x.flac,en,s,long", "is no number")]
)
def test_a_row_that_cannot_be_is_named(row, sentence, capsys, tmp_path):
    (tmp_path / "suite.yaml").write_text("name: a\nversion: '1'\nmanifest: m.csv\n")
    (tmp_path / "m.csv").write_text(f"utterance,file,language,speaker,seconds\n{row}\n")
    suite = ["--suite", str(tmp_path / "suite.yaml")]
    assert main(["eval", "mulaw", *suite, "--out", str(tmp_path / "o")]) == 2
    assert sentence in capsys.readouterr().err


def test_cells_of_a_csv_file_are_taken_as_they_stand(tmp_path):
    (tmp_path / "suite.yaml").write_text("name: a\nversion: '1'\nmanifest: m.csv\n")
    header = "utterance,file,language,speaker,text,affect,tasks,seconds,split\n"
    rows = "001,x.flac,en,07,null,,,2.5,\n1,y.flac,en,7,,calm,signal;quality,,test\n"
    (tmp_path / "m.csv").write_text(header + rows)
    first, second = load_suite(str(tmp_path / "suite.yaml")).items
    assert (first.utterance.id, first.utterance.speaker) == ("001", "07")
    assert (first.utterance.text, first.utterance.affect) == ("null", None)
    assert first.tasks == {"signal", "speaker", "transcription", "quality"}
    assert (second.utterance.id, second.utterance.text) == ("1", None)
    assert second.tasks == {"signal", "quality"}


def test_a_cache_file_damaged_in_its_structure_is_one_sentence(tmp_path):
    path = tmp_path / "s.sqlite"
    store = Store(path)
    store.put({f"{n:04d}": bytes(3000) for n in range(400)})
    store.close()
    data = bytearray(path.read_bytes())
    for at in range(4096, len(data), 4096):
        data[at : at + 200] = b"w" * 200
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"damaged .* delete it and run again"):
        Store(path).get("0007")


@pytest.fixture(scope="module")
def chatty(tmp_path_factory, testkit) -> Path:
    """A plugin that prints, from Python and from below it, and fails with markup in the reason."""
    site = tmp_path_factory.mktemp("chatty")
    (site / "chatty.py").write_text(
        "import os\nfrom bench_testkit.identity import Identity\n\n\n"
        "class Chatty(Identity):\n"
        "    def decode(self, tokens):\n"
        "        if len(tokens) > 1 or len(tokens[0].streams[0]) > 60_000:\n"
        "            raise ValueError('[/red] no [b]file[/b]')\n"
        "        return super().decode(tokens)\n\n\n"
        "def load(*, device: str = 'cpu'):\n"
        "    print('loading')\n    os.write(1, b'native')\n    return Chatty(0, 0.0, 'chatty')\n"
    )
    meta = site / "chatty-1.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: chatty\nVersion: 1\n")
    (meta / "entry_points.txt").write_text("[bench.tokenizers]\nchatty = chatty\n")
    return Path(os.pathsep.join([str(site), str(testkit)]))


@pytest.mark.parametrize("extra", [("--json",), ()])
def test_json_is_pure_and_any_locale_will_do(chatty, small_suite, tmp_path, extra):
    arguments = ["eval", "chatty", "--suite", str(small_suite), "--metrics", "rms"]
    done = bench(*arguments, "--out", str(tmp_path), *extra, site=chatty, PYTHONIOENCODING="ascii")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    if extra:
        assert json.loads(done.stdout)["tokenizer"]["name"] == "chatty"
        assert "loading" in done.stderr
        assert "native" in done.stderr
    else:
        assert "ValueError: [/red] no [b]file[/b]" in done.stdout


def test_no_figure_is_cut_on_a_narrow_terminal(capsys):
    import io

    from rich.console import Console

    from bench.results import Result
    from bench.show import show

    row = {
        "value": -10.234,
        "ci95": (-12.345, -8.123),
        "n": 1234,
        "unit": "dB",
        "higher_is_better": True,
        "reference": 1.5,
        "difference": -11.734,
        "difference_ci95": (-13.8, -9.6),
        "clusters": "utterance",
        "n_clusters": 9,
        "failures": 17,
    }
    tokenizer = {
        "name": "x",
        "variant": "x@[/b]",
        "options": {},
        "family": "codec",
        "sample_rate": 1,
        "streams": [],
        "nested": False,
        "causal": False,
        "side_info_bits": 0,
        "parameters": 0,
        "weights": "",
        "licence": "",
        "source": "",
        "training_data": "",
        "delay_samples": None,
    }
    result = Result(
        tokenizer=tokenizer,
        suite={"name": "s", "version": "1", "digest": "", "utterances": 1, "seconds": 1.0},
        environment={},
        seed=0,
        tracks={"resynthesis": {"speaker_similarity": row}},
        failures=[],
        artifacts={},
        timing=dict.fromkeys(("work", "encode", "decode", "judges", "metrics"), 1.0),
    )
    out = io.StringIO()
    show(result, Console(file=out, width=80), "runs/[/x]")
    table = out.getvalue().split("too few")[0]
    for figure in ("x@[/b]", "-10.2", "-12.3", "-8.1", "-11.7", "-13.8", "-9.6", "1234* (17!)"):
        assert figure in table
    assert "1…" not in table


# ------------------------------------------------------------------------------------ processes
def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


WORK = """
from bench.contracts import Utterance
from bench.workers import Job, Workers
if __name__ == "__main__":
    import time
    workers = Workers(2)
    workers.score([])
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc: run it on Linux")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_worker_processes_end_with_their_parent_and_in_silence(tmp_path, how):
    (tmp_path / "work.py").write_text(WORK)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "work.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    workers = children(process.pid)
    assert len(workers) >= 2
    if how == signal.SIGKILL:
        os.kill(process.pid, how)
    else:
        os.killpg(process.pid, how)  # as a terminal does
    _, error = process.communicate(timeout=30)
    until = time.monotonic() + 20
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.1)
    left = [pid for pid in workers if alive(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []
    if how == signal.SIGINT:
        assert error.count("Traceback") == 1  # the script's own
