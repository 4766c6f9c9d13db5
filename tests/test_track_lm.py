"""The track `lm` on made-up ids: every row, what is told beside it, and what it cannot say."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from bench.contracts import Ids, Stream, TokenizerInfo, Tokens, Utterance
from bench.errors import UserError
from bench.layouts import Layout
from bench.lm.network import Shape
from bench.lm.small import Recipe, SmallLM
from bench.results import Result, Row, SuiteResult, TokenizerResult
from bench.show import show
from bench.suites.load import load_suite
from bench.suites.spans import Span
from bench.tracks import lm_rows as rows
from bench.tracks.contract import OWN, TRAIN, TokenItem, TrackResult
from bench.tracks.lm import TRACK
from bench.tracks.lm_bits import Speech, _Work
from tests.conftest import speech, write_suite

SHAPE = Shape(width=32, layers=2, heads=2, depth_layers=1, context=64)
TINY = Recipe(shape=SHAPE, positions=4_000, batch=512, rate=1e-2)
Make = Callable[[np.random.Generator], tuple[Ids, ...]]
WORDS = (Span("hello", 0.2, 0.6), Span("there", 0.6, 1.0), Span("world", 1.2, 1.6))


class Context:
    """What the track sees of a run: `count` utterances of 2 s a split, of six speakers."""

    seed, threads, batch_seconds, cache = 0, 1, 60.0, Path("unset")
    identity: dict[str, Any] = {"device": "cpu"}  # noqa: RUF012

    def __init__(
        self,
        streams: tuple[Stream, ...],
        make: Make,
        *,
        asked: set[str] | None = None,
        splits: tuple[str, ...] = (OWN, TRAIN),
        words: tuple[Span, ...] | None = WORDS,
        count: int = 24,
        **facts: Any,
    ) -> None:
        self.info = TokenizerInfo(
            name="made", family="codec", sample_rate=16_000, streams=streams, **facts
        )
        self.asked = asked
        self.made = {s: [self._item(s, n, make, words) for n in range(count)] for s in splits}

    def _item(self, split: str, n: int, make: Make, words: Any) -> TokenItem:
        tokens = Tokens(make(np.random.default_rng([n, split == OWN])))
        utterance = Utterance(f"{split}/{n:02d}", "c", "en", f"s{n % 6}", 2.0)
        return TokenItem(
            utterance, split, 2.0, None, words, read=lambda: tokens, hear=SimpleNamespace
        )

    def items(self, split: str = OWN) -> list[TokenItem]:
        return self.made.get(split, [])

    def expected(self, split: str = OWN) -> int:
        return len(self.items(split))

    def wanted(self, row: str) -> bool:
        return self.asked is None or row in self.asked


def two_books(rng: np.random.Generator) -> tuple[Ids, ...]:
    """Book 1 counts up, book 2 is the first halved."""
    first = (np.arange(50) + rng.integers(16)) % 16
    return first, first // 2


BOOKS = (Stream("q1", 16, 25.0), Stream("q2", 8, 25.0))


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The transformer in a size for tests; everything else is the track's own."""
    monkeypatch.setattr(Context, "cache", tmp_path)

    def small(work: _Work, layout: Layout, share: float) -> SmallLM:
        return SmallLM(layout, replace(TINY, seed=work.context.seed))

    monkeypatch.setattr(_Work, "small", small)


def run(context: Context) -> TrackResult:
    result = TRACK.run(context)  # type: ignore[arg-type]
    json.dumps(result.details, allow_nan=False)
    shown = {r.row for r in result.records} | set(result.rows)
    suite = any(item.pair for item in context.items())
    assert shown == {
        row.name
        for row in rows.ROWS
        if context.wanted(row.name) and (suite or row is not rows.SUITE_PAIRS)
    }
    for row, count in result.expected.items():
        assert sum(r.row == row for r in result.records) == count
    return result


def value(result: TrackResult, row: str) -> float:
    sums = [r.sums for r in result.records if r.row == row]
    return sum(s.numerator for s in sums) / sum(s.denominator for s in sums)


def test_every_row_of_a_predictable_code() -> None:
    context = Context(BOOKS, two_books, side_info_bits=10.0)
    result = run(context)
    assert TRACK.splits(lambda _: True) == (TRAIN,)
    assert value(result, "lm_steps_flatten") == 50
    assert value(result, "lm_steps_delay") == (50 + 1) / 2
    assert value(result, "lm_steps_temporal_depth") == 25
    side = 10 / 2
    assert value(result, "lm_unigram") == pytest.approx(25 * 7 + side, rel=0.02)
    for end in rows.PREDICTED:
        assert side + 2 < value(result, f"lm_ngram_{end}") < 30
        assert side + 2 < value(result, f"lm_small_{end}") < 175 + side
        assert result.notes[f"lm_small_{end}"] == rows.ALONE
    assert value(result, "lm_pairs_order") > 0.7
    lm = result.details["lm"]
    assert lm["uniform"] == 25 * 7
    assert lm["train_seconds"] == [24.0, 48.0]
    told = lm["models"]["lm_ngram_delay"]
    assert told["by_stream"].keys() == {"q1", "q2"}
    assert sum(told["by_stream"].values()) + side == pytest.approx(told["bits_a_second"][1])
    assert told["change_for_a_doubling"] == pytest.approx(
        told["bits_a_second"][1] - told["bits_a_second"][0]
    )
    assert lm["models"]["lm_small_flatten"]["history"]


def test_layouts_and_hybrids_are_told() -> None:
    wanted = {row.name for row in rows.STEPS.values()}
    context = Context(BOOKS, two_books, asked=wanted, splits=(OWN,))
    result = run(context)
    assert TRACK.splits(context.wanted) == ()
    layouts = result.details["layouts"]
    assert layouts["flatten"]["dialogue"]["sequence_length"] == pytest.approx(15_000)
    assert layouts["flatten"]["fits"] == {"4096": False, "8192": False, "32768": True}
    assert layouts["delay"]["second"]["heads"] == 2
    assert layouts["ar+nar"]["second"]["passes"] == 1
    assert "follow the text" in layouts["text-aligned"]["lacks"]
    hybrids = result.details["hybrids"]
    assert hybrids["text-then-speech"]["padding"] == 0
    assert hybrids["text-then-speech"]["wait_steps"] > hybrids["word-by-word"]["wait_steps"]
    assert hybrids["as-aligned"]["wait_steps"] == 1
    assert hybrids["as-aligned"]["lead_seconds"] == pytest.approx(0.2)
    assert hybrids["as-aligned"]["positions_a_second"] == 25
    assert 0.3 < hybrids["as-aligned"]["padding"] < 0.5
    assert "text-aligned" in hybrids["one-to-one"]["lacks"]
    assert "lm" not in result.details


def test_one_book_of_random_ids_is_not_predicted_below_its_entropy() -> None:
    def noise(rng: np.random.Generator) -> tuple[Ids, ...]:
        return (rng.integers(0, 8, 100),)

    models = (rows.UNIGRAM, *rows.NGRAM.values(), rows.SMALL["flatten"])
    asked = {row.name for row in models}
    context = Context((Stream("u", 8, 50.0),), noise, count=40, asked=asked)
    result = run(context)
    found = np.concatenate([item.tokens.streams[0] for item in context.items()])
    shares = np.bincount(found) / len(found)
    entropy = -(shares * np.log2(shares)).sum() * 50
    for row in models:
        assert value(result, row.name) >= entropy


def test_streams_of_different_rates_are_flattened_and_the_rest_say_why() -> None:
    def rates(rng: np.random.Generator) -> tuple[Ids, ...]:
        slow = rng.integers(0, 4, 25)
        return slow, np.repeat(slow, 2)

    result = run(Context((Stream("a", 4, 12.5), Stream("b", 4, 25.0)), rates))
    assert value(result, "lm_ngram_flatten") < 12.5 * 2 * 1.3
    for name in ("lm_steps_delay", "lm_ngram_delay", "lm_small_temporal_depth"):
        assert "one rate" in str(result.rows[name].note)
        assert result.rows[name].value is None


def test_text_aligned_streams() -> None:
    def taste(rng: np.random.Generator) -> tuple[Ids, ...]:
        count = int(rng.integers(4, 9))
        return rng.integers(0, 50, count), rng.integers(0, 8, count)

    result = run(Context((Stream("text", 50), Stream("s1", 8)), taste))
    assert result.details["layouts"]["text-aligned"]["second"]["heads"] == 2
    one = result.details["hybrids"]["one-to-one"]
    assert (one["padding"], one["wait_steps"]) == (0, 1)
    assert "own text" in result.details["hybrids"]["fixed-chunks"]["lacks"]


def test_without_train_alignment_or_ids_the_rows_say_so() -> None:
    alone = run(Context(BOOKS, two_books, splits=(OWN,)))
    assert "no split 'train'" in str(alone.rows["lm_ngram_flatten"].note)
    assert value(alone, "lm_steps_flatten") == 50

    unaligned = run(Context(BOOKS, two_books, words=None, asked={"lm_pairs_words"}))
    assert "no utterance has an alignment" in str(unaligned.rows["lm_pairs_words"].note)

    def empty(rng: np.random.Generator) -> tuple[Ids, ...]:
        return (np.empty(0, dtype=np.int64),)

    nothing = run(Context((Stream("u", 8, 50.0),), empty, count=4))
    assert "no id to train on" in str(nothing.rows["lm_unigram"].note)
    assert value(nothing, "lm_steps_flatten") == 0


def test_one_frame_and_one_id() -> None:
    def single(rng: np.random.Generator) -> tuple[Ids, ...]:
        return (np.zeros(1, dtype=np.int64),)

    asked = {"lm_ngram_flatten", "lm_small_flatten"}
    result = run(Context((Stream("u", 1, 50.0),), single, count=20, asked=asked))
    assert value(result, "lm_ngram_flatten") == pytest.approx(0, abs=1e-9)
    assert value(result, "lm_small_flatten") == pytest.approx(0, abs=1e-6)


def test_one_stream_is_one_sequence_in_every_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[str] = []
    small = _Work.small

    def counted(work: _Work, layout: Layout, share: float) -> Any:
        trained.append(layout.name)
        return small(work, layout, share)

    monkeypatch.setattr(_Work, "small", counted)
    result = run(Context((Stream("u", 16, 25.0),), lambda rng: two_books(rng)[:1]))
    assert trained == ["flatten", "flatten"]  # two sizes of data
    for kind in (rows.NGRAM, rows.SMALL):
        found = {value(result, row.name) for row in kind.values()}
        assert len(found) == 1
    assert value(result, "lm_steps_delay") == value(result, "lm_steps_flatten") == 25


def test_as_many_threads_as_there_are_give_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = run(Context(BOOKS, two_books))
    monkeypatch.setattr(Context, "threads", 3)
    monkeypatch.setattr(Context, "cache", tmp_path / "anew")
    many = run(Context(BOOKS, two_books))
    assert many.records == one.records
    assert many.details == one.details


def test_streams_of_one_rate_and_unlike_lengths_are_told() -> None:
    def uneven(rng: np.random.Generator) -> tuple[Ids, ...]:
        first, second = two_books(rng)
        return first, second[:-1]

    result = run(Context(BOOKS, uneven))
    for row in (*rows.NGRAM.values(), *rows.SMALL.values()):
        assert "one length" in str(result.rows[row.name].note)
    assert "differ in length" in str(result.rows["lm_pairs_order"].note)
    assert "one length" in result.details["hybrids"]["fixed-chunks"]["lacks"]
    assert value(result, "lm_steps_flatten") == 49.5


def test_pairs_of_the_suite_are_judged_and_nothing_else_counts_their_bad_ones() -> None:
    asked = {"lm_pairs_suite", "lm_unigram", "lm_steps_flatten"}
    context = Context(BOOKS, two_books, asked=asked)
    noise = np.random.default_rng(5)
    plain = context.made[OWN]
    made = []
    for n, item in enumerate(plain[:12]):
        spoiled = Tokens((noise.integers(0, 16, 50), noise.integers(0, 8, 50)))
        bad = replace(item.utterance, id=f"bad{n}")
        made += [
            replace(item, pair=f"p{n}", good=True),
            replace(item, utterance=bad, read=lambda t=spoiled: t, pair=f"p{n}", good=False),
        ]
    context.made[OWN] = [*made[:-1], *plain[12:]]  # the last bad one could not be encoded
    result = run(context)
    assert value(result, "lm_pairs_suite") > 0.9
    assert result.expected["lm_pairs_suite"] == 11
    assert result.expected["lm_unigram"] == result.expected["lm_steps_flatten"] == 24
    assert {r.utterance.id for r in result.records if r.row == "lm_pairs_suite"} == {
        item.utterance.id for item in plain[:11]
    }
    context.made[TRAIN] = []
    assert "no split 'train'" in str(run(context).rows["lm_pairs_suite"].note)


def test_a_manifest_s_pairs_are_read_and_checked(tmp_path: Path) -> None:
    path = write_suite(tmp_path / "suite", speech(2))
    manifest = path.parent / "manifest.csv"
    first, *lines = manifest.read_text().splitlines()
    before = load_suite(str(path)).digest

    def written(*ends: str) -> Any:
        rows_ = [f"{first},pair,good", *(f"{a},{b}" for a, b in zip(lines, ends, strict=True))]
        manifest.write_text("\n".join(rows_) + "\n")
        return load_suite(str(path))

    assert written(",", ",").digest == before
    suite = written("x,false", "x,true")
    assert [(i.pair, i.good) for i in suite.items] == [("x", False), ("x", True)]
    assert suite.digest != before
    with pytest.raises(UserError, match="pair 'x' has 1 good and 0 bad utterances"):
        written("x,true", ",")


def test_the_first_ids_of_a_long_test_are_enough_in_an_order_that_does_not_change() -> None:
    items = Context(BOOKS, two_books).items()
    few = Speech.of(items, 500)
    assert (len(few.items), few.left_out) == (5, 19)
    again = Speech.of(items[::-1], 500)
    assert [i.utterance.id for i in few.items] == [i.utterance.id for i in again.items]


def test_a_run_twice_is_the_same_and_what_is_on_disk_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"lm_small_delay", "lm_pairs_speaker"}
    contexts = [Context(BOOKS, two_books, asked=asked) for _ in range(3)]
    contexts[1].cache = tmp_path / "other"  # nothing shared
    one, two = run(contexts[0]), run(contexts[1])

    def never(work: _Work, layout: Layout, share: float) -> SmallLM:
        raise AssertionError("trained again")

    monkeypatch.setattr(_Work, "small", never)
    again = run(contexts[2])
    assert one.records == two.records == again.records
    assert one.details == two.details == again.details
    contexts[2].seed = 1
    with pytest.raises(AssertionError, match="trained again"):
        TRACK.run(contexts[2])  # type: ignore[arg-type]


def test_it_is_shown_beside_the_words_and_the_voice_of_the_resynthesis(tmp_path: Path) -> None:
    def figure(value: float, unit: str) -> Row:
        return Row(
            value=value, ci95=None, n=9, unit=unit, higher_is_better=False, reference=None,
            difference=None, difference_ci95=None, clusters="speaker", n_clusters=9, failures=0,
            note=rows.ALONE if unit == "bit/s" else None,
        )  # fmt: skip

    made = result_of({"lm": {"lm_small_delay": figure(1234.0, "bit/s")}})
    alone = printed(made)
    assert "predicts nothing alone" in alone
    assert "  wer" not in alone
    made.tracks = {"resynthesis": {"wer": figure(7.5, "%"), "stoi": figure(0.9, "")}, **made.tracks}
    made_layouts = TRACK.run(Context(BOOKS, two_books, asked={"lm_steps_flatten"}))  # type: ignore[arg-type]
    (tmp_path / "details.json").write_text(json.dumps({"lm": made_layouts.details}))
    lines = printed(made, tmp_path).splitlines()
    told = {line.split()[0]: line.split()[1:] for line in lines if line.strip()}
    assert told["flatten"] == ["50.0", "–", "15,000", "1", "32k"]
    assert told["temporal+depth"] == ["25.0", "50.0", "7,500", "1", "8k", "32k"]
    assert told["text-then-speech"][1] == "0%"
    assert "text-aligned" not in told
    (at,) = (n for n, line in enumerate(lines) if line.split()[:1] == ["lm"])
    below = [line.split() for line in lines[at + 1 :] if "↓" in line]
    assert [cells[0] for cells in below] == ["wer", "lm_small_delay"]
    assert "7.5" in below[0]


def result_of(tracks: dict[str, dict[str, Row]]) -> Result:
    return Result(
        tokenizer=TokenizerResult(
            name="t", variant="t", options={}, family="codec", sample_rate=16_000, streams=[],
            nested=False, causal=False, side_info_bits=0.0, parameters=0, weights="", licence="",
            source="", training_data="", delay_samples=None,
        ),
        suite=SuiteResult(name="s", version="1", digest="0", utterances=9, seconds=60.0),
        environment={}, seed=0, tracks=tracks, failures=[], artifacts={},
        timing=dict.fromkeys(("work", "encode", "decode", "judges", "metrics"), 1.0),
    )  # fmt: skip


def printed(result: Result, folder: Path = Path("none")) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    show(result, console, str(folder))
    return console.export_text()


def test_no_utterance_with_tokens() -> None:
    result = TRACK.run(Context(BOOKS, two_books, count=0))  # type: ignore[arg-type]
    assert set(result.expected) == {row.name for row in rows.ROWS}
