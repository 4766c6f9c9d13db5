"""Metrics on the outputs of judges: known answers, and an independent edit distance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.contracts import Judged, Sums, Utterance
from bench.errors import ItemFailure
from bench.metrics import _edits, dnsmos, dwer, emotion, mos, speaker, utmos, words


def utterance(**facts: Any) -> Utterance:
    base: dict[str, Any] = {
        "id": "u1", "corpus": "c", "language": "en", "speaker": "s", "seconds": 2.0,
        "text": "The quick brown fox", "affect": "happy",
    }  # fmt: skip
    return Utterance(**{**base, **facts})


def heard(text: str) -> Judged:
    return Judged(outputs={"moonshine": {"text": text}})


def value(sums: Sums) -> float:
    return sums.numerator / sums.denominator


# ---------------------------------------------------------------------------------------- words
def levenshtein(a: list[str], b: list[str]) -> int:
    """The textbook recursion, by rows."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


some_words = st.lists(st.sampled_from(["a", "b", "cc", "dd", "e"]), max_size=9)


@given(some_words.filter(bool), some_words)
def test_word_edits_are_the_levenshtein_distance(a: list[str], b: list[str]) -> None:
    edits = _edits.words(" ".join(a), " ".join(b))
    assert edits.total == levenshtein(a, b)
    assert edits.length == len(a)
    assert edits.insertions - edits.deletions == len(b) - len(a)


@given(some_words.filter(bool), some_words)
def test_character_edits_are_the_levenshtein_distance(a: list[str], b: list[str]) -> None:
    x, y = " ".join(a), " ".join(b)
    edits = _edits.characters(x, y)
    assert edits.total == levenshtein(list(x), list(y))
    assert edits.length == len(x)


def test_wer_known_answer() -> None:
    sums = words.load().score(utterance(), heard(""), heard("the quick brawn fox jumps"))
    assert sums["wer"] == Sums(2, 4)
    assert sums["wer_substitutions"] == Sums(1, 4)
    assert sums["wer_insertions"] == Sums(1, 4)
    assert sums["wer_deletions"] == Sums(0, 4)
    assert sums["cer"] == Sums(1 + len(" jumps"), len("the quick brown fox"))


def test_wer_is_of_normalised_text() -> None:
    said = utterance(text="Mr. Brown's colour, twenty-one dollars!")
    assert (
        words.load().score(said, heard(""), heard("mister browns color $21"))["wer"].numerator <= 2
    )
    exact = words.load().score(said, heard(""), heard("mister brown's color $21"))
    assert value(exact["wer"]) == value(exact["cer"]) == 0


def test_an_ellipsis_is_no_word() -> None:
    sums = words.load().score(utterance(), heard(""), heard("The quick ... brown fox..."))
    assert value(sums["wer"]) == value(sums["cer"]) == 0


def test_nothing_heard_is_a_word_error_rate_of_one() -> None:
    sums = words.load().score(utterance(), heard("the quick brown fox"), heard(""))
    assert value(sums["wer"]) == value(sums["cer"]) == value(sums["wer_deletions"]) == 1


def test_other_languages_use_the_basic_normaliser() -> None:
    said = utterance(language="fr", text="Vingt-et-un, c'est ÇA.")
    assert value(words.load().score(said, heard(""), heard("vingt et un c est ça"))["wer"]) == 0


@pytest.mark.parametrize("text", [None, "", " ... ", "[music]"])
def test_wer_without_reference_fails(text: str | None) -> None:
    with pytest.raises(ItemFailure, match="reference text"):
        words.load().score(utterance(text=text), heard("a"), heard("a"))


def test_dwer_is_against_the_original() -> None:
    metric = dwer.load()
    sums = metric.score(utterance(text=None), heard("one two cat"), heard("one two dog"))
    assert value(sums["dwer"]) == pytest.approx(1 / 2)  # "one two" is the number 12: two words
    assert value(metric.score(utterance(), heard("a cat"), heard("a cat"))["dwer"]) == 0
    with pytest.raises(ItemFailure, match="transcript of the original audio is empty"):
        metric.score(utterance(), heard(" "), heard("words"))


def test_missing_judge_fails() -> None:
    with pytest.raises(ItemFailure, match="moonshine gave no text"):
        words.load().score(utterance(), heard("a"), Judged())


# ------------------------------------------------------------------------------------- MOS
@pytest.mark.parametrize(
    "module,judge,row", [(mos, "distillmos", "distillmos"), (utmos, "utmos", "utmos")]
)
def test_mos(module: Any, judge: str, row: str) -> None:
    audio = Judged(outputs={judge: {"mos": 3.25}})
    assert module.load().score(utterance(), Judged(), audio) == {row: Sums(3.25, 1.0)}
    for bad in (float("nan"), float("inf"), "3", None):
        with pytest.raises(ItemFailure, match="not a finite number"):
            module.load().score(utterance(), Judged(), Judged(outputs={judge: {"mos": bad}}))  # type: ignore[dict-item]


def test_dnsmos() -> None:
    given_out = {"ovrl": 3.0, "sig": 3.5, "bak": 4.0, "p808": 3.7}
    sums = dnsmos.load().score(utterance(), Judged(), Judged(outputs={"dnsmos": dict(given_out)}))
    assert {k: value(v) for k, v in sums.items()} == {
        f"dnsmos_{k}": v for k, v in given_out.items()
    }


# --------------------------------------------------------------------------------- speaker, emotion
def voice(*numbers: float) -> Judged:
    return Judged(outputs={"resemblyzer": {"embedding": list(numbers)}})


@pytest.mark.parametrize(
    ("a", "b", "cosine"),
    [
        ((1, 2, 3), (1, 2, 3), 1.0),
        ((1, 2), (2, 4), 1.0),
        ((1, 0), (0, 5), 0.0),
        ((1, 0), (1, 1), 2**-0.5),
        ((1, 0), (-3, 0), -1.0),
    ],
)
def test_speaker_similarity(a: tuple[float, ...], b: tuple[float, ...], cosine: float) -> None:
    sums = speaker.load().score(utterance(), voice(*a), voice(*b))
    assert value(sums["speaker_similarity"]) == pytest.approx(cosine)
    assert -1 <= value(sums["speaker_similarity"]) <= 1


@pytest.mark.parametrize("bad", [(0.0, 0.0), (float("nan"), 1.0), (), (1.0, 2.0, 3.0)])
def test_speaker_similarity_fails(bad: tuple[float, ...]) -> None:
    with pytest.raises(ItemFailure):
        speaker.load().score(utterance(), voice(1.0, 1.0), voice(*bad))


def feeling(name: str) -> Judged:
    return Judged(outputs={"emotion": {"class": name, "probabilities": [0.5, 0.5]}})


def test_emotion() -> None:
    metric = emotion.load()

    def rows(before: str, after: str) -> list[float]:
        sums = metric.score(utterance(affect="happy"), feeling(before), feeling(after))
        return [value(sums["emotion_accuracy"]), value(sums["emotion_agreement"])]

    assert rows("happy", "happy") == [1, 1]
    assert rows("sad", "happy") == [1, 0]
    assert rows("sad", "sad") == [0, 1]
    with pytest.raises(ItemFailure, match="no emotion label"):
        metric.score(utterance(affect=None), feeling("sad"), feeling("sad"))


def test_a_copy_has_the_value_of_identity() -> None:
    same = Judged(
        outputs={
            "moonshine": {"text": "the quick brown fox"},
            "resemblyzer": {"embedding": list(np.linspace(0.1, 1, 16))},
            "emotion": {"class": "sad", "probabilities": [1.0]},
        }
    )
    for module in (words, dwer, speaker, emotion):
        metric = module.load()
        sums = metric.score(utterance(), same, same)
        assert set(sums) == {row.name for row in metric.info.rows}
        for row in metric.info.rows:
            if row.identity is not None:
                assert value(sums[row.name]) == pytest.approx(row.identity)
