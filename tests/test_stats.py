"""The interval code: closed forms, and the coverage it promises, in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bench.stats import choose_clusters, holm, interval, paired_interval, ratio_interval


def simulate(rng, speakers=40, utterances=15, words=10, rate=0.1, spread=0.06):
    """Word errors of speakers who differ: errors, words and speaker of each utterance."""
    own = np.clip(rng.normal(rate, spread, speakers), 0.005, 0.9)
    who = np.repeat(np.arange(speakers), utterances)
    count = np.full(who.size, float(words))
    return rng.binomial(words, own[who]).astype(float), count, who


def test_speaker_clusters_hold_95_percent_and_utterances_do_not():
    rng = np.random.default_rng(1)
    hits, naive = 0, 0
    runs = 1500
    for _ in range(runs):
        errors, words, who = simulate(rng, utterances=60, spread=0.05)
        truth = 0.1
        _, low, high = ratio_interval(errors, words, who)
        hits += low <= truth <= high
        _, low, high = ratio_interval(errors, words, np.arange(who.size))
        naive += low <= truth <= high
    assert hits / runs == pytest.approx(0.95, abs=0.02)
    assert naive / runs < 0.75


def test_equal_denominators_reduce_to_the_t_interval_of_cluster_means():
    rng = np.random.default_rng(2)
    values = rng.normal(3, 1, 20)
    value, low, high = ratio_interval(values, np.ones(20), np.arange(20))
    expected = scipy_stats.t.interval(0.95, 19, values.mean(), scipy_stats.sem(values))
    assert (value, low, high) == pytest.approx((values.mean(), *expected))


def test_paired_difference_of_a_metric_with_itself_is_exactly_zero():
    errors, words, who = simulate(np.random.default_rng(3))
    made = paired_interval((errors, words), (errors, words), [f"s{w}" for w in who])
    assert (made.value, made.low, made.high) == (0, 0, 0)


def test_paired_interval_is_narrower_than_two_separate_ones():
    rng = np.random.default_rng(4)
    errors, words, who = simulate(rng)
    worse = errors + rng.binomial(1, 0.2, errors.size)
    names = [f"s{w}" for w in who]
    paired = paired_interval((errors, words), (worse, words), names)
    alone = interval(worse, words, names)
    assert paired.low > 0
    assert paired.high - paired.low < alone.high - alone.low


def test_paired_interval_covers_a_null_difference():
    rng = np.random.default_rng(5)
    hits, runs = 0, 800
    for _ in range(runs):
        a, words, who = simulate(rng, utterances=8)
        b, _, _ = simulate(rng, utterances=8)
        made = paired_interval((a, words), (b, words), [f"s{w}" for w in who])
        hits += made.low <= 0 <= made.high
    assert hits / runs == pytest.approx(0.95, abs=0.025)


def test_few_or_lopsided_speakers_cluster_on_utterances_and_say_so():
    assert choose_clusters(["a"] * 5, np.ones(5))[1] == "utterance"
    lopsided = ["a"] * 90 + [f"s{i}" for i in range(10)]
    assert choose_clusters(lopsided, np.ones(100))[1] == "utterance"
    assert choose_clusters([f"s{i % 6}" for i in range(60)], np.ones(60))[1] == "speaker"


def test_one_utterance_has_a_value_and_no_interval():
    made = interval(np.array([2.0]), np.array([10.0]), ["a"])
    assert made.value == 0.2
    assert np.isnan(made.low) and np.isnan(made.high)


def test_holm_equals_the_published_example():
    # Holm (1979) as worked in R's p.adjust documentation: p = .01, .02, .03, .04
    assert holm([0.01, 0.04, 0.03, 0.02]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([]) == []
