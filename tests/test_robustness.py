"""What a plugin, a person or the system may do wrong: told or listed, never a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench import registry
from bench.checks import check_info
from bench.cli import main
from bench.codec import robustly
from bench.collect import collect
from bench.contracts import JudgeInfo, MetricInfo, MetricRow, Stream, Sums, TokenizerInfo, Tokens
from bench.errors import ItemFailure, UserError
from bench.judging import Judging
from bench.plan import make_plan
from bench.progress import Quiet
from bench.registry import Plugin
from bench.run import Pass
from bench.store import Store
from bench.suites.load import load_suite
from tests.conftest import ROOT, bench, speech, write_suite


def add(monkeypatch, kind: str, name: str, load) -> None:
    """A plugin of this process only."""
    before = registry.plugins
    module = SimpleNamespace(load=load)
    made = Plugin(kind, name, "test", entry=SimpleNamespace(load=lambda: module))

    def plugins(wanted):
        found = before(wanted)
        return {**found, name: made} if wanted == kind else found

    monkeypatch.setattr(registry, "plugins", plugins)


def measured(suite: Path, out: Path, name: str = "identity", metrics=("rms",), **settings):
    return Pass(
        make_plan(name, settings, device="cpu", metrics=metrics),
        load_suite(str(suite)),
        cache=out,
        where="cpu",
        reporter=Quiet(),
        batch_seconds=30.0,
        threads=2,
    ).run()


# ------------------------------------------------------------------------------------- plugins
def info(**changed) -> TokenizerInfo:
    facts = {
        "name": "x",
        "family": "codec",
        "sample_rate": 16_000,
        "streams": (Stream("q1", 16, 50.0),),
    }
    return TokenizerInfo(**{**facts, **changed})


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"family": "vocoder"}, "family must be one of"),
        ({"batching": "padded"}, "batching must be one of"),
        ({"sample_rate": 22_050.5}, "sample_rate must be whole"),
        ({"streams": (Stream("seconds", 16),)}, "may be called"),
        ({"streams": (Stream("q1", 16, 0.0),)}, "rates must be above 0"),
        ({"side_info_bits": float("inf")}, "side_info_bits"),
    ],
)
def test_facts_that_cannot_be_are_refused_before_any_work(changed, sentence):
    assert check_info(info())
    with pytest.raises(UserError, match=sentence):
        check_info(info(**changed))


def test_a_plugin_that_cannot_be_loaded_is_one_sentence(monkeypatch, capsys, tmp_path):
    def load(*, device: str = "cpu"):
        raise RuntimeError("no weights\nhere")

    add(monkeypatch, "tokenizers", "sad", load)
    assert main(["eval", "sad", "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "tokenizer 'sad' (test) cannot be loaded: RuntimeError: no weights here" in error
    assert "Traceback" not in error


def test_an_entry_point_may_be_an_object(plugins, monkeypatch):
    from bench_testkit import identity

    add(monkeypatch, "tokenizers", "thing", identity.load)
    assert len(make_plan("thing", {}, device="cpu").identity["code"]) == 64


def test_a_plugin_file_with_an_error_is_listed_as_such(tmp_path):
    (tmp_path / "x.py").write_text("def load(:\n")
    plugin = Plugin("tokenizers", "x", "built-in", path=tmp_path / "x.py")
    assert plugin.summary().startswith("cannot be read: SyntaxError")


def _identity(device: str) -> dict[str, object]:
    return make_plan("identity", {}, device=device, tracks=["tokens"]).identity


def test_tokens_of_another_device_or_transcript_are_not_reused(plugins, small_suite, tmp_path):
    here, there = (_identity(d) for d in ("cpu", "cuda"))
    assert here != there
    with_text, without = (
        measured(write_suite(tmp_path / n, [({"speaker": "s", "text": t}, x)]), tmp_path / "c")
        for (n, t), (_, x) in zip([("a", "a"), ("b", "")], speech(1) * 2, strict=True)
    )
    assert with_text.codec.row(0) != without.codec.row(0)


def test_a_machine_without_memory_halves_the_batch():
    def call(batch):
        if len(batch) > 1:
            raise MemoryError
        return batch

    warnings: list[str] = []
    assert robustly(call, [1, 2, 3], warnings.append) == {1: 1, 2: 2, 3: 3}
    assert warnings


def test_equal_length_holds_at_the_tokenizer_s_rate(plugins, monkeypatch, tmp_path):
    seen: list[set[int]] = []

    class Equal:
        info = info(sample_rate=44_100, streams=(Stream("q", 2),), batching="equal-length")

        def encode(self, batch):
            seen.append(set(batch.lengths.tolist()))
            return [Tokens((np.zeros(3, np.int64),)) for _ in range(len(batch))]

        def decode(self, tokens):
            return [np.zeros(44_100, np.float32) for _ in tokens]

    add(monkeypatch, "tokenizers", "equal", lambda *, device="cpu": Equal())
    x = np.resize(speech(1)[0][1], 44_101)
    clips = [({"speaker": "s", "text": "a", "rate": 44_100}, x[:n]) for n in (44_100, 44_101)]
    lengths = set(measured(write_suite(tmp_path / "s", clips), tmp_path, "equal").originals.lengths)
    assert lengths == {0, 1}
    assert all(len(lengths) == 1 for lengths in seen)


def test_a_few_samples_of_a_high_rate_are_no_audio(plugins, tmp_path):
    clips = [*speech(1), ({"speaker": "s", "text": "", "rate": 48_000}, np.full(1, 0.1))]
    found = measured(write_suite(tmp_path / "s", clips), tmp_path / "c")
    assert found.originals.failures == {1: "audio is empty"}


# ---------------------------------------------------------------------------- judges and metrics
class Odd:
    """A judge whose outputs are those of its list."""

    def __init__(self, outputs, seconds=60.0):
        self.info = JudgeInfo("odd", "1", 16_000, ("mos",), max_batch_seconds=seconds)
        self.outputs, self.sizes = outputs, []

    def judge(self, audio):
        self.sizes.append(len(audio))
        return [self.outputs[round(float(x[0]) * 8)] for x in audio]


def judged(judge: Odd, cache: Path, count: int) -> Judging:
    judging = Judging(judge, cache, Quiet(), "cpu")
    judging.process("original", list(range(count)), lambda i: np.full(16_000, i / 8, np.float32))
    return judging


def test_what_is_no_judgement_is_a_failure_that_is_tried_again(tmp_path):
    outputs = [
        {"mos": np.float32(1.5)},
        {"mos": float("nan")},
        {"mos": np.ones((2, 2))},
        None,
        {"wrong": 1.0},
        {"mos": np.ones(2, np.float32)},
        ItemFailure("too short"),
    ]
    found = judged(Odd(outputs), tmp_path, 7).outcomes
    assert found["original", 0] == {"mos": 1.5}
    assert found["original", 5] == {"mos": [1.0, 1.0]}
    assert all(isinstance(found["original", i], str) for i in (1, 2, 3, 4, 6))
    again = Odd([{"mos": 2.0}] * 7)
    assert judged(again, tmp_path, 7).outcomes["original", 1] == {"mos": 2.0}
    assert again.sizes == [4]  # 0, 5 and the declared failure are kept


def test_a_judge_gets_no_more_seconds_than_it_wants(tmp_path):
    judge = Odd([{"mos": 1.0}] * 5, seconds=2.0)
    judged(judge, tmp_path, 5)
    assert judge.sizes == [2, 2, 1]


def test_failures_are_listed_in_one_order(plugins, tmp_path):
    clips = [({"speaker": "s", "text": ""}, np.zeros(16_000, np.float32)), *speech(1)]
    found = measured(write_suite(tmp_path / "s", clips), tmp_path / "c")
    outcomes = found.judging["loudness"].outcomes
    first = collect(found)[1]
    found.judging["loudness"].outcomes = dict(reversed(outcomes.items()))
    assert collect(found)[1] == first


class Rows:
    """A metric with two rows, of which it gives one; a corpus metric whose trials all fail."""

    info = MetricInfo(
        "odd",
        "1",
        "signal",
        tuple(MetricRow(n, "", True, "", "", bounds=(0.0, 1.0)) for n in ("given", "kept_back")),
        judges=("loudness",),
    )

    def score(self, utterance, original, audio):
        return {"given": Sums(1.0)}


class Trials(Rows):
    def trials(self, utterances):
        a, b = utterances[:2]
        return [SimpleNamespace(enrol=a.id, test=b.id, target=True)]

    def similarity(self, enrolment, test):
        raise ItemFailure("speaker embedding is zero")


@pytest.mark.parametrize(
    ("metric", "reason", "count"),
    [(Rows, "metric gave no 'kept_back'", 6), (Trials, "speaker embedding is zero", 1)],
)
def test_a_score_that_a_metric_holds_back_is_listed(
    plugins, monkeypatch, small_suite, tmp_path, metric, reason, count
):
    add(monkeypatch, "metrics", "odd", metric)
    _, failures, _ = collect(measured(small_suite, tmp_path, metrics=("odd",)))
    assert [f.reason for f in failures] == [reason] * count


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


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
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
