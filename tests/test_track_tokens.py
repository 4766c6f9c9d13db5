"""The track `tokens` in a run: what it encodes, what it shows, and what it cannot say."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import soundfile

from bench import checkpoint, tracks
from bench.cli import main
from bench.contracts import AudioBatch, Samples, Stream, TokenizerInfo, Tokens
from bench.dedup import deduplicated, duration_ids
from bench.errors import ItemFailure, UserError
from bench.plan import Plan, choose_metrics, choose_tracks, loaded_tracks
from bench.progress import Quiet
from bench.results import Result, read_result
from bench.run import Pass
from bench.suites.load import load_suite, other_split
from bench.tracks import perturbations as pt
from bench.tracks import token_rows as rows
from bench.tracks.token_corpus import timed
from bench.tracks.token_stability import MOST_IDS, middle
from bench.write import sha256, write_run
from tests.conftest import speech

RATE = 16_000
Ids = np.ndarray[Any, np.dtype[np.int64]]


# ------------------------------------------------------------------------------ what is needed
class Made:
    """A tokenizer of given streams. ids: samples → arrays; counts its calls."""

    def __init__(
        self,
        streams: tuple[Stream, ...],
        ids: Callable[[Samples], tuple[Ids, ...]],
        family: str = "codec",
        **facts: Any,
    ) -> None:
        self.ids, self.encoded, self.decoded = ids, 0, 0
        self.stop_after = math.inf
        self.info = TokenizerInfo(
            name="made", family=family, sample_rate=RATE, streams=streams, revision="1",
            batching="any", **facts,
        )  # fmt: skip

    def encode(self, batch: AudioBatch) -> list[Tokens]:
        self.encoded += 1
        if self.encoded > self.stop_after:
            raise KeyboardInterrupt
        return [Tokens(self.ids(x)) for x in batch.items()]

    def decode(self, tokens: list[Tokens]) -> list[Samples]:
        self.decoded += len(tokens)
        made = []
        for item in tokens:
            frames = len(item.streams[0])
            rate = self.info.streams[0].rate or 50.0
            made.append(np.zeros(max(1, round(frames * RATE / rate)), dtype=np.float32))
        return made


def levels(x: Samples, rate: float, vocabulary: int) -> Ids:
    """Loudness of each frame as an id."""
    hop = round(RATE / rate)
    padded = np.pad(x, (0, -len(x) % hop)).reshape(-1, hop)
    level = np.log10(np.sqrt(np.mean(np.square(padded), axis=1)) + 1e-4) / 4 + 1
    return np.clip((level * vocabulary).astype(np.int64), 0, vocabulary - 1)


def loud(vocabulary: int = 32, rate: float = 50.0) -> Made:
    return Made((Stream("q1", vocabulary, rate),), lambda x: (levels(x, rate, vocabulary),))


def corpus(folder: Path, clips: list[tuple[dict[str, Any], Samples]], **columns: bool) -> Path:
    """A suite of these clips with what the rows say of them."""
    folder.mkdir(parents=True)
    lines = []
    for n, (row, samples) in enumerate(clips):
        soundfile.write(folder / f"{n}.flac", samples, RATE)
        kept = ("split", "speaker", "text", "phones", "words")
        made = {name: row[name] for name in kept if columns.get(name, True) and name in row}
        lines.append(
            json.dumps({"utterance": f"u{n}", "file": f"{n}.flac", "language": "en"} | made)
        )
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "suite.yaml").write_text('name: small\nversion: "1"\nmanifest: manifest.jsonl\n')
    return folder / "suite.yaml"


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five test and five training utterances with the alignments of mini."""
    clips = [*speech(5), *speech(5, "train")]
    assert all(row["phones"] for row, _ in clips[:5])
    return corpus(tmp_path_factory.mktemp("tokens") / "suite", clips)


def run(
    suite: Path,
    out: Path,
    tokenizer: Any,
    only: tuple[str, ...] = (),
    limit: int | None = None,
) -> tuple[Result, Path]:
    plan = Plan(
        tokenizer, "made", {}, {"tokenizer": "made"}, ("tokens",),
        rows=set(only) if only else None, token_tracks=loaded_tracks(("tokens",)),
    )  # fmt: skip
    measured = Pass(
        plan,
        load_suite(str(suite), limit=limit),
        cache=out / ".cache",
        where="cpu",
        reporter=Quiet(),
        batch_seconds=30.0,
        threads=2,
    ).run()
    try:
        return write_run(measured, out / "run", where="cpu", seed=0), out / "run"
    finally:
        measured.close()


def files(folder: Path) -> dict[str, bytes]:
    """Everything that a run wrote, without its times."""
    made = {p.name: p.read_bytes() for p in sorted(folder.iterdir())}
    content = json.loads(made["result.json"])
    del content["timing"]
    return {**made, "result.json": json.dumps(content).encode()}


@pytest.fixture(scope="module")
def done(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path, Made, Path]:
    tokenizer = loud()
    out = tmp_path_factory.mktemp("done")
    result, folder = run(suite, out, tokenizer)
    return result, folder, tokenizer, out


def read(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "details.json").read_text())["tokens"])


# ------------------------------------------------------------------------------------ the seam
def test_every_track_has_rows_of_its_own() -> None:
    names = [row.name for name in tracks.MODULES for row in tracks.load(name).rows]
    metrics, _ = choose_metrics([])
    names += [row.name for metric in metrics for row in metric.info.rows]
    assert len(names) == len(set(names))
    assert all(name == name.lower().replace(" ", "_") for name in names)
    assert choose_tracks([]) == ("resynthesis", *tracks.MODULES)
    with pytest.raises(UserError, match="did you mean 'tokens'"):
        choose_tracks(["token"])


def test_all_rows_are_there_in_order_and_none_is_out_of_bounds(done: Any) -> None:
    result, folder, _, _ = done
    track = tracks.load("tokens")
    assert list(result.tracks) == ["tokens"]
    assert list(result.tracks["tokens"]) == [row.name for row in track.rows]
    assert result.failures == []
    for row in track.rows:
        made = result.tracks["tokens"][row.name]
        assert (made.value is None) == (made.n == 0)
        assert made.value is not None or made.note
        if made.value is not None:
            low, high = row.bounds
            assert low * row.scale <= made.value <= high * row.scale
        if made.ci95 is not None:
            assert made.ci95[0] <= made.value <= made.ci95[1]
    assert read_result(folder / "result.json") == result


def test_nothing_is_judged_and_only_the_few_to_be_encoded_again_are_decoded(done: Any) -> None:
    result, _, tokenizer, _ = done
    assert tokenizer.decoded == 5
    assert result.environment["judges"] == {}
    assert result.environment["tracks"] == {"tokens": "1"}


def test_without_that_row_nothing_is_decoded(suite: Path, tmp_path: Path) -> None:
    tokenizer = loud()
    tokenizer.decode = None  # type: ignore[assignment, method-assign]
    result, _ = run(suite, tmp_path, tokenizer, ("entropy_rate", "change_gain_up"))
    assert result.failures == []
    wanted = ["token_rate", "bitrate", "entropy_rate", "change_gain_up"]
    assert list(result.tracks["tokens"]) == wanted
    assert not list((tmp_path / ".cache" / "tokens").glob("*train*"))


def test_rates_alone_leave_no_details(suite: Path, tmp_path: Path) -> None:
    run(suite, tmp_path, loud(), ("entropy_rate",))
    assert (tmp_path / "run" / "details.json").is_file()
    result, folder = run(suite, tmp_path, loud(), ("wer",))
    assert set(result.artifacts) == {"scores", "tokens"}
    assert not (folder / "details.json").exists()


def test_the_second_run_encodes_nothing_and_ends_the_same(done: Any, suite: Path) -> None:
    _, folder, _, out = done
    before = files(folder)
    tokenizer = loud()
    run(suite, out, tokenizer)
    assert (tokenizer.encoded, tokenizer.decoded) == (0, 0)
    assert files(folder) == before
    assert set(before) == {"details.json", "result.json", "scores.parquet", "tokens.parquet"}


def test_interrupted_and_resumed_it_ends_as_one_that_was_not(
    done: Any, suite: Path, tmp_path: Path
) -> None:
    for calls in (1, 2, 3):
        tokenizer = loud()
        tokenizer.stop_after = calls
        with pytest.raises(KeyboardInterrupt):
            run(suite, tmp_path, tokenizer)
    _, folder = run(suite, tmp_path, loud())
    assert files(folder) == files(done[1])


def test_files_have_the_sums_that_the_result_states(done: Any) -> None:
    result, folder, _, _ = done
    assert set(result.artifacts) == {"scores", "tokens", "details"}
    for artifact in result.artifacts.values():
        assert sha256(folder / artifact.file) == artifact.sha256


def test_figures_can_be_computed_again_from_the_files(done: Any) -> None:
    result, folder, _, _ = done
    made = result.tracks["tokens"]
    scores = pd.read_parquet(folder / "scores.parquet")
    for name in ("token_rate", "dedup_rate", "bpe_1k", "boundary_f1", "change_white_20db"):
        part = scores[scores.metric == name]
        scale = 100 if made[name].unit == "%" else 1
        assert made[name].value == pytest.approx(
            scale * part.numerator.sum() / part.denominator.sum()
        )
        assert made[name].n == len(part)
    stored = pq.read_table(folder / "tokens.parquet").to_pylist()
    ids = np.concatenate([row["q1"] for row in stored]).astype(int)
    seconds = sum(row["seconds"] for row in stored)
    share = np.bincount(ids) / len(ids)
    share = share[share > 0]
    bits = -(share * np.log2(share)).sum() + (len(share) - 1) / (2 * len(ids) * np.log(2))
    assert made["entropy_rate"].value == pytest.approx(bits * len(ids) / seconds)
    assert made["perplexity"].value == pytest.approx(2**bits)
    assert made["utilisation"].value == pytest.approx(100 * len(share) / 32)


def test_the_details_tell_each_stream(done: Any) -> None:
    told = read(done[1])
    assert [s["name"] for s in told["streams"]] == ["q1"]
    assert told["curves"]["used_of_ids"]["q1"][-1][0] == told["streams"][0]["ids"]
    assert len(told["phones"]["sha256"]) == 64
    assert len(told["stability"]["utterances"]) == 5
    assert set(told["stability"]["share_by_stream"]) == {row.name for row in rows.CHANGES}


# -------------------------------------------------------------------------------------- splits
def test_merges_come_from_train_and_never_from_the_run_s_own_split(
    suite: Path, tmp_path: Path
) -> None:
    own = load_suite(str(suite))
    train = other_split(own, "train")
    assert train is not None
    assert not {i.utterance.id for i in own.items} & {i.utterance.id for i in train.items}
    assert other_split(own, "validation") is None
    limited = other_split(load_suite(str(suite), limit=2), "train")
    assert limited is not None
    assert len(limited.items) == 2
    (suite.parent / "train.yaml").write_text(
        'name: small\nversion: "1"\nmanifest: manifest.jsonl\nsplit: train\n'
    )
    assert other_split(load_suite(str(suite.parent / "train.yaml")), "train") is None
    result, _ = run(suite.parent / "train.yaml", tmp_path, loud(), ("bpe_1k",))
    assert result.tracks["tokens"]["bpe_1k"].value is None
    assert "no split 'train'" in str(result.tracks["tokens"]["bpe_1k"].note)


def test_an_unreadable_training_file_is_listed(tmp_path: Path) -> None:
    path = corpus(tmp_path / "suite", [*speech(2), *speech(2, "train")])
    (path.parent / "3.flac").write_bytes(b"no audio")
    result, _ = run(path, tmp_path, loud(), ("bpe_1k",))
    assert [(f.track, f.utterance, f.stage) for f in result.failures] == [
        ("all", "u3", "load:train")
    ]
    assert result.tracks["tokens"]["bpe_1k"].n == 2


# -------------------------------------------------------------------------------- known answers
def test_a_tokenizer_whose_ids_are_the_phones(suite: Path, tmp_path: Path) -> None:
    items = load_suite(str(suite)).items
    labels = sorted({span.label for item in items for span in item.phones or ()})
    known = {}
    for item in items:
        at = (np.arange(math.ceil(item.utterance.seconds * 100)) + 0.5) / 100
        spans = item.phones or ()
        known[hashlib.sha256(item.load()[0].tobytes()).hexdigest()] = np.array(
            [next((labels.index(s.label) for s in spans if s.start <= t < s.end), 0) for t in at]
        )

    def ids(x: Samples) -> tuple[Ids, ...]:
        found = known.get(hashlib.sha256(x.tobytes()).hexdigest())
        return (np.zeros(math.ceil(len(x) / 160), dtype=np.int64) if found is None else found,)

    result, _ = run(suite, tmp_path, Made((Stream("phone", len(labels), 100.0),), ids))
    made = {name: row.value for name, row in result.tracks["tokens"].items()}
    assert made["phone_purity"] == made["cluster_purity"] == pytest.approx(100)
    assert made["pnmi"] == made["pnmi_corrected"] == pytest.approx(1)
    assert made["pnmi_chance"] < 0.5
    assert made["boundary_precision"] > 99  # a gap in the alignment is a change of its own
    assert made["boundary_recall"] > 95  # two of one phone in a row have no change between them
    assert made["boundary_r_value"] > 0.95


def test_random_ids_say_nothing_of_phones_and_hold_still_for_nothing(
    suite: Path, tmp_path: Path
) -> None:
    def ids(x: Samples) -> tuple[Ids, ...]:
        seed = int.from_bytes(hashlib.sha256(x.tobytes()).digest()[:8], "big")
        return tuple(np.random.default_rng(seed).integers(0, 64, (2, len(x) // 320 + 1)))

    streams = (Stream("a", 64, 50.0), Stream("b", 64, 50.0))
    result, _ = run(suite, tmp_path, Made(streams, ids))
    made = {name: row.value for name, row in result.tracks["tokens"].items()}
    assert made["normalised_entropy"] > 99.5
    assert made["entropy_rate"] == pytest.approx(made["bitrate"], rel=0.01)
    assert abs(made["pnmi_corrected"]) < 0.05
    assert made["dedup_rate"] > 97
    for row in rows.CHANGES:
        assert made[row.name] > 80


def test_a_constant_stream_costs_nothing_and_never_changes(suite: Path, tmp_path: Path) -> None:
    tokenizer = Made((Stream("q", 1, 50.0),), lambda x: (np.zeros(len(x) // 320 + 1, np.int64),))
    result, _ = run(suite, tmp_path, tokenizer)
    made = result.tracks["tokens"]
    assert made["bitrate"].value == made["entropy_rate"].value == 0
    assert made["perplexity"].value == 1
    assert made["utilisation"].value == 100
    assert made["normalised_entropy"].value is None
    assert "two ids or more" in str(made["normalised_entropy"].note)
    assert made["pnmi"].value == made["pnmi_chance"].value == 0
    assert made["change_white_10db"].value == 0
    assert made["boundary_recall"].value == 0
    assert made["boundary_precision"].value is None


# ------------------------------------------------------------------------------------ bad input
def empty(x: Samples) -> tuple[Ids, ...]:
    return (np.zeros(0, dtype=np.int64),)


def three_rates(x: Samples) -> tuple[Ids, ...]:
    blocks = max(1, math.ceil(len(x) / 1280))
    return tuple(levels(np.resize(x, blocks * 1280), r, 16) for r in (12.5, 25.0, 50.0))


def test_streams_of_three_rates(suite: Path, tmp_path: Path) -> None:
    streams = tuple(Stream(f"q{n}", 16, r) for n, r in enumerate((12.5, 25.0, 50.0)))
    result, folder = run(suite, tmp_path, Made(streams, three_rates))
    assert result.failures == []
    made = result.tracks["tokens"]
    assert made["frame_rate"].value == pytest.approx(50, rel=0.05)
    assert made["bpe_1k"].value < 100
    assert "of the stream 'q0'" in str(made["pnmi"].note)
    assert len(read(folder)["phones"]["streams"]) == 3


@pytest.mark.parametrize("family", ["codec", "text-aligned"])
def test_streams_without_an_id(suite: Path, tmp_path: Path, family: str) -> None:
    result, _ = run(suite, tmp_path, Made((Stream("text", 8),), empty, family=family))
    assert result.failures == []
    made = result.tracks["tokens"]
    assert made["token_rate"].value == 0
    for name in ("entropy_rate", "perplexity", "bpe_1k", "pnmi", "dedup_rate", "change_gain_up"):
        assert made[name].value is None
        assert made[name].note


def test_ids_without_a_time_are_not_set_against_phones(suite: Path, tmp_path: Path) -> None:
    tokenizer = Made(
        (Stream("text", 64), Stream("speech", 64)),
        lambda x: (deduplicated(levels(x, 10.0, 64))[0],) * 2,
        family="text-aligned",
        side_info_bits=100.0,
    )
    result, folder = run(suite, tmp_path, tokenizer)
    assert result.failures == []
    made = result.tracks["tokens"]
    for row in (*rows.PHONES, *rows.BOUNDARIES, *rows.ABX):
        assert "no time of their own" in str(made[row.name].note)
    told = read(folder)["per_text_token"]
    assert told["ids"] == 2
    stored = pq.read_table(folder / "tokens.parquet").to_pylist()
    tokens = sum(len(row["text"]) for row in stored)
    assert told["bits"] == pytest.approx(2 * 6 + 5 * 100 / tokens)
    assert told["seconds"] == pytest.approx(sum(row["seconds"] for row in stored) / tokens)


def test_durations_give_ids_their_time(suite: Path, tmp_path: Path) -> None:
    def ids(x: Samples) -> tuple[Ids, ...]:
        units, lengths = deduplicated(levels(x, 50.0, 16))
        return units, duration_ids(lengths)

    plain, _ = run(suite, tmp_path / "plain", loud(16), ("phone_purity", "boundary_recall"))
    tokenizer = Made((Stream("units", 16), Stream("durations", 32)), ids)
    result, _ = run(suite, tmp_path / "dedup", tokenizer, ("phone_purity", "boundary_recall"))
    # The frame rate is found from the durations, so boundaries just 20 ms apart may miss.
    for name, slack in {"phone_purity": 1, "boundary_recall": 8}.items():
        own, other = (r.tracks["tokens"][name].value for r in (result, plain))
        assert own == pytest.approx(other, abs=slack)


def test_durations_that_fit_nothing_give_no_time() -> None:
    info = Made((Stream("units", 16), Stream("durations", 32)), empty).info
    units = np.arange(3)
    for lengths in (np.array([0, 0]), np.array([31, 31, 31]), np.zeros(0, dtype=np.int64)):
        assert timed(info, Tokens((units, lengths)), 50.0) == [None, None]
    fitting = Tokens((units, np.array([0, 1, 0])))
    assert timed(info, fitting, None) == [None, None]
    found = timed(info, fitting, 50.0)[0]
    assert found is not None
    assert (found.ids.tolist(), found.rate) == ([0, 1, 1, 2], 50.0)


def test_a_suite_without_alignments_and_with_one_utterance_of_one_frame(tmp_path: Path) -> None:
    x = speech(1)[0][1][8000:8160]
    path = corpus(tmp_path / "suite", [({"speaker": "s", "text": "a"}, x)])
    result, _ = run(path, tmp_path, loud())
    assert result.failures == []
    made = result.tracks["tokens"]
    assert made["token_rate"].n == 1
    assert made["entropy_rate"].value == 0
    assert "no phone alignment" in str(made["abx_within"].note)
    assert "no split 'train'" in str(made["bpe_4k"].note)
    assert "no other recording" in str(made["change_babble_10db"].note)
    assert made["change_shift_5ms"].n == 1


def test_silence_and_what_cannot_be_encoded_are_listed_where_they_fail(tmp_path: Path) -> None:
    clips = [*speech(2), ({"speaker": "s"}, np.zeros(RATE, np.float32))]
    path = corpus(tmp_path / "suite", clips)
    heard = {hashlib.sha256(i.load()[0].tobytes()).digest() for i in load_suite(str(path)).items}

    def ids(x: Samples) -> tuple[Ids, ...]:
        if hashlib.sha256(x.tobytes()).digest() not in heard and len(x) > len(clips[0][1]) - 9:
            raise ItemFailure("never heard of it")
        return (levels(x, 50.0, 32),)

    result, _ = run(path, tmp_path, Made((Stream("q1", 32, 50.0),), ids), ("change_white_20db",))
    reasons = {(f.track, f.stage, f.reason) for f in result.failures}
    assert ("tokens", "change_white_20db", "silence has no level for noise to lie below") in reasons
    assert ("tokens", "change_white_20db", "never heard of it") in reasons
    row = result.tracks["tokens"]["change_white_20db"]
    assert row.n + row.failures == 3
    assert row.failures == len(result.failures)


def test_every_utterance_lost_leaves_empty_rows(suite: Path, tmp_path: Path) -> None:
    def ids(x: Samples) -> tuple[Ids, ...]:
        raise ValueError("broken")

    result, _ = run(suite, tmp_path, Made((Stream("q1", 32, 50.0),), ids))
    assert all(row.value is None for row in result.tracks["tokens"].values())
    assert len(result.failures) == 10  # five of the test, five of train


def test_alignments_that_are_none_are_told(tmp_path: Path) -> None:
    _, x = speech(1)[0]
    bad = [
        ([{"phone": "A", "start": 0.0}], "cannot be read"),
        ([{"phone": "A", "start": 0.5, "end": 0.2}], "out of order"),
    ]
    for n, (phones, sentence) in enumerate(bad):
        path = corpus(tmp_path / str(n), [({"speaker": "s", "phones": phones}, x)])
        with pytest.raises(UserError, match=sentence) as caught:
            load_suite(str(path))
        assert "'u0'" in str(caught.value)


# ------------------------------------------------------------------------------- perturbations
def sound(samples: Samples, others: tuple[Samples, ...] = ()) -> pt.Sound:
    return pt.Sound(samples, RATE, "u", 0, others)


@pytest.fixture(scope="module")
def clip() -> Samples:
    return speech(1)[0][1]


@pytest.mark.parametrize("kind", ["white", "babble"])
@pytest.mark.parametrize("decibels", [20, 10])
def test_noise_lies_as_far_below_as_it_says(clip: Samples, kind: str, decibels: int) -> None:
    others = tuple(x for _, x in speech(4)[1:])
    pair = pt.changed(f"change_{kind}_{decibels}db", sound(clip, others))
    noise = pair.after.astype(np.float64) - pair.before
    ratio = 10 * np.log10(np.sum(np.square(pair.before)) / np.sum(np.square(noise)))
    assert ratio == pytest.approx(decibels, abs=0.01)
    again = pt.changed(f"change_{kind}_{decibels}db", sound(clip, others))
    np.testing.assert_array_equal(pair.after, again.after)


def test_gain_and_shift_are_exact_and_nothing_is_clipped(clip: Samples) -> None:
    full = (clip / np.abs(clip).max()).astype(np.float32)
    up = pt.changed("change_gain_up", sound(full))
    assert up.scaled
    assert np.abs(up.after).max() <= 1
    np.testing.assert_allclose(up.after, up.before * 10 ** (6 / 20), atol=1e-6)
    down = pt.changed("change_gain_down", sound(full))
    assert not down.scaled
    np.testing.assert_array_equal(down.before, full)
    late = pt.changed("change_shift_10ms", sound(clip))
    assert not np.any(late.after[:160])
    np.testing.assert_array_equal(late.after[160:], clip[:-160])


def test_resampling_changes_next_to_nothing(clip: Samples) -> None:
    pair = pt.changed("change_resampling", sound(clip))
    assert len(pair.after) == len(clip)
    error = np.sum(np.square(pair.after - clip)) / np.sum(np.square(clip))
    assert 0 < error < 1e-3


def test_only_the_middle_of_a_very_long_stream_is_compared() -> None:
    ids = np.arange(MOST_IDS + 10)
    assert middle(ids).tolist() == list(range(5, MOST_IDS + 5))
    assert middle(ids[:7]).tolist() == list(range(7))


# -------------------------------------------------------------------------------- command line
def test_mulaw_from_the_command_line(
    suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["eval", "mulaw", "--set", "rate=4000", "--suite", str(suite), "--tracks", "tokens"]
    chosen = "entropy_rate,pnmi,abx_within,change_gain_down"
    assert main([*arguments, "--metrics", chosen, "--out", str(tmp_path)]) == 0
    table = capsys.readouterr().out
    lines = table.splitlines()
    rule = next(i for i, line in enumerate(lines) if "─" in line)
    body = list(itertools.takewhile(lambda line: "work" not in line, lines[rule:]))
    assert any(line.strip().startswith("entropy_rate ↓ bit/s") for line in body)
    assert "faster than 200 a second" in table
    folder = next(tmp_path.glob("small/mulaw*/partial"))
    assert main(["show", str(folder)]) == 0
    assert "pnmi" in capsys.readouterr().out
    assert main(["show", str(folder), "--by", "speaker", "--metrics", "bitrate"]) == 0
    assert main(["show", str(folder), "--by", "speaker", "--metrics", "pnmi"]) == 2
    assert "has no parts" in capsys.readouterr().err


def test_soundstream_as_shipped(suite: Path, tmp_path: Path) -> None:
    if not (checkpoint.SHIPPED / "soundstream").is_dir():
        pytest.skip("no checkpoint of soundstream ships: train one with `bench train soundstream`")
    from bench import registry

    tokenizer = registry.plugin("tokenizers", "soundstream").module.load(device="cpu", codebooks=2)
    result, folder = run(suite, tmp_path, tokenizer)
    assert result.failures == []
    made = result.tracks["tokens"]
    assert made["abx_codes_within"].n == made["abx_within"].n
    assert 0 < made["entropy_rate"].value <= made["bitrate"].value * 1.001
    assert made["pnmi_corrected"].value > 0.1
    assert made["change_white_10db"].value >= made["change_white_20db"].value
    assert made["change_resampling"].value < made["change_white_20db"].value
    assert len(read(folder)["streams"]) == 2
