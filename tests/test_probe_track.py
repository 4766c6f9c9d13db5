"""What probes must show: chance for noise, certainty for what is there, and the same every time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench import registry
from bench.contracts import Stream, Tokens
from bench.probing import measure as measuring
from bench.probing.contract import Capacity, Level
from bench.probing.settings import Settings, settings
from bench.results import Row
from bench.tracks.contract import OWN, TRAIN, TokenItem, TrackResult
from bench.tracks.probe import ProbeTrack
from tests.probe_data import INFO, Context, items, random_of, speaker_of, spoken_of


def run(made: list[TokenItem], folder: Path, *rows: str, **changes: object) -> TrackResult:
    context = replace(Context(made, folder, set(rows)), **changes)  # type: ignore[arg-type]
    return ProbeTrack().run(context)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer steps: made-up speech is easily learnt."""

    def fewer(level: Level, capacity: Capacity) -> Settings:
        how = settings(level, capacity)
        return replace(how, steps=how.steps // 3, rates=how.rates[1:], places=how.places // 2,
                       most=how.most // 2)  # fmt: skip

    monkeypatch.setattr(measuring, "settings", fewer)


def chance(row: Row) -> tuple[float, float]:
    assert row.ci95 is not None
    return row.ci95


def test_random_ids_are_at_chance(tmp_path: Path) -> None:
    names = ("speaker_accuracy_linear", "emotion_accuracy_linear", "phone_accuracy_linear",
             "rate_energy_linear", "asr_cer_linear")  # fmt: skip
    found = run(items(random_of), tmp_path, *names).rows
    low, high = chance(found["speaker_accuracy_linear"])
    assert low <= 100 / 6 <= high
    told = found["phone_accuracy_linear"]
    assert told.value is not None and told.value < 35, "five phones of equal length"
    rate = found["rate_energy_linear"]
    assert rate.value is not None and rate.value < 0.1
    errors = found["asr_cer_linear"]
    assert errors.value is not None and errors.value > 60
    assert found["emotion_accuracy_linear"].value is None, "voices are in training and test"


def test_ids_that_are_the_speaker_tell_the_speaker_and_no_phone(tmp_path: Path) -> None:
    found = run(items(speaker_of), tmp_path, "speaker_accuracy_linear", "phone_accuracy_linear")
    told = found.rows["speaker_accuracy_linear"]
    assert told.value == 100.0 and told.n == 30
    assert told.difference is not None and told.difference > 40, "over log-mel of noise"
    phone = found.rows["phone_accuracy_linear"]
    majority = found.details["phone"]["linear"]["rows"]["phone_accuracy"]["majority"]
    assert phone.value == pytest.approx(majority, abs=6)


def test_ids_that_are_phones_tell_phones_unless_shuffled_or_labelled_at_random(
    tmp_path: Path,
) -> None:
    found = run(items(spoken_of), tmp_path, "phone_accuracy_linear", "phone_compression")
    row = found.rows["phone_accuracy_linear"]
    assert row.value is not None and row.value > 90
    told = found.details["phone"]["linear"]["rows"]["phone_accuracy"]
    for control in ("shuffled", "random"):
        assert told["arms"][control]["value"] < 50
        assert told["tokens_minus"][control]["ci95"][0] > 0
    assert row.note is not None
    for name in ("majority", "shuffled in time", "random labels", "log-mel", "5 seeds"):
        assert name in row.note
    compression = found.rows["phone_compression"]
    assert compression.value is not None and compression.value > 2
    curve = found.details["phone"]["linear"]["learning_curve"]
    values = [e["value"] for e in curve["phone_accuracy"]]
    assert len(values) == len(curve["shares"]) == 5 and values[-1] >= values[0]


@pytest.mark.slow
def test_the_network_learns_what_the_linear_head_learns(tmp_path: Path) -> None:
    found = run(items(spoken_of), tmp_path, "phone_accuracy_network", "phone_errors_network")
    row = found.rows["phone_accuracy_network"]
    assert row.value is not None and row.value > 85
    assert found.details["phone"]["network"]["parameters"] < 1_200_000


def test_the_same_seed_gives_the_same_bytes_and_an_interrupted_run_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("speaker_accuracy_linear", "language_accuracy_linear", "rate_energy_linear")
    made = items(spoken_of, 80)

    def text(found: TrackResult) -> str:
        rows = {name: row.model_dump(mode="json") for name, row in found.rows.items()}
        return json.dumps([rows, found.details, [f.model_dump() for f in found.failures]])

    whole = text(run(made, tmp_path / "a", *names))
    assert text(run(made, tmp_path / "b", *names, threads=2)) == whole
    trained: list[Capacity] = []
    real = measuring.engine.run

    def interrupted(*arguments: object) -> object:
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append("linear")
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(measuring.engine, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(made, tmp_path / "c", *names)
    again: list[int] = []

    def counted(*arguments: object) -> object:
        again.append(1)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(measuring.engine, "run", counted)
    assert text(run(made, tmp_path / "c", *names)) == whole
    assert len(again) == 2, "of four trainings, two were kept"
    again.clear()
    assert text(run(made, tmp_path / "c", *names)) == whole and not again
    assert text(run(made, tmp_path / "d", *names, seed=1)) != whole


def test_codebooks_of_a_nested_codec_are_told_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    made = []
    for item in items(random_of):
        tokens = Tokens((random_of(item, rng), speaker_of(item, rng)))
        made.append(replace(item, read=lambda tokens=tokens: tokens))
    info = replace(INFO, nested=True, streams=(Stream("q1", 16, 50.0), Stream("q2", 16, 50.0)))
    found = run(made, tmp_path, "speaker_accuracy_linear", info=info)
    told = found.details["speaker"]["linear"]
    arms = told["rows"]["speaker_accuracy"]["arms"]
    assert arms["tokens"]["value"] == 100.0 and arms["books:1"]["value"] < 60
    assert told["stream_weights"][1] > told["stream_weights"][0], "the second knows the speaker"
    assert sum(told["stream_weights"]) == pytest.approx(1, abs=1e-3)


def test_a_suite_without_training_data_is_cut_into_folds_of_voices(tmp_path: Path) -> None:
    made = []
    for item in items(speaker_of, 84, speakers=6):
        affect = "ab"[int(item.utterance.speaker[1:]) % 2]
        made.append(replace(item, split=OWN, utterance=replace(item.utterance, affect=affect)))
    found = run(made, tmp_path, "emotion_accuracy_linear", "emotion_uar_linear")
    row = found.rows["emotion_accuracy_linear"]
    assert row.n == 84, "every utterance is scored once"
    assert found.details["emotion"]["folds"] == 5
    assert row.value is not None and row.value < 90, "an unseen voice's number says nothing"


def test_a_probe_of_another_package_joins(plugins: Path, tmp_path: Path) -> None:
    assert registry.plugins("probes")["length"].origin == "bench-testkit"
    made = items(random_of)
    found = run(made, tmp_path, "length_accuracy_linear")
    assert found.rows["length_accuracy_linear"].n == 30


# ------------------------------------------------------------------------------------- bad input
def test_a_class_with_one_example_is_left_out_and_listed(tmp_path: Path) -> None:
    made = items(speaker_of)
    first = next(n for n, i in enumerate(made) if i.split == TRAIN)
    made[first] = replace(made[first], utterance=replace(made[first].utterance, speaker="lonely"))
    found = run(made, tmp_path, "speaker_accuracy_linear")
    assert found.rows["speaker_accuracy_linear"].value == 100.0
    told = [f for f in found.failures if f.utterance == made[first].utterance.id]
    assert [f.stage for f in told] == ["probe:speaker"] and "1 training example" in told[0].reason


def test_a_voice_in_training_and_test_of_a_task_on_unseen_voices_is_refused(tmp_path: Path) -> None:
    row = run(items(random_of), tmp_path, "emotion_uar_linear").rows["emotion_uar_linear"]
    assert row.value is None and row.note is not None
    assert row.note == (
        "voice 's0' is in the training and in the test data of a task on unseen voices; give each "
        "voice one split"
    )


def test_empty_ids_and_ids_beyond_the_vocabulary_are_listed(tmp_path: Path) -> None:
    made = items(speaker_of)
    own = [n for n, i in enumerate(made) if i.split == OWN]
    empty, large = Tokens((np.zeros(0, np.int64),)), Tokens((np.array([0, 99]),))
    made[own[0]] = replace(made[own[0]], read=lambda: empty)
    made[own[1]] = replace(made[own[1]], read=lambda: large)
    found = run(made, tmp_path, "speaker_accuracy_linear")
    assert found.rows["speaker_accuracy_linear"].n == 28
    reasons = {f.utterance: f.reason for f in found.failures}
    assert reasons[made[own[0]].utterance.id] == "it has no tokens"
    assert "declared vocabulary of 16" in reasons[made[own[1]].utterance.id]


def test_labels_that_are_all_equal_leave_nothing_to_tell_apart(tmp_path: Path) -> None:
    found = run(items(random_of), tmp_path, "language_accuracy_linear", "keyword_accuracy_linear")
    assert found.rows["language_accuracy_linear"].note == (
        "all labels are 'en' in the training data, so there is nothing to tell apart"
    )
    told = found.rows["keyword_accuracy_linear"]
    assert told.value is None and told.note == "the suite has no corpus of single words"


def test_too_little_training_data_say_nothing(tmp_path: Path) -> None:
    found = run(items(random_of, 20), tmp_path, "speaker_accuracy_linear")
    assert found.rows["speaker_accuracy_linear"].note == "10 training examples, of at least 30"
