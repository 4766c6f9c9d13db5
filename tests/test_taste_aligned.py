"""The track `aligned`: its figures on made-up swaps, and its experiments on a small checkpoint."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.contracts import Sums, Utterance
from bench.nn.taste_align import WordAligner, WordSpan
from bench.tempo import at_tempo
from bench.tracks import aligned, aligned_rows, aligned_swap
from bench.tracks.aligned_swap import Swapped, figures, same_text
from bench.tracks.contract import TokenItem
from tests.conftest import speech
from tests.taste_kit import write_aligner

CORRELATION, LEAK = aligned_rows.CORRELATION.name, aligned_rows.LEAK.name


def swapped(wanted: list[float], got: list[float], chosen: list[int], name: str = "u") -> Swapped:
    return Swapped(item(name), np.array(wanted), np.array(got), np.array(chosen, dtype=bool), True)


def item(name: str) -> TokenItem:
    utterance = Utterance(name, "c", "en", "s", 1.0, "a b")
    return TokenItem(utterance, "test", 1.0, None, None, lambda: None, lambda rate: None)  # type: ignore[arg-type, return-value]


def test_a_perfect_swap_moves_its_words_and_no_other() -> None:
    found = figures([swapped([0.1, 0.2, -0.1, 0.3], [0.1, 0.0, -0.1, 0.3], [1, 0, 1, 1])])
    assert found[CORRELATION] == pytest.approx(1.0)
    assert found[LEAK] == 0.0


def test_a_swap_that_moves_everything_leaks_and_one_against_the_donor_is_negative() -> None:
    all_move = figures([swapped([0.1, 0.2, -0.1, 0.3], [0.1, 0.2, -0.1, 0.3], [1, 0, 1, 0]),
                        swapped([0.4, 0.1], [0.4, 0.2], [1, 0])])  # fmt: skip
    assert all_move[LEAK] == pytest.approx((0.2 + 0.3 + 0.2) / 3 / 0.2)
    against = figures([swapped([0.1, 0.2, 0.3], [-0.1, -0.2, -0.3], [1, 1, 1])])
    assert against[CORRELATION] == pytest.approx(-1.0)
    assert np.isnan(against[LEAK])


def test_too_little_to_correlate_gives_no_figure() -> None:
    assert all(np.isnan(v) for v in figures([]).values())
    still = figures([swapped([0.1, 0.2, 0.3, 0.0], [0.0] * 4, [1, 1, 1, 0])])
    assert all(np.isnan(v) for v in still.values())


def test_swaps_of_one_utterance_are_one_record() -> None:
    pair = [swapped([0.1], [0.1], [1], "u"), replace(swapped([0.1], [0.1], [1], "u"), same=False)]
    found = same_text([*pair, swapped([0.1], [0.1], [1], "v")])
    assert [(r.utterance.id, r.sums) for r in found] == [("u", Sums(1, 2)), ("v", Sums(1, 1))]


def test_tempo_changes_the_length_and_not_the_pitch() -> None:
    time = np.arange(32_000) / 16_000
    tone = (0.5 * np.sin(2 * np.pi * 200 * time)).astype(np.float32)
    for tempo in (0.75, 1.3):
        made = at_tempo(tone, tempo)
        assert len(made) == pytest.approx(len(tone) / tempo, rel=0.01)
        bins = np.abs(np.fft.rfft(made[4000:12_000]))
        assert bins.argmax() * 16_000 / 8000 == pytest.approx(200, abs=4)
    assert at_tempo(tone, 1.0) is tone


def test_every_word_has_its_place(tmp_path: Path) -> None:
    aligner = WordAligner(write_aligner(tmp_path))
    clip = speech(1)[0][1]
    found = aligner.words(clip, "Please enter the – key.")
    assert [w.word for w in found] == ["Please", "enter", "the –", "key."]
    assert all(a.end <= b.start + 1e-9 for a, b in pairwise(found))
    assert found[0].start >= 0 and found[-1].end <= len(clip) / 16_000 + 0.024
    assert aligner.words(clip, "Please enter the – key.") is found


class Aligner:
    """Words as long as the sound is loud: 0.1 s each, and the amplitude of their part."""

    def words(self, audio: np.ndarray, text: str) -> list[WordSpan]:
        parts = np.array_split(np.abs(audio), len(text.split()))
        return [WordSpan(w, n, n + 0.1 + float(p.mean()), 100 + 50 * float(p.mean()))
                for n, (w, p) in enumerate(zip(text.split(), parts, strict=True))]  # fmt: skip


def test_the_floor_is_measured_on_the_text_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aligned, "aligner", Aligner)
    monkeypatch.setattr(aligned, "likeness", lambda a, b: float(1 - np.abs(a - b).mean()))
    one, other = np.full(4, 0.5), np.array([0.5, 0.5, 0.9, 0.9])
    near, pitch, voice = aligned._compared(one, other, "a b")
    assert (near.numerator, near.denominator) == (1.0, 2.0)
    assert pitch.denominator == 2.0 and pitch.numerator > 0
    assert voice.numerator == pytest.approx(0.8)


def test_rows_are_named_once_and_the_floor_mirrors_what_is_kept() -> None:
    names = [row.name for row in aligned_rows.ROWS]
    assert len(names) == len(set(names)) == 9
    for row, floor in zip(aligned_rows.KEPT, aligned_rows.FLOOR, strict=True):
        assert floor.name == f"{row.name}_floor"
        assert (floor.unit, floor.scale, floor.bounds) == (row.unit, row.scale, row.bounds)


@pytest.mark.parametrize(
    ("family", "streams", "spans", "there"),
    [("text-aligned", 5, True, True), ("text-aligned", 1, True, False),
     ("text-aligned", 5, False, False), ("codec", 8, True, False)],
)  # fmt: skip
def test_only_tokenizers_that_promise_it_are_asked(
    family: str, streams: int, spans: bool, there: bool
) -> None:
    class Told:
        pass

    tokenizer: Any = Told()
    if spans:
        tokenizer.spans = lambda tokens: []
    context: Any = Told()
    context.tokenizer = tokenizer
    context.info = Told()
    context.info.family, context.info.streams, context.info.nested = family, [None] * streams, True
    assert aligned.promises(context) is there
    if not there:
        result = aligned.TRACK.run(context)
        assert not result.rows and not result.records and not result.expected


def test_swaps_take_the_donors_ids_for_the_chosen_words_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bench.contracts import Tokens

    spans = [("a", 1), ("b", 2), ("c", 1), ("d", 2), ("e", 1), ("f", 1)]
    own = Tokens(tuple(np.arange(8) + 10 * k for k in range(3)))
    donor = Tokens((own.streams[0], *(-ids for ids in own.streams[1:])))
    heard: list[Tokens] = []

    class Context:
        seed = 0
        tokenizer = type("T", (), {"spans": staticmethod(lambda tokens: spans)})()

    def decoded(context: Any, tokens: Tokens, seconds: float) -> np.ndarray:
        heard.append(tokens)
        return np.repeat(np.abs(tokens.streams[1]) / 100, 10)

    monkeypatch.setattr(aligned_swap, "decoded", decoded)
    monkeypatch.setattr(aligned_swap, "aligner", Aligner)
    monkeypatch.setattr(aligned_swap, "original", lambda context, item: np.full(60, 0.1))
    monkeypatch.setattr(aligned_swap, "transcript", lambda sound: "A b, c d e f.")
    one = TokenItem(item("x").utterance, "test", 1.0, None, None, lambda: own, lambda rate: None)  # type: ignore[arg-type, return-value]
    found = aligned_swap._swap(Context(), aligned_swap.Pair(one, donor, np.full(60, 0.3)))  # type: ignore[arg-type]
    before, mixed = heard
    assert before is own
    np.testing.assert_array_equal(mixed.streams[0], own.streams[0])
    at = np.repeat(found.chosen, [n for _, n in spans])
    assert found.chosen.sum() == 2
    for k in (1, 2):
        np.testing.assert_array_equal(
            mixed.streams[k], np.where(at, -own.streams[k], own.streams[k])
        )
    np.testing.assert_allclose(found.wanted, 0.2)
    np.testing.assert_allclose(found.got, 0.0, atol=1e-9)
    assert found.same
