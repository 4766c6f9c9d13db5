"""What `bench compare` claims: by hand, against the statistics it shares, and in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bench.compare.differences import claims, of_sums, pairs
from bench.compare.verification import SortedTrials, of_trials
from bench.eer import eer, eer_interval
from bench.stats import holm, interval, paired_interval

SPEAKERS = [f"s{n % 12}" for n in range(120)]
NULL_PAIRS = 200
ALLOWED = 17  # of 200 at 5 %: a binomial exceeds it in 1.4 % of seeds, and this seed is fixed


def word_errors(
    rng: np.random.Generator, runs: int, rates: np.ndarray | float = 0.08, words: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """Errors and words [R, 120] of runs that share hard sentences and hard speakers."""
    hard = np.clip(rng.gamma(0.5, 0.1, 120) + np.repeat(rng.gamma(0.5, 0.06, 12), 10), 0, 0.8)
    errors = rng.binomial(words, np.clip(hard + np.reshape(rates, (-1, 1)), 0, 1), (runs, 120))
    return errors.astype(float), np.full((runs, 120), float(words))


def test_two_runs_by_hand():
    # Differences by utterance 1, 0, 2, 1, 1: mean 1, deviation sqrt(1/2), t = sqrt(10), 4 freedom.
    a, b = np.array([3.0, 1, 4, 2, 2]), np.array([2.0, 1, 2, 1, 1])
    made = of_sums(np.stack([a, b]), np.ones((2, 5)), [f"s{n}" for n in range(5)])
    assert made.differences == pytest.approx([1.0])
    assert made.pair_errors == pytest.approx([np.sqrt(0.5 / 5)])
    assert (made.freedom, made.clusters, made.unit) == (4, 5, "speaker")
    (claim,) = claims([made])
    # Four utterances differ: no p under 2^-3, although t alone would say 0.034.
    assert 2 * scipy_stats.t.sf(np.sqrt(10), 4) == pytest.approx(0.034, abs=0.001)
    assert claim.p == pytest.approx([0.125])
    assert claim.sign.tolist() == [0]
    assert claim.low[0] < 0 < claim.high[0]


def test_every_pair_is_that_of_the_shared_statistics():
    errors, words = word_errors(np.random.default_rng(1), 4, np.array([0.0, 0.05, 0.1, 0.3]))
    made = of_sums(errors, words, SPEAKERS)
    half = scipy_stats.t.ppf(0.975, made.freedom)
    for at, (i, j) in enumerate(zip(*pairs(4), strict=True)):
        single = paired_interval((errors[j], words[j]), (errors[i], words[i]), SPEAKERS)
        assert made.differences[at] == pytest.approx(single.value)
        assert half * made.pair_errors[at] == pytest.approx(single.high - single.value)
    lows, highs = made.intervals()
    for run in range(4):
        alone = interval(errors[run], words[run], SPEAKERS)
        assert (made.values[run], lows[run], highs[run]) == pytest.approx(
            (alone.value, alone.low, alone.high)
        )


def test_holm_runs_over_all_pairs_and_all_metrics_of_a_family():
    rng = np.random.default_rng(2)
    family = [
        of_sums(*word_errors(rng, 3, np.array([0.0, shift, 0.0])), SPEAKERS)
        for shift in (0.03, 0.08)
    ]
    raw = np.concatenate(
        [2 * scipy_stats.t.sf(abs(m.differences) / m.pair_errors, m.freedom) for m in family]
    )
    made = claims(family)
    assert np.concatenate([c.p for c in made]) == pytest.approx(holm(raw.tolist()))
    half = scipy_stats.t.ppf(1 - 0.05 / (2 * 6), family[0].freedom) * family[0].pair_errors
    free = made[0].sign == 0
    assert made[0].high[free] == pytest.approx((family[0].differences + half)[free])


def test_a_claim_s_interval_does_not_hold_zero_and_no_other_excludes_it():
    rng = np.random.default_rng(3)
    for _ in range(40):
        family = [of_sums(*word_errors(rng, 4, rng.uniform(0, 0.08, 4)), SPEAKERS)]
        (made,) = claims(family)
        claimed = made.sign != 0
        assert (np.sign(family[0].differences[claimed]) == made.sign[claimed]).all()
        assert ((made.low >= 0) | (made.high <= 0))[claimed].all()
        assert ((made.low < 0) & (made.high > 0))[~claimed].all()


@pytest.mark.parametrize("clusters", ["speaker", "utterance"])
def test_200_null_pairs_give_at_most_5_percent_false_families(clusters: str) -> None:
    """Each pair is two equally good runs on three metrics of word errors: one family."""
    rng = np.random.default_rng(10)
    speakers = SPEAKERS if clusters == "speaker" else ["one"] * 120
    false = 0
    for _ in range(NULL_PAIRS):
        family = [of_sums(*word_errors(rng, 2), speakers) for _ in range(3)]
        assert family[0].unit == clusters
        false += any(claim.sign.any() for claim in claims(family))
    assert false <= ALLOWED


def test_200_null_families_of_five_runs_and_rare_errors() -> None:
    """Ten pairs, few utterances with any error: where a plain t test promises too much."""
    rng = np.random.default_rng(11)
    false = 0
    for _ in range(NULL_PAIRS):
        errors = rng.binomial(8, 0.006, (5, 40)).astype(float)
        made = of_sums(errors, np.full((5, 40), 8.0), ["one"] * 40)
        false += any(claim.sign.any() for claim in claims([made]))
    assert false <= ALLOWED


def test_intervals_of_a_family_hold_together() -> None:
    """All ten true differences at once, in 95 % of families, some of them zero."""
    rng = np.random.default_rng(12)
    truth = np.array([0.0, 0.0, 0.02, 0.02, 0.1])
    first, second = pairs(5)
    held = 0
    for _ in range(NULL_PAIRS):
        own = rng.normal(0, 0.05, 120)
        values = 0.3 + truth[:, None] + own + rng.normal(0, 0.06, (5, 120))
        (made,) = claims([of_sums(values, np.ones((5, 120)), ["one"] * 120)])
        difference = truth[first] - truth[second]
        held += bool(((made.low <= difference) & (difference <= made.high)).all())
    assert held >= NULL_PAIRS - ALLOWED


def test_a_real_effect_is_found_and_its_side_is_right() -> None:
    rng = np.random.default_rng(13)
    found = 0
    for _ in range(50):
        made = of_sums(*word_errors(rng, 2, np.array([0.0, 0.08])), SPEAKERS)
        (claim,) = claims([made])
        assert claim.sign[0] in (0, -1)
        found += claim.sign[0] == -1
    assert found >= 45


def test_a_run_and_its_copy_are_equal_and_rounding_is_no_difference() -> None:
    values = np.random.default_rng(14).normal(3, 1, 120)
    made = of_sums(np.stack([values, values, values * (1 + 1e-13)]), np.ones((3, 120)), SPEAKERS)
    assert made.differences.tolist() == [0, 0, 0]
    (claim,) = claims([made])
    assert claim.p.tolist() == [1, 1, 1]
    assert claim.sign.tolist() == [0, 0, 0]


def test_a_constant_gap_needs_enough_utterances() -> None:
    """No spread at all is no proof: three utterances that differ alike claim nothing."""
    for count, claimed in ((3, 0), (60, -1)):
        made = of_sums(np.stack([np.ones(count), np.full(count, 2.0)]), np.ones((2, count)),
                       ["one"] * count)  # fmt: skip
        (claim,) = claims([made])
        assert claim.sign.tolist() == [claimed]


def test_what_cannot_be_tested_is_not_in_the_family() -> None:
    one = of_sums(np.array([[1.0], [2.0]]), np.ones((2, 1)), ["a"])
    other = of_sums(*word_errors(np.random.default_rng(15), 2, np.array([0.0, 0.2])), SPEAKERS)
    empty = of_sums(np.zeros((2, 4)), np.zeros((2, 4)), list("abcd"))
    untested, alone, nothing = claims([one, other, empty])
    assert np.isnan(untested.p).all() and np.isnan(nothing.p).all()
    assert alone.p == pytest.approx(claims([other])[0].p)


# ------------------------------------------------------------------------------------------ EER
def verification(
    rng: np.random.Generator, speakers: int = 12, each: int = 20, apart: float = 1.5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Base scores, targets, and the two speakers [2, U] of trials; speakers differ."""
    who = np.repeat(np.arange(speakers), each)
    target = np.tile(np.arange(each) < each // 3, speakers)
    other = np.where(target, who, (who + rng.integers(1, speakers, len(who))) % speakers)
    return rng.normal(0, 0.3, speakers)[who] + apart * target, target, np.stack([other, who])


def test_the_rate_under_weights_is_that_of_the_shared_code() -> None:
    rng = np.random.default_rng(20)
    for _ in range(50):
        scores = np.round(rng.normal(0, 1, 60), 1)  # with ties
        targets = rng.random(60) < 0.3
        weights = rng.integers(0, 3, 60).astype(float)
        if weights[targets].any() and weights[~targets].any():
            made = SortedTrials(scores, targets).rate(weights)
            assert made == pytest.approx(eer(scores, targets, weights))


def test_the_error_agrees_with_the_interval_of_one_run() -> None:
    rng = np.random.default_rng(21)
    base, targets, (enrolled, tested) = verification(rng)
    scores = base + rng.normal(0, 1, (2, len(base)))
    made = of_trials(scores, targets, enrolled, tested, seed=0)
    names = [[str(n) for n in side] for side in (enrolled, tested)]
    quantiles = eer_interval(scores[0], scores[1], targets, *names)
    low, high = quantiles.difference_ci95
    assert -made.differences[0] == pytest.approx(quantiles.difference)
    assert 2 * 1.96 * made.pair_errors[0] == pytest.approx(high - low, rel=0.2)


def test_null_pairs_of_equal_error_rates() -> None:
    rng = np.random.default_rng(22)
    false = 0
    for seed in range(60):
        base, targets, (enrolled, tested) = verification(rng)
        scores = base + rng.normal(0, 1, (2, len(base)))
        made = of_trials(scores, targets, enrolled, tested, seed=seed, draws=100)
        false += bool(claims([made])[0].sign.any())
    assert false <= 7  # of 60 at 5 %: a binomial exceeds it in 1 % of seeds


def test_a_voice_that_is_lost_is_found() -> None:
    rng = np.random.default_rng(23)
    base, targets, (enrolled, tested) = verification(rng, apart=3.0)
    scores = np.stack([base + rng.normal(0, 0.5, len(base)), rng.normal(0, 1, len(base))])
    (claim,) = claims([of_trials(scores, targets, enrolled, tested, seed=0)])
    assert claim.sign.tolist() == [-1]


def test_one_speaker_has_no_rate_to_test() -> None:
    targets = np.array([True, False, True, False])
    none = np.zeros(4, dtype=np.int64)
    made = of_trials(np.random.default_rng(0).normal(size=(2, 4)), targets, none, none, seed=0)
    assert np.isnan(claims([made])[0].p).all()
