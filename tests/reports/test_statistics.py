"""Statistics against SciPy, closed forms, rliable's definitions and brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from seqlab.reports.statistics import (
    Estimate,
    bootstrap,
    contrast,
    holm,
    interquartile_mean,
    probability_of_improvement,
    resample_counts,
    sign_flips,
    stratified_mean,
)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.mark.parametrize("count", [2, 3, 10])
def test_one_sample_is_students(rng, count):
    values = rng.normal(0.3, 1, count)
    found = contrast([(1.0, values)])
    peer = stats.ttest_1samp(values, 0)
    low, high = peer.confidence_interval(0.95)
    wanted = (values.mean(), low, high, peer.pvalue)
    assert (found.value, found.low, found.high, found.p) == pytest.approx(wanted)


def test_paired_differences_are_students_paired_test(rng):
    first, second = rng.normal(1, 1, 6), rng.normal(0, 2, 6)
    found, peer = contrast([(1.0, first - second)]), stats.ttest_rel(first, second)
    assert found.p == pytest.approx(peer.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(peer.confidence_interval(0.95)))


def test_two_samples_are_welchs(rng):
    first, second = rng.normal(1, 1, 5), rng.normal(0, 3, 9)
    found = contrast([(1.0, first), (-1.0, second)])
    peer = stats.ttest_ind(first, second, equal_var=False)
    assert found.p == pytest.approx(peer.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(peer.confidence_interval(0.95)))


def test_strata_by_hand():
    """Two strata of spreads 1 and 2: v = (1/2)²(1/2 + 4/2), each with one degree of freedom."""
    strata = [np.array([0, math.sqrt(2)]), np.array([10, 10 + 2 * math.sqrt(2)])]
    found = stratified_mean(strata)
    each = [1 / 8, 4 / 8]
    freedom = sum(each) ** 2 / (each[0] ** 2 + each[1] ** 2)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(sum(each))
    assert found.value == pytest.approx((math.sqrt(2) / 2 + 10 + math.sqrt(2)) / 2)
    assert found.high == pytest.approx(found.value + half)


def test_what_has_no_interval():
    assert contrast([(1.0, np.array([3.0]))]) == Estimate(3.0)
    assert stratified_mean([np.array([1.0, 2.0]), np.array([4.0])]) == Estimate(2.75)
    assert contrast([(1.0, np.array([0.5] * 3))]) == Estimate(0.5, 0.5, 0.5)
    assert math.isnan(contrast([(1.0, np.array([1.0, math.nan]))]).value)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 10, 33])
def test_interquartile_mean_is_scipys_trimmed_mean(rng, count):
    values = rng.normal(size=(4, count))
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25, axis=1))


def test_bootstrap_is_the_percentile_bootstrap(rng):
    values = rng.exponential(size=40)
    mean, middle = bootstrap([values], rng)
    for found, statistic in ((mean, np.mean), (middle, interquartile_mean)):
        peer = stats.bootstrap(
            (values,), statistic, n_resamples=20_000, method="percentile", rng=rng, vectorized=False
        ).confidence_interval
        assert (found.low, found.high) == pytest.approx(tuple(peer), abs=0.05)
        assert found.value == pytest.approx(statistic(values))


def test_bootstrap_stays_within_strata(rng):
    """The distance between strata is no noise."""
    strata = [np.array([0.0, 0.1, 0.2]), np.array([100.0, 100.1, 100.2])]
    mean, _ = bootstrap(strata, rng)
    assert mean.low is not None
    assert 49.9 < mean.low < mean.value < mean.high < 50.3


def test_bootstrap_of_all_resamples(rng):
    """Two values: means of the four resamples are 0, ½, ½, 1; percentiles are the extremes."""
    mean, _ = bootstrap([np.array([0.0, 1.0])], rng)
    assert (mean.value, mean.low, mean.high) == (0.5, 0.0, 1.0)


@pytest.mark.parametrize("smaller", [False, True])
def test_improvement_is_mann_whitneys(rng, smaller):
    strata = [
        [rng.integers(0, 6, size).astype(float) for size in sizes] for sizes in ((5, 7), (4, 9))
    ]
    found = probability_of_improvement(*strata, smaller=smaller, rng=rng)
    shares = [
        stats.mannwhitneyu(x, y).statistic / (len(x) * len(y)) for x, y in zip(*strata, strict=True)
    ]
    wanted = 1 - np.mean(shares) if smaller else np.mean(shares)
    assert found.value == pytest.approx(wanted)
    assert found.low < found.value < found.high


def test_improvement_resamples_runs():
    """Against brute force over all resamples of two and two runs."""
    x, y = np.array([1.0, 3.0]), np.array([2.0, 2.5])
    shares = [
        np.mean([x[i] > y[j] for i in a for j in b])
        for a in itertools.product((0, 1), repeat=2)
        for b in itertools.product((0, 1), repeat=2)
    ]
    found = probability_of_improvement([x], [y], smaller=False, rng=np.random.default_rng(0))
    assert found.value == 0.5
    assert (found.low, found.high) == (min(shares), max(shares)) == (0.0, 1.0)


@pytest.mark.parametrize("sizes", [(4,), (9,), (3, 5)])
def test_sign_flips_against_all_of_them(rng, sizes):
    strata = [rng.normal(0.5, 1, size) for size in sizes]
    weighted = np.concatenate([part / len(part) / len(strata) for part in strata])
    patterns = itertools.product((-1, 1), repeat=len(weighted))
    sums = np.array([abs(weighted @ np.array(signs)) for signs in patterns])
    wanted = np.mean(sums >= abs(weighted.sum()) - 1e-12)
    assert sign_flips(strata, rng) == pytest.approx(wanted)
    if len(strata) == 1:
        peer = stats.permutation_test(
            (strata[0],), np.mean, permutation_type="samples", n_resamples=np.inf
        )
        assert sign_flips(strata, rng) == pytest.approx(peer.pvalue)


def test_many_sign_flips_are_sampled(rng):
    values = rng.normal(0.3, 1, 40)
    peer = stats.ttest_1samp(values, 0).pvalue
    assert sign_flips([values], rng) == pytest.approx(peer, abs=0.02)


def test_sign_flips_of_nothing(rng):
    assert sign_flips([np.zeros(3)], rng) == 1.0
    assert sign_flips([np.array([0.1] * 3)], rng) == 0.25  # all or none of three


def test_holm_by_hand():
    """Holm's own procedure: reject in order while p_(k) ≤ α / (m − k + 1)."""
    p_values = [0.01, 0.04, 0.03, 0.005]
    assert holm(p_values) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    rng = np.random.default_rng(0)
    for _ in range(50):
        p_values = (rng.random(6) ** 3).tolist()
        rejected, ordered = set(), sorted(range(6), key=p_values.__getitem__)
        for rank, place in enumerate(ordered):
            if p_values[place] > 0.05 / (6 - rank):
                break
            rejected.add(place)
        assert {n for n, p in enumerate(holm(p_values)) if p <= 0.05} == rejected


def test_resamples_draw_each_as_often(rng):
    counts = resample_counts(rng, 5, 4000)
    assert counts.shape == (4000, 5)
    assert (counts.sum(1) == 5).all()
    assert counts.mean(0) == pytest.approx(np.ones(5), abs=0.06)
    assert counts.var(0) == pytest.approx(np.full(5, 0.8), abs=0.1)  # binomial: 5 · ⅕ · ⅘


def test_intervals_cover_the_truth():
    """Of 400 samples of five, Student's interval holds the mean in about 95 of 100."""
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(400):
        found = contrast([(1.0, rng.normal(2, 1, 5)), (-1.0, rng.normal(1, 3, 5))])
        inside += found.low <= 1 <= found.high
    assert 0.92 < inside / 400 < 0.98
