"""The track `speed`: a known look-ahead, sessions that err, sizes, and what is never ranked."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from bench import registry
from bench.codec import encoded
from bench.compare.axes import choose
from bench.compare.comparison import compare_runs
from bench.compare.inputs import load
from bench.contracts import AudioBatch, Ids, Samples, Stream, TokenizerInfo, Tokens, Utterance
from bench.errors import ContractError, ItemFailure
from bench.options import resolve
from bench.plan import Plan, loaded_tracks
from bench.progress import Quiet
from bench.results import Result, Row
from bench.run import Pass
from bench.suites.load import load_suite
from bench.tracks import speed_ahead, speed_size, speed_stream, speed_times
from bench.tracks import speed_rows as rows
from bench.tracks.contract import OWN, TokenItem, TrackResult
from bench.tracks.speed import TRACK
from bench.workers import once
from bench.write import write_run
from tests.conftest import lyra_weights, speech, write_suite

RATE, HOP = 16_000, 320
TIMED = {row.name for row in rows.ROWS if not row.repeatable}


# ------------------------------------------------------------------------------ what is needed
def levels(x: Samples, hop: int, vocabulary: int = 64) -> Ids:
    """Loudness of each frame as an id."""
    frames = np.pad(x, (0, -len(x) % hop)).reshape(-1, hop)
    level = np.log10(np.sqrt(np.mean(np.square(frames), axis=1)) + 1e-4) / 4 + 1
    return np.clip((level * vocabulary).astype(np.int64), 0, vocabulary - 1)


class Toy:
    """Loudness of the frame `ahead` frames later; each stream with a hop of its own."""

    def __init__(self, *, ahead: int = 0, hops: tuple[int, ...] = (HOP,), **facts: Any) -> None:
        self.ahead, self.hops = ahead, hops
        streams = tuple(Stream(f"q{k}", 64, RATE / hop) for k, hop in enumerate(hops))
        self.info = TokenizerInfo(
            **{  # type: ignore[arg-type]
                "name": "toy", "family": "codec", "sample_rate": RATE, "streams": streams,
                "revision": "1", "batching": "any", **facts,
            }
        )  # fmt: skip

    def ids(self, x: Samples) -> tuple[Ids, ...]:
        found = []
        for hop in self.hops:
            level = levels(x, hop)
            found.append(np.append(level[self.ahead :], np.zeros(min(self.ahead, len(level)), int)))
        return tuple(found)

    def encode(self, batch: AudioBatch) -> list[Tokens]:
        return [Tokens(self.ids(x)) for x in batch.items()]

    def decode(self, tokens: list[Tokens]) -> list[Samples]:
        return [np.repeat(t.streams[0] / 64, self.hops[0]).astype(np.float32) for t in tokens]


class Streaming(Toy):
    """... with sessions that err in every `wrong`-th frame, and whose sound is `off` too loud."""

    def __init__(self, wrong: int = 0, off: float = 0.0, **facts: Any) -> None:
        super().__init__(**facts)
        self.wrong, self.off = wrong, off

    def stream(self) -> Session:
        return Session(self)


class Session:
    def __init__(self, toy: Streaming) -> None:
        self.toy, self.at = toy, 0

    def encode(self, chunk: Samples, *, last: bool = False) -> Tokens:
        (ids,) = self.toy.ids(chunk)
        number = np.arange(self.at, self.at + len(ids))
        self.at += len(ids)
        if self.toy.wrong:
            ids = np.where(number % self.toy.wrong == 0, (ids + 1) % 64, ids)
        return Tokens((ids,))

    def decode(self, tokens: Tokens, *, last: bool = False) -> Samples:
        return self.toy.decode([tokens])[0] + np.float32(self.toy.off)


class Context:
    """What the track sees of a run."""

    seed, threads, batch_seconds, cache = 0, 1, 60.0, Path("unused")
    reporter = Quiet()

    def __init__(self, tokenizer: Any, clips: list[Samples], *only: str) -> None:
        self.tokenizer, self.info, self.only = tokenizer, tokenizer.info, only
        self.identity: dict[str, Any] = {"tokenizer": "absent", "device": "cpu"}
        self.options: dict[str, Any] = {}
        self.made = [self._item(n, clip) for n, clip in enumerate(clips)]

    def _item(self, n: int, clip: Samples) -> TokenItem:
        (tokens,) = encoded(self.tokenizer, [clip], [None])
        assert isinstance(tokens, Tokens), tokens
        seconds = len(clip) / self.info.sample_rate
        return TokenItem(
            Utterance(f"u{n}", "c", "en", f"s{n}", seconds), OWN, seconds, None, None,
            read=lambda: tokens, hear=lambda rate: clip,
        )  # fmt: skip

    def items(self, split: str = OWN) -> list[TokenItem]:
        return self.made if split == OWN else []

    def expected(self, split: str = OWN) -> int:
        return len(self.items(split))

    def wanted(self, row: str) -> bool:
        return not self.only or row in self.only

    def encode(self, clips: Any, texts: Any, stage: str, *, alone: bool = False) -> list[Any]:
        assert alone  # no row of a batch may be taken for a dependence
        made: list[Any] = []
        for clip, text in zip(clips, texts, strict=True):
            try:
                made += encoded(self.tokenizer, [clip], [text])
            except ItemFailure as failure:  # as the engine tells it
                made.append(failure)
        return made

    def decode(self, items: list[TokenItem]) -> list[Any]:
        return self.tokenizer.decode([i.tokens for i in items])  # type: ignore[no-any-return]


AHEAD = tuple(row.name for row in rows.AHEAD)


def clips(count: int = 4, seconds: float = 2.0) -> list[Samples]:
    """Quiet noise."""
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.01, int(seconds * RATE)).astype(np.float32) for _ in range(count)]


def run(context: Context) -> TrackResult:
    result = TRACK.run(context)  # type: ignore[arg-type]
    json.dumps(result.details, allow_nan=False)
    assert list(result.rows) and not result.records
    assert set(result.rows) == {row.name for row in rows.ROWS if context.wanted(row.name)}
    return result


# ----------------------------------------------------------------------------------- look-ahead
@pytest.mark.parametrize("ahead", [0, 1, 2, 7])
def test_a_known_look_ahead_is_measured(ahead: int) -> None:
    result = run(Context(Toy(ahead=ahead), clips(), *AHEAD))
    frames, ms = (result.rows[name].value for name in ("look_ahead_frames", "look_ahead"))
    assert frames == ahead
    assert ms is not None
    assert 20 * (ahead - 0.2) <= ms <= 20 * ahead
    assert result.failures == []
    assert len(result.details["look_ahead"]["changes"]) == speed_ahead.UTTERANCES
    assert result.rows["look_ahead"].n == 4


def test_the_farthest_of_several_streams_counts() -> None:
    slow = Toy(ahead=3, hops=(HOP, 4 * HOP))
    result = run(Context(slow, clips(seconds=3.0), *AHEAD))
    assert result.rows["look_ahead_frames"].value == 3
    assert 220 < float(result.rows["look_ahead"].value or 0) <= 240  # three frames of 80 ms


def test_one_that_is_declared_causal_and_is_not_fails_the_contract() -> None:
    result = run(Context(Toy(ahead=7, causal=True), clips(), *AHEAD))
    assert result.rows["look_ahead_frames"].value == 7
    assert [f.utterance for f in sorted(result.failures, key=lambda f: f.utterance)] == [
        "u0", "u1", "u2", "u3"
    ]  # fmt: skip
    assert {(f.track, f.stage) for f in result.failures} == {("speed", "look-ahead")}
    assert "declared causal" in result.failures[0].reason
    assert "7 frames" in result.failures[0].reason
    for allowed in (0, 1):
        assert not run(Context(Toy(ahead=allowed, causal=True), clips(), *AHEAD)).failures


def test_ids_that_depend_on_the_whole_utterance_are_told() -> None:
    class Normalised(Toy):
        def ids(self, x: Samples) -> tuple[Ids, ...]:
            return super().ids(x / max(1e-3, float(np.abs(x).max())))

    result = run(Context(Normalised(), clips(), *AHEAD))
    assert "depend on the whole utterance" in str(result.rows["look_ahead"].note)
    assert float(result.rows["look_ahead"].value or 0) > 1000


def test_positions_meet_every_part_of_a_frame() -> None:
    for rate, frames in ((16_000, Fraction(50)), (24_000, Fraction(25, 2)), (44_100, Fraction(86))):
        found = speed_ahead.positions(3 * rate, rate, frames)
        parts = sorted(float(Fraction(n, rate) * frames) % 1 for n in found)
        assert len(found) == speed_ahead.POSITIONS
        assert max(np.diff([0.0, *parts, 1.0])) < 0.1
        assert min(found) > 0
        assert max(found) < 3 * rate
    assert speed_ahead.positions(1, 16_000, Fraction(50)) == []


def shipped(name: str, **settings: str) -> Any:
    plugin = registry.plugin("tokenizers", name)
    return plugin.module.load(device="cpu", **resolve(plugin, settings))


@pytest.mark.parametrize("name", ["lyra", "soundstream"])
def test_shipped_causal_codecs_look_as_far_as_declared(
    name: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"codebooks": "2"}
    if name == "lyra":
        pytest.importorskip("ai_edge_litert", reason="pip install -e '.[lyra]'")
        weights = lyra_weights(data_dir)
        settings = {"quantizers": "16", "weights": str(weights)}
    monkeypatch.setattr(speed_ahead, "UTTERANCES", 2)
    monkeypatch.setattr(speed_ahead, "SECONDS", 1.5)
    tokenizer = shipped(name, **settings)
    assert tokenizer.info.causal
    result = run(Context(tokenizer, [x[:24_000] for _, x in speech(2)], *AHEAD))
    frames = result.rows["look_ahead_frames"].value
    assert frames is not None
    assert frames <= speed_ahead.CAUSAL  # declared: at most one
    assert result.failures == []
    assert len(result.details["look_ahead"]["changes"]["u0"]) == 12  # each change was noticed


# ----------------------------------------------------------------------------------- bad input
class Broken(Toy):
    """Raises at each call of encode."""

    ready = False

    def encode(self, batch: AudioBatch) -> list[Tokens]:
        if self.ready:
            raise ItemFailure("it is broken")
        return super().encode(batch)


def constant(count: Callable[[int], int], vocabulary: int = 64) -> Toy:
    """One stream of zeros."""

    class Constant(Toy):
        def ids(self, x: Samples) -> tuple[Ids, ...]:
            return (np.zeros(count(len(x)), dtype=np.int64),)

        def decode(self, tokens: list[Tokens]) -> list[Samples]:
            return [np.zeros(max(1, HOP * len(t.streams[0])), np.float32) for t in tokens]

    toy = Constant()
    toy.info = replace(toy.info, streams=(Stream("q", vocabulary, 50.0),))
    return toy


@pytest.mark.parametrize(
    ("toy", "seconds"),
    [
        (Toy(hops=(HOP, 2 * HOP)), 2.0),  # streams of different rates
        (constant(lambda n: 0), 2.0),  # empty streams
        (constant(lambda n: -(-n // HOP), vocabulary=1), 2.0),  # V = 1
        (Streaming(), 0.02),  # utterances of one frame
        (Streaming(), 1 / RATE),  # of one sample
        (Toy(batching="single"), 0.5),
    ],
    ids=["rates", "empty", "v1", "frame", "sample", "single"],
)  # fmt: skip
def test_odd_input_has_rows_that_say_so(
    toy: Toy, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed_times, "BUDGET", 0.0)
    monkeypatch.setattr(speed_size, "SECONDS", 0.1)
    wanted = [row.name for row in rows.ROWS if row is not rows.MEMORY]
    result = run(Context(toy, clips(3, seconds), *wanted))
    assert not result.failures
    for row in result.rows.values():
        assert (row.value is not None and math.isfinite(row.value)) or row.note
    changes = seconds > 1 and len(toy.info.streams) == 2
    assert (result.rows["look_ahead"].value is not None) >= changes
    if toy.info.batching == "single":
        assert "one utterance at a time" in str(result.rows["encode_rtf_batch"].note)


def test_ids_without_a_time_have_no_look_ahead() -> None:
    toy = constant(lambda n: 3)
    toy.info = replace(toy.info, streams=(Stream("text", 64),))
    result = run(Context(toy, clips(2), *AHEAD))
    assert "no time" in str(result.rows["look_ahead"].note)


def test_a_tokenizer_that_breaks_is_listed_and_nothing_is_made_up() -> None:
    toy = Broken()
    context = Context(toy, clips(2), "encode_rtf", "encode_rtf_batch", *AHEAD)
    toy.ready = True
    result = run(context)
    assert all(row.value is None and row.note for row in result.rows.values())
    assert {f.stage for f in result.failures} == {"encode timed", "look-ahead"}
    assert {f.reason for f in result.failures} == {"it is broken"}


def test_no_utterance_with_tokens() -> None:
    assert all(row.value is None for row in run(Context(Toy(), [])).rows.values())


# ------------------------------------------------------------------------------------ streaming
STREAMED = [row.name for row in rows.STREAM]


def test_a_session_that_gives_what_encode_gives() -> None:
    result = run(Context(Streaming(), clips(), *STREAMED))
    values = {name: row.value for name, row in result.rows.items()}
    assert values["stream_agreement"] == 100
    assert values["stream_audio_difference"] == 0
    assert values["first_packet_algorithmic"] == 20
    assert float(values["first_packet"] or 0) > 20
    assert result.rows["stream_agreement"].note is None
    assert 0 < float(values["chunk_time_median"] or 0) <= float(values["chunk_time_p95"] or 0)


def test_a_session_that_errs_in_every_fourth_frame() -> None:
    result = run(Context(Streaming(wrong=4, off=0.25), clips(), *STREAMED))
    assert result.rows["stream_agreement"].value == 75
    assert "all ids equal" in str(result.rows["stream_agreement"].note)
    assert float(result.rows["stream_audio_difference"].value or 0) >= 0.25e6
    assert "no stream()" in str(run(Context(Toy(), clips(), *STREAMED)).rows["first_packet"].note)


def test_sound_that_comes_late_waits_for_its_chunk() -> None:
    class Late(Session):
        """Holds back two frames of sound."""

        kept: Samples = np.zeros(0, np.float32)

        def decode(self, tokens: Tokens, *, last: bool = False) -> Samples:
            every = np.append(self.kept, super().decode(tokens))
            ready = len(every) if last else max(0, len(every) - 2 * HOP)
            self.kept = every[ready:]
            return every[:ready]

    class Slow(Streaming):
        def stream(self) -> Session:
            return Late(self)

    result = run(Context(Slow(), clips(), *STREAMED))
    assert result.rows["first_packet_algorithmic"].value == 60
    assert result.rows["stream_agreement"].value == 100
    assert result.rows["stream_audio_difference"].value == 0


def test_a_session_without_sound_or_with_other_streams_is_a_failure() -> None:
    class Mute(Session):
        def decode(self, tokens: Tokens, *, last: bool = False) -> Samples:
            return np.zeros(0, np.float32)

    class Muted(Streaming):
        def stream(self) -> Session:
            return Mute(self)

    result = run(Context(Muted(), clips(2), *STREAMED))
    assert {f.reason for f in result.failures} == {"stream() gave no sound"}
    assert all(row.value is None for row in result.rows.values())
    with pytest.raises(ContractError, match="gave 1 streams, not 2"):
        speed_stream.agreement(Tokens((np.zeros(1, int),)), Tokens((np.zeros(1, int),) * 2))


def test_ids_that_are_missing_count_as_unequal() -> None:
    sums = speed_stream.agreement(Tokens((np.array([1, 2, 3]),)), Tokens((np.array([1, 2, 4, 5]),)))
    assert (sums.numerator, sums.denominator) == (2, 4)


@pytest.mark.parametrize(
    ("rates", "samples"),
    [((50.0,), 320), ((12.5,), 1280), ((75.0,), 427), ((16_000.0,), 320), ((None,), 1280),
     ((12.5, 50.0), 1280)],
)  # fmt: skip
def test_a_chunk_is_the_fewest_whole_frames_of_20_ms(rates: Any, samples: int) -> None:
    streams = tuple(Stream(f"q{k}", 2, rate) for k, rate in enumerate(rates))
    assert speed_stream.chunk_samples(replace(Toy().info, streams=streams)) == samples


# ----------------------------------------------------------------------------------------- size
def test_weights_are_counted_once_wherever_they_hang() -> None:
    import torch

    class Inner:
        def __init__(self, layer: Any) -> None:
            self.again, self.table = layer, np.zeros((3, 5), np.float32)
            self.labels = np.arange(9)

    class Holder(Toy):
        def __init__(self) -> None:
            super().__init__(parameters=72)
            layer = torch.nn.Linear(4, 8)
            layer.register_buffer("book", torch.zeros(2, 6))
            layer.register_buffer("steps", torch.tensor(3))
            self.model, self.parts = torch.nn.Sequential(layer), [Inner(layer), self]
            self.extra = {"mean": torch.zeros(5)}

    held = speed_size.held(Holder())
    assert (held.numbers, held.serialised, held.opaque) == (4 * 8 + 8 + 12 + 15 + 5, 0, ())
    result = run(Context(Holder(), clips(1), "parameters"))
    assert result.rows["parameters"].value == pytest.approx(72e-6)
    assert result.rows["parameters"].note == "counted; declared: 72"


def test_weights_that_cannot_be_counted_are_unknown() -> None:
    class Graph(Toy):
        blob = b""

    toy = Graph(parameters=1000)
    toy.graphs = {"a": bytes(2_500_000)}  # type: ignore[attr-defined]
    row = run(Context(toy, clips(1), "parameters")).rows["parameters"]
    assert row.value is None
    assert row.note == "unknown: it holds 2.5 MB of serialised graphs; declared: 1,000"
    empty = run(Context(Toy(parameters=5), clips(1), "parameters")).rows["parameters"]
    assert "no module or array" in str(empty.note)
    assert run(Context(Toy(), clips(1), "parameters")).rows["parameters"].value == 0


def grown() -> tuple[int, int]:
    """In a fresh process: the mark before and after 200 MB."""
    before, _ = speed_size.high_water()
    block = np.ones(25_000_000)
    assert block.sum() > 0
    del block
    return before, speed_size.high_water()[0]


def test_the_high_water_mark_is_of_the_fresh_process() -> None:
    hoard = np.ones(40_000_000)  # 320 MB of this process, which the other one must not count
    before, most = once(grown)
    assert hoard.sum() > 0
    assert before < 300e6
    assert 190e6 < most - before < 230e6


def test_memory_of_what_no_fresh_process_can_load_is_told() -> None:
    row = run(Context(Toy(), clips(1), "peak_memory")).rows["peak_memory"]
    assert row.value is None
    assert "unknown tokenizer 'absent'" in str(row.note)


# -------------------------------------------------------------------------------------- in a run
@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Result, Path]]:
    """The same run two times, with caches of their own."""
    suite = write_suite(tmp_path_factory.mktemp("speed"), speech(3))
    plugin = registry.plugin("tokenizers", "mulaw")
    options = resolve(plugin, {})
    made = []
    for n in range(2):
        out = tmp_path_factory.mktemp(f"run{n}")
        plan = Plan(
            plugin.load(device="cpu", **options), "mulaw", options,
            {"tokenizer": "mulaw", "options": options, "device": "cpu"}, ("speed",),
            token_tracks=loaded_tracks(("speed",)),
        )  # fmt: skip
        measured = Pass(
            plan, load_suite(str(suite)), cache=out / ".cache", where="cpu", reporter=Quiet(),
            batch_seconds=30.0, threads=2,
        ).run()  # fmt: skip
        made.append((write_run(measured, out / "run", where="cpu", seed=0), out / "run"))
        measured.close()
    return made


def test_two_runs_differ_in_times_and_nothing_else(twice: list[tuple[Result, Path]]) -> None:
    (one, first), (two, second) = twice
    for name in ("scores.parquet", "tokens.parquet", "details.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert {name for name in TIMED if one.tracks["speed"][name].value is not None} >= {
        "encode_rtf", "decode_rtf", "encode_rtf_batch", "decode_rtf_batch", "peak_memory"
    }  # fmt: skip
    for result in (one, two):
        assert set(result.tracks["speed"]) == {row.name for row in rows.ROWS}
    left = [r.model_dump(exclude={"timing"}) for r in (one, two)]
    for made in left:
        for name in TIMED:
            del made["tracks"]["speed"][name]
    assert left[0] == left[1]


def test_figures_of_a_machine_carry_its_name(twice: list[tuple[Result, Path]]) -> None:
    result = twice[0][0]
    machine = result.environment["processor"]
    assert "processors" in machine
    for name in TIMED:
        row = result.tracks["speed"][name]
        if row.value is not None:
            assert str(row.note).startswith(machine)
    memory = result.tracks["speed"]["peak_memory"]
    assert "fresh process" in str(memory.note)
    assert 30 < float(memory.value or 0) < 2000
    assert result.timing["speed.encode a second, batch 4"] > 0


def test_nothing_of_it_is_ranked(twice: list[tuple[Result, Path]]) -> None:
    (result, first), (_, second) = twice
    assert pq.read_table(first / "scores.parquet").num_rows == 0
    runs, names, notes = load([first, second])
    comparison = compare_runs(runs, names, choose([]), None, notes)
    (axis,) = [axis for axis in comparison.axes if axis.name == "speed"]
    assert axis.metrics == {}
    assert {stated.name for stated in axis.stated} == {
        name for name, row in result.tracks["speed"].items() if row.value is not None
    } - TIMED


def test_a_clock_tells_that_the_processor_was_another_s() -> None:
    busy = speed_times.Clock(False, wall=2.0, cpu=1.0)
    assert busy.told("here") == "here, kept busy by other work 50% of the time: times are too long"
    assert speed_times.Clock(False, wall=1.0, cpu=0.99).told("here") == "here"
    assert speed_times.Clock(True, wall=2.0, cpu=1.0).told("here") == "here"


def test_rows_of_sums_have_the_interval_of_any_other_row() -> None:
    from bench.contracts import Sums

    items = [(Utterance(f"u{n}", "c", "en", f"s{n}", 1.0), Sums(float(n), 10.0)) for n in range(9)]
    row: Row = rows.of_sums(rows.ENCODE, items, "note")
    assert row.value == pytest.approx(400)
    assert row.ci95 is not None
    assert row.ci95[0] < 400 < row.ci95[1]
    assert (row.n, row.clusters, row.note) == (9, "speaker", "note")


@pytest.mark.parametrize(
    ("seconds", "tried", "best"),
    [
        (lambda size: 1.0 * size, [1, 2, 4], 1),  # nothing is gained
        (lambda size: 1.0, [1, 2, 4, 8, 16, 32], 32),  # all of it is
        (lambda size: size * (0.5 if size >= 4 else 1.0), [1, 2, 4, 8, 16], 4),
        (lambda size: size * (0.98 if size == 4 else 1.0), [1, 2, 4], 4),  # too little to go on
    ],
)
def test_larger_batches_are_tried_while_they_gain(
    seconds: Callable[[int], float], tried: list[int], best: int
) -> None:
    class Told(speed_times.Clock):
        def shortest(self, call: Callable[[], object]) -> float:
            found = call()
            assert isinstance(found, float)
            return found / 100

    result = TrackResult()
    row = speed_times._best(
        rows.ENCODE_BATCH, lambda size: lambda: seconds(size), "encode", 3.0, result, "here",
        Told(False),
    )  # fmt: skip
    assert [int(name.rsplit(" ", 1)[1]) for name in result.timing] == tried
    assert row.n == best
