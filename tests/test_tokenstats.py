"""Measures of token sequences against known answers and slow references."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.tokenstats import abx, bpe, phones
from bench.tokenstats.counts import Counts, merged, pairs
from bench.tokenstats.entropy import (
    conditional_entropy,
    distinct_at,
    entropy,
    entropy_at,
    plug_in,
    unseen,
    zipf_exponent,
)
from bench.tokenstats.jackknife import grouped, jackknife
from bench.tokenstats.sequences import edit_distance, interleaved, on_grid, runs

few = settings(deadline=None, max_examples=60, derandomize=True)
sequences = st.lists(st.integers(0, 6), max_size=30).map(lambda x: np.array(x, dtype=np.int64))


def ids(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


# ----------------------------------------------------------------------------- counts, entropy
@few
@given(sequences, sequences)
def test_what_is_taken_away_was_there(one: np.ndarray, other: np.ndarray) -> None:
    together = Counts.of(np.concatenate([one, other]))
    left, right = together.without(Counts.of(other)), Counts.of(one)
    assert (left.keys.tolist(), left.counts.tolist()) == (
        right.keys.tolist(),
        right.counts.tolist(),
    )
    sum_ = merged([Counts.of(one), Counts.of(other)])
    assert (sum_.keys.tolist(), sum_.counts.tolist()) == (
        together.keys.tolist(),
        together.counts.tolist(),
    )


def test_random_ids_have_the_whole_entropy_and_a_constant_none() -> None:
    random = np.random.default_rng(0).integers(0, 64, 60_000)
    assert entropy(Counts.of(random), 64) == pytest.approx(6, abs=0.002)
    assert conditional_entropy(Counts.of(pairs(random, 64)), 64) == pytest.approx(6, abs=0.02)
    constant = Counts.of(np.zeros(1000, dtype=np.int64))
    assert entropy(constant, 256) == 0
    assert conditional_entropy(constant, 256) == 0


def test_the_correction_takes_most_of_the_bias_away() -> None:
    random = np.random.default_rng(1).integers(0, 256, 2000)
    counts = Counts.of(random)
    short, corrected = 8 - plug_in(counts.counts), 8 - entropy(counts, 256)
    assert short > 0.08
    assert abs(corrected) < short / 5
    assert entropy(Counts.of(ids(0, 1)), 1024) == pytest.approx(1 + 1 / (4 * math.log(2)))


def test_a_cycle_is_certain_once_one_id_is_known() -> None:
    cycle = np.tile(np.arange(4), 500)
    assert entropy(Counts.of(cycle), 4) == pytest.approx(2, abs=1e-3)
    assert conditional_entropy(Counts.of(pairs(cycle, 4)), 4) == pytest.approx(0, abs=1e-9)


@few
@given(sequences, st.integers(7, 50))
def test_entropies_lie_where_entropies_can(values: np.ndarray, vocabulary: int) -> None:
    for found in (
        entropy(Counts.of(values), vocabulary),
        conditional_entropy(Counts.of(pairs(values, vocabulary)), vocabulary),
    ):
        assert math.isnan(found) or 0 <= found <= math.log2(vocabulary)
    assert math.isnan(entropy(Counts.of(values), vocabulary)) == (len(values) == 0)


def test_a_vocabulary_of_one_and_no_ids_at_all() -> None:
    assert entropy(Counts.of(ids(0, 0, 0)), 1) == 0
    nothing = Counts.of(ids())
    assert math.isnan(entropy(nothing, 1))
    assert math.isnan(conditional_entropy(nothing, 8))
    assert math.isnan(unseen(nothing))
    assert math.isnan(zipf_exponent(nothing))
    assert distinct_at(nothing, 0) == 0


def test_different_ids_among_a_budget_by_counting_all_draws() -> None:
    values = ids(0, 0, 0, 1, 1, 2, 3)
    draws = list(itertools.combinations(values.tolist(), 3))
    expected = sum(len(set(d)) for d in draws) / len(draws)
    assert distinct_at(Counts.of(values), 3) == pytest.approx(expected)
    assert distinct_at(Counts.of(values), 7) == 4
    assert math.isnan(distinct_at(Counts.of(values), 8))


def test_entropy_at_a_budget() -> None:
    counts = Counts.of(np.random.default_rng(2).integers(0, 64, 5000))
    assert entropy_at(counts, 64, 5000, 0) == pytest.approx(entropy(counts, 64))
    assert entropy_at(counts, 64, 500, 0) == entropy_at(counts, 64, 500, 0)
    assert entropy_at(counts, 64, 500, 0) == pytest.approx(6, abs=0.03)
    assert math.isnan(entropy_at(counts, 64, 5001, 0))


@pytest.mark.parametrize("exponent", [0.0, 0.7, 1.0, 1.5])
def test_the_exponent_of_a_power_law_is_found(exponent: float) -> None:
    counts = np.round(1e7 * np.arange(1, 301) ** -exponent).astype(np.int64)
    assert zipf_exponent(Counts(np.arange(300), counts)) == pytest.approx(exponent, abs=0.01)


def test_the_chance_of_a_new_id_is_the_share_of_those_seen_once() -> None:
    assert unseen(Counts.of(ids(1, 1, 2, 3, 4, 4, 5, 5))) == pytest.approx(2 / 8)


# ---------------------------------------------------------------------------------- sequences
@few
@given(sequences)
def test_runs_are_counted(values: np.ndarray) -> None:
    assert runs(values) == sum(1 for _ in itertools.groupby(values.tolist()))


def slow_edits(a: list[int], b: list[int]) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]


@few
@given(sequences, sequences)
def test_edits_are_those_of_the_definition(one: np.ndarray, other: np.ndarray) -> None:
    assert edit_distance(one, other) == slow_edits(one.tolist(), other.tolist())


def test_streams_of_one_rate_are_interleaved_frame_by_frame() -> None:
    made = interleaved([ids(0, 1, 2), ids(3, 4, 5)], [10, 10], [50.0, 50.0])
    assert made.tolist() == [0, 13, 1, 14, 2, 15]


def test_streams_of_three_rates_are_interleaved_as_snac_flattens_them() -> None:
    streams = [ids(0, 1), ids(0, 1, 2, 3), np.arange(8)]
    made = interleaved(streams, [10, 10, 10], [24_000 / 2048, 24_000 / 1024, 24_000 / 512])
    assert made.tolist() == [0, 10, 20, 21, 11, 22, 23, 1, 12, 24, 25, 13, 26, 27]


@few
@given(st.lists(sequences, min_size=1, max_size=5), st.booleans())
def test_interleaving_loses_nothing_and_keeps_each_stream_s_order(
    streams: list[np.ndarray], fixed: bool
) -> None:
    made = interleaved(streams, [7] * len(streams), [12.5 if fixed else None] * len(streams))
    for number, stream in enumerate(streams):
        part = made[made // 7 == number] % 7
        assert part.tolist() == stream.tolist()


def test_slow_streams_stand_for_all_frames_that_they_cover() -> None:
    made = on_grid([ids(5, 6), ids(0, 1, 2, 3)], [10.0, 20.0])
    assert made.tolist() == [[5, 0], [5, 1], [6, 2], [6, 3]]
    assert on_grid([ids(5), ids()], [10.0, 10.0]).shape == (0, 2)


# ---------------------------------------------------------------------------------------- bpe
def test_a_repeated_word_becomes_one_token() -> None:
    train = [np.tile(ids(4, 9, 2), 20), ids(9, 4)]
    alphabet = bpe.Alphabet.of(train)
    merges = bpe.learn(train, alphabet, 2)
    assert len(merges.pairs) == 2
    assert merges.words(2) >= {alphabet.text(ids(4, 9, 2))}
    assert [len(x) for x in merges.split([np.tile(ids(4, 9, 2), 5)], 2)] == [5]
    assert [len(x) for x in merges.split([np.tile(ids(4, 9, 2), 5)], 0)] == [15]


@few
@given(st.lists(sequences, min_size=1, max_size=6), st.integers(0, 20))
def test_merging_loses_nothing_and_never_lengthens(found: list[np.ndarray], count: int) -> None:
    alphabet = bpe.Alphabet.of(found)
    merges = bpe.learn(found, alphabet, 20)
    assert merges == bpe.learn(found, alphabet, 20)
    for sequence, tokens in zip(found, merges.split(found, count), strict=True):
        assert "".join(tokens) == alphabet.text(sequence)
        assert len(tokens) <= len(sequence)


def test_fewer_merges_are_the_first_of_more() -> None:
    rng = np.random.default_rng(0)
    found = [rng.integers(0, 6, 200) for _ in range(4)]
    alphabet = bpe.Alphabet.of(found)
    assert bpe.learn(found, alphabet, 40).pairs[:10] == bpe.learn(found, alphabet, 10).pairs


def test_symbols_reach_over_the_surrogates() -> None:
    alphabet = bpe.Alphabet.of([np.arange(60_000)])
    text = alphabet.text(ids(0, 35_839, 35_840, 59_999))
    assert len(set(text)) == 4
    assert text.encode().decode() == text


# ------------------------------------------------------------------------------------- phones
def joint(said: np.ndarray, found: np.ndarray, vocabulary: int) -> Counts:
    return Counts.of(phones.joint(said, found, vocabulary))


def test_phones_as_ids_are_perfect() -> None:
    said = np.random.default_rng(0).integers(0, 40, 5000)
    both = joint(said, said, 40)
    assert phones.pnmi(both, 40) == pytest.approx(1)
    assert phones.phone_purity(both, 40) == phones.cluster_purity(both, 40) == 1


def test_one_cluster_is_as_pure_as_its_largest_phone() -> None:
    said = ids(*[0] * 50, *[1] * 30, *[2] * 20)
    both = joint(said, np.zeros(100, dtype=np.int64), 8)
    assert phones.phone_purity(both, 8) == 0.5
    assert phones.cluster_purity(both, 8) == 1
    assert phones.pnmi(both, 8) == 0


def test_a_table_by_hand() -> None:
    said, found = ids(0, 0, 0, 1, 1, 1), ids(0, 0, 1, 1, 1, 2)
    both = joint(said, found, 3)
    assert phones.phone_purity(both, 3) == pytest.approx((2 + 2 + 1) / 6)
    assert phones.cluster_purity(both, 3) == pytest.approx((2 + 2) / 6)
    conditional = 3 / 6 * (-(1 / 3) * math.log2(1 / 3) - 2 / 3 * math.log2(2 / 3))
    assert phones.pnmi(both, 3) == pytest.approx(1 - conditional)


def test_independent_ids_have_no_information_beyond_chance() -> None:
    rng = np.random.default_rng(3)
    said, found = rng.integers(0, 40, 6000), rng.integers(0, 1000, 6000)
    raw = phones.pnmi(joint(said, found, 1000), 1000)
    turned = [
        phones.pnmi(joint(said, np.roll(found, by), 1000), 1000)
        for by in phones.rotations(len(said), 0, 8)
    ]
    assert raw > 0.3  # 40,000 cells for 6,000 frames: chance alone
    assert phones.beyond_chance(raw, float(np.mean(turned))) == pytest.approx(0, abs=0.01)


def test_no_frames_and_one_phone() -> None:
    nothing = joint(ids(), ids(), 4)
    assert math.isnan(phones.phone_purity(nothing, 4))
    assert math.isnan(phones.pnmi(nothing, 4))
    assert math.isnan(phones.pnmi(joint(ids(2, 2), ids(0, 1), 4), 4))
    assert phones.rotations(0, 0, 2) == [0, 0]
    assert phones.rotations(1, 0, 2) == [0, 0]


def test_a_frame_has_the_phone_of_its_centre() -> None:
    starts, ends, labels = np.array([0.0, 0.1, 0.5]), np.array([0.1, 0.3, 0.6]), ids(7, 8, 9)
    times = np.array([-0.1, 0.0, 0.099, 0.1, 0.31, 0.55, 0.6])
    assert phones.at_times(times, starts, ends, labels).tolist() == [-1, 7, 7, 8, -1, 9, -1]
    assert phones.at_times(times, *[np.zeros(0)] * 2, ids()).tolist() == [-1] * 7


@few
@given(
    st.lists(st.integers(0, 40), max_size=7, unique=True).map(sorted),
    st.lists(st.integers(0, 40), max_size=7, unique=True).map(sorted),
    st.integers(0, 4),
)
def test_boundaries_are_matched_as_many_as_can_be(one: list, other: list, tolerance: int) -> None:
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_bipartite_matching

    near = np.abs(np.subtract.outer(one, other)) <= tolerance
    best = 0
    if near.any():
        best = int((maximum_bipartite_matching(csr_matrix(near.astype(int))) >= 0).sum())
    times = np.array(one, dtype=float), np.array(other, dtype=float)
    assert phones.hits(*times, tolerance) == best


def test_the_r_value_of_known_cases() -> None:
    assert phones.r_value(10, 10, 10) == 1
    assert phones.r_value(10, 20, 10) == pytest.approx(1 - (1 + 1 / math.sqrt(2)) / 2)
    assert phones.r_value(0, 0, 10) == pytest.approx(1 - (math.sqrt(2) + 0) / 2)
    assert math.isnan(phones.r_value(0, 3, 0))


def test_the_outer_edges_are_no_boundaries() -> None:
    assert phones.inner([0.1, 0.2, 0.5], [0.2, 0.4, 0.6]).tolist() == [0.2, 0.4, 0.5]
    assert phones.inner([], []).tolist() == []


# ---------------------------------------------------------------------------------------- abx
def slow_warp(costs: np.ndarray) -> float:
    total, steps = {(-1, -1): 0.0}, {(-1, -1): 0}
    for i, j in itertools.product(range(costs.shape[0]), range(costs.shape[1])):
        before = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
        best = min(total.get(b, math.inf) for b in before)
        chosen = next(b for b in before if total.get(b, math.inf) == best)
        total[i, j], steps[i, j] = best + float(costs[i, j]), steps[chosen] + 1
    last = (costs.shape[0] - 1, costs.shape[1] - 1)
    return total[last] / steps[last]


frames = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=8).map(
    lambda x: np.array(x, dtype=np.int64)
)


@few
@given(st.lists(st.tuples(frames, frames), min_size=1, max_size=6))
def test_warping_many_is_warping_each(found: list) -> None:
    made = abx.warped(found, abx.differing)
    assert made == pytest.approx([slow_warp(abx.differing(a, b)) for a, b in found])


def test_angles() -> None:
    one, other = np.array([[1.0, 0], [0, 0]]), np.array([[0, 2.0], [-1, 0], [3, 0], [0, 0]])
    found = abx.angle(one, other)
    assert found == pytest.approx(np.array([[0.5, 1, 0, 0.5], [0.5, 0.5, 0.5, 0]]), abs=1e-6)


def spoken(make, count: int = 90) -> list[abx.Token]:
    """Three triphones in turn, ten tokens of each by each speaker."""
    rng = np.random.default_rng(0)
    return [
        abx.Token("K", str(n % 3), "T", f"s{n // 30}", make(rng, n % 3), f"{n:03d}", n % 5)
        for n in range(count)
    ]


@pytest.mark.parametrize("across", [False, True])
def test_random_ids_do_not_discriminate_and_phones_do(across: bool) -> None:
    random = spoken(lambda rng, _: rng.integers(0, 50, (5, 2)), count=90 if across else 450)
    found = abx.triplets(random, abx.differing, across=across)
    assert len(found) > 10_000
    assert found.error() == pytest.approx(0.5, abs=0.04)
    perfect = spoken(lambda rng, phone: np.full((int(rng.integers(3, 9)), 1), phone))
    assert abx.triplets(perfect, abx.differing, across=across).error() == 0
    constant = spoken(lambda rng, _: np.zeros((int(rng.integers(3, 9)), 1), dtype=np.int64))
    assert abx.triplets(constant, abx.differing, across=across).error() == 0.5
    vectors = spoken(lambda rng, phone: np.eye(3)[[phone]] + rng.normal(0, 0.1, (4, 3)))
    assert abx.triplets(vectors, abx.angle, across=across).error() < 0.02


def test_triplets_without_a_group_have_none_of_its_tokens() -> None:
    tokens = spoken(lambda rng, _: rng.integers(0, 50, (4, 1)))
    found = abx.triplets(tokens, abx.differing, across=False)
    left = abx.triplets([t for t in tokens if t.group != 2], abx.differing, across=False)
    assert len(found.without(2)) < len(found)
    assert not (found.without(2).groups == 2).any()
    assert left.error() == pytest.approx(found.without(2).error(), abs=0.1)


def test_each_pair_of_phones_counts_once_however_often_it_was_said() -> None:
    def token(phone: str, value: int, key: str) -> abx.Token:
        return abx.Token("K", phone, "T", "s", np.array([[value]]), key, 0)

    # a against b: X is as A in both triplets; a against c: never.
    tokens = [token("a", 1, "1"), token("a", 1, "2"), token("b", 2, "3"), token("c", 1, "4")]
    found = abx.triplets(tokens, abx.differing, across=False)
    assert sorted(found.score.tolist()) == [0.5, 0.5, 1, 1]
    assert found.error() == pytest.approx(0.25)


def test_no_pairs_no_figure() -> None:
    found = abx.triplets([], abx.differing, across=True)
    assert len(found) == 0
    assert math.isnan(found.error())
    assert math.isnan(found.without(0).error())


# ----------------------------------------------------------------------------------- jackknife
def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    from scipy.stats import t

    x = np.random.default_rng(0).normal(3, 2, 12)
    bounds = jackknife(x.mean(), [np.delete(x, i).mean() for i in range(12)])
    half = t.ppf(0.975, 11) * x.std(ddof=1) / math.sqrt(12)
    assert bounds == pytest.approx((x.mean() - half, x.mean() + half))


def test_no_interval_of_one_group_or_of_nothing() -> None:
    assert jackknife(1.0, [1.0]) is None
    assert jackknife(1.0, [1.0, math.nan]) is None
    assert jackknife(math.nan, [1.0, 1.0]) is None


def test_groups_are_even_and_do_not_depend_on_order() -> None:
    names = [f"u{n}" for n in range(47)]
    found = grouped(names, 20)
    assert sorted(np.bincount(found)) == [2] * 13 + [3] * 7
    assert grouped(names[::-1], 20).tolist() == found[::-1].tolist()
    assert len(set(grouped(["a", "b", "a"]).tolist())) == 2
