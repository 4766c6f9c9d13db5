"""What a plugin may do wrong: told or listed, never a traceback."""

from __future__ import annotations

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
from bench.suites.load import load_suite
from tests.conftest import speech, write_suite


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
