"""Equal error rate: closed form, an independent computation, trials and interval."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm
from sklearn.metrics import roc_curve

from bench.contracts import Utterance
from bench.eer import Trial, eer, eer_interval, trials


def by_roc_curve(scores: np.ndarray, target: np.ndarray) -> float:
    alarm, hit, _ = roc_curve(target, scores, drop_intermediate=False)
    return float(brentq(lambda p: 1 - p - np.interp(p, alarm, hit), 0.0, 1.0))


@pytest.mark.parametrize("distance", [0.0, 1.0, 2.0, 3.0])
def test_two_gaussians(distance: float) -> None:
    n = 20_001
    q = norm.ppf((np.arange(n) + 0.5) / n)  # exact quantiles: no sampling error
    scores = np.concatenate([q + distance, q])
    target = np.repeat([True, False], n)
    assert eer(scores, target) == pytest.approx(norm.cdf(-distance / 2), abs=1e-4)


@given(st.lists(st.tuples(st.floats(-1, 1), st.booleans()), min_size=2, max_size=60))
def test_agrees_with_roc_curve(rows: list[tuple[float, bool]]) -> None:
    scores = np.array([s for s, _ in rows])
    target = np.array([t for _, t in rows])
    if target.all() or not target.any():
        with pytest.raises(ValueError, match="targets and impostors"):
            eer(scores, target)
        return
    miss = eer(scores, target)
    assert 0 <= miss <= 1
    # Where the curve is vertical at the crossing, interpolation over p is a jump: allow for it.
    assert miss == pytest.approx(by_roc_curve(scores, target), abs=1e-9)


def test_known_answers() -> None:
    assert eer([0.9, 0.8, 0.2, 0.1], [True, True, False, False]) == 0
    assert eer([0.1, 0.2, 0.8, 0.9], [True, True, False, False]) == 1
    assert eer([0.5, 0.5, 0.5], [True, False, False]) == 0.5
    assert eer([4, 3, 2, 1], [True, False, True, False]) == 0.5
    with pytest.raises(ValueError, match="not finite"):
        eer([float("nan"), 0.1], [True, False])


@given(
    st.lists(st.tuples(st.floats(-1, 1), st.booleans(), st.integers(0, 3)), min_size=2, max_size=30)
)
def test_weights_count_trials(rows: list[tuple[float, bool, int]]) -> None:
    scores, target, weights = (np.array(column) for column in zip(*rows, strict=True))
    repeated = np.repeat(target, weights)
    if repeated.all() or not repeated.any():
        return
    assert eer(scores, target, weights) == pytest.approx(eer(np.repeat(scores, weights), repeated))


# --------------------------------------------------------------------------------------- trials
def people(corpus: str, language: str, names: str, each: int) -> list[Utterance]:
    return [
        Utterance(f"{corpus}-{language}-{name}-{i}", corpus, language, name, 2.0)
        for name in names
        for i in range(each)
    ]


EVERYONE = people("x", "en", "abcd", 5) + people("x", "fr", "ef", 4) + people("y", "en", "agh", 3)


def test_trials() -> None:
    found = trials(EVERYONE)
    by_id = {u.id: u for u in EVERYONE}
    assert len(found) == len(set(found))
    for test, count in Counter(t.test for t in found if t.target).items():
        speaker = (by_id[test].corpus, by_id[test].speaker)
        assert count == min(3, sum((u.corpus, u.speaker) == speaker for u in EVERYONE) - 1)
    assert set(Counter(t.test for t in found if not t.target).values()) == {6}
    for trial in found:
        a, b = by_id[trial.enrol], by_id[trial.test]
        assert trial.enrol != trial.test
        assert (a.speaker == b.speaker) == trial.target
        assert not trial.target or a.corpus == b.corpus
    english = [t for t in found if not t.target and by_id[t.test].language == "en"]
    assert all(by_id[t.enrol].language == "en" for t in english)
    near = [t for t in english if t.test.startswith("x-en-b")]
    assert {by_id[t.enrol].corpus for t in near} == {"x"}
    assert len({by_id[t.enrol].speaker for t in near}) == 3, "impostors take turns over speakers"


def test_trials_do_not_depend_on_order() -> None:
    shuffled = EVERYONE.copy()
    random.Random(1).shuffle(shuffled)
    assert trials(shuffled) == trials(EVERYONE)
    assert trials(EVERYONE)[0] == Trial("x-en-a-3", "x-en-a-0", True)  # fixed for ever


def test_trials_of_one_speaker_have_no_impostors() -> None:
    assert all(t.target for t in trials(people("x", "en", "a", 3)))
    assert trials([]) == []


# ------------------------------------------------------------------------------------- interval
def simulate(seed: int, speakers: int, shift: float) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    found = trials(people("x", "en", "".join(chr(65 + i) for i in range(speakers)), 5))
    enrol = [t.enrol.split("-")[2] for t in found]
    test = [t.test.split("-")[2] for t in found]
    target = np.array([t.target for t in found])
    own = {chr(65 + i): rng.normal(0, 0.3) for i in range(speakers)}
    base = np.array([own[e] + own[t] for e, t in zip(enrol, test, strict=True)])
    scores = base + 2 * target + rng.normal(size=len(found))
    worse = scores - shift * target + rng.normal(0, 0.3, size=len(found))
    return scores, worse, target, np.array(enrol), np.array(test)


def test_interval() -> None:
    before, after, target, enrol, test = simulate(0, 20, 0.6)
    found = eer_interval(before, after, target, list(enrol), list(test), seed=1, resamples=300)
    assert found == eer_interval(before, after, target, list(enrol), list(test), 1, 300)
    assert found != eer_interval(before, after, target, list(enrol), list(test), 2, 300)
    assert found.value == eer(after, target) and found.reference == eer(before, target)
    assert found.difference == pytest.approx(found.value - found.reference)
    assert found.ci95[0] < found.value < found.ci95[1]
    assert found.reference_ci95[0] < found.reference < found.reference_ci95[1]
    assert 0 < found.difference_ci95[0] < found.difference < found.difference_ci95[1]
    assert (found.trials, found.speakers) == (len(target), 20)
    paired = found.difference_ci95[1] - found.difference_ci95[0]
    alone = found.ci95[1] - found.ci95[0]
    assert paired < alone, "pairing takes the speakers out of the difference"


def test_interval_of_a_copy_is_zero() -> None:
    before, _, target, enrol, test = simulate(3, 8, 0.0)
    found = eer_interval(before, before, target, list(enrol), list(test), resamples=100)
    assert found.difference_ci95 == (0.0, 0.0)


def test_interval_needs_two_speakers() -> None:
    with pytest.raises(ValueError, match="two speakers"):
        eer_interval([1, 0], [1, 0], [True, False], ["a", "a"], ["a", "a"])


def test_interval_covers() -> None:
    # An impostor's score adds two speakers' offsets, a target's one twice: variances of
    # 1 + 2 * 0.09 and 1 + 4 * 0.09, means 0 and 2.
    truth = norm.cdf(-2 / (np.sqrt(1.18) + np.sqrt(1.36)))
    inside = 0
    for seed in range(40):
        before, after, target, enrol, test = simulate(seed, 16, 0.0)
        low, high = eer_interval(
            before, after, target, list(enrol), list(test), 0, 100
        ).reference_ci95
        inside += low <= truth <= high
    assert inside >= 34
