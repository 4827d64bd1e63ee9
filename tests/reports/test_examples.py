"""Tests on paired examples against SciPy's exact tests and enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from seqlab.reports.examples import Outcomes, compare_examples, exact_sign_flips


def outcomes(tops, ones=None):
    tops = np.asarray(tops)
    ones = np.ones(len(tops), np.float32) if ones is None else np.asarray(ones)
    return Outcomes("set", np.arange(len(tops)), tops, ones)


def by_enumeration(differences):
    sums = [
        abs(np.dot(s, differences)) for s in itertools.product((-1, 1), repeat=len(differences))
    ]
    return np.mean(np.array(sums) >= abs(sum(differences)) - 1e-9)


@pytest.mark.parametrize("counts", [(3, 9), (0, 7), (5, 5), (1, 0), (0, 0), (40, 70)])
def test_mcnemar(counts):
    """b and c examples that only the one or only the other has right: a binomial test of b."""
    only_first, only_second = counts
    first = [1] * only_first + [0] * only_second + [1] * 20 + [0] * 5
    second = [0] * only_first + [1] * only_second + [1] * 20 + [0] * 5
    found = compare_examples([outcomes(first)], [outcomes(second)])
    total = only_first + only_second
    wanted = stats.binomtest(only_first, total).pvalue if total else 1.0
    assert found.test == "McNemar, exact"
    assert found.difference.p == pytest.approx(wanted)
    assert found.difference.value == pytest.approx((only_first - only_second) / len(first))
    assert found.count == len(first)


@pytest.mark.parametrize("seed", range(5))
def test_exact_distribution_is_that_of_all_signs(seed):
    differences = np.random.default_rng(seed).integers(-4, 5, 11)
    assert exact_sign_flips(differences) == pytest.approx(by_enumeration(differences), abs=1e-12)


def test_exact_distribution_of_many():
    """With thousands of examples the sum is normal."""
    differences = np.random.default_rng(0).choice([-3, -2, -1, 0, 1, 2, 3], 4000)
    differences[:150] = 1
    normal = 2 * stats.norm.sf(
        (abs(differences.sum()) - 0.5) / np.sqrt(np.square(differences).sum())
    )
    assert 1e-6 < normal < 0.5
    assert exact_sign_flips(differences) == pytest.approx(normal, rel=0.02)


def test_several_seeds_are_exchanged_together():
    """An example's outcomes under all seeds are one unit."""
    rng = np.random.default_rng(3)
    first, second = rng.integers(0, 2, (2, 3, 9))
    found = compare_examples([outcomes(row) for row in first], [outcomes(row) for row in second])
    assert found.test == "permutation of examples, exact"
    assert found.difference.p == pytest.approx(by_enumeration(first.sum(0) - second.sum(0)))
    assert found.difference.value == pytest.approx(first.mean() - second.mean())


def test_unequal_numbers_of_runs():
    rng = np.random.default_rng(4)
    first, second = rng.integers(0, 2, (2, 10)), rng.integers(0, 2, (3, 10))
    found = compare_examples([outcomes(row) for row in first], [outcomes(row) for row in second])
    assert found.difference.p == pytest.approx(by_enumeration(first.mean(0) - second.mean(0)))
    assert found.difference.value == pytest.approx(first.mean() - second.mean())


def test_real_errors_are_permuted():
    rng = np.random.default_rng(5)
    truth = rng.exponential(1, 12)
    first, second = truth + rng.normal(0, 0.3, 12), truth + 0.15
    found = compare_examples([outcomes(first)], [outcomes(second)])
    assert found.test == "permutation of examples"
    assert found.difference.p == pytest.approx(by_enumeration(first - second), abs=0.02)


def test_ratios_with_a_common_denominator():
    """Token accuracy: right tokens over tokens, which both models are asked for alike."""
    rng = np.random.default_rng(6)
    lengths = rng.integers(1, 6, 10)
    first, second = rng.integers(0, lengths + 1), rng.integers(0, lengths + 1)
    found = compare_examples([outcomes(first, lengths)], [outcomes(second, lengths)])
    assert found.difference.value == pytest.approx((first.sum() - second.sum()) / lengths.sum())
    assert found.difference.p == pytest.approx(by_enumeration(first - second))


def test_f1_exchanges_whole_sentences():
    """F1 of 2·correct over true and predicted spans, whose number depends on the model."""
    rng = np.random.default_rng(8)
    of = rng.integers(2, 6, (2, 9))
    tops = 2 * rng.integers(0, of // 2 + 1)
    found = compare_examples([outcomes(tops[0], of[0])], [outcomes(tops[1], of[1])])

    def f1(side):
        return tops[side, range(9)].sum() / of[side, range(9)].sum()

    none = np.zeros(9, int)
    wanted = f1(none) - f1(1 - none)
    gaps = [
        f1(np.array(sides)) - f1(1 - np.array(sides))
        for sides in itertools.product((0, 1), repeat=9)
    ]
    p = np.mean(np.abs(gaps) >= abs(wanted) - 1e-9)
    assert found.difference.value == pytest.approx(wanted)
    assert found.difference.p == pytest.approx(p, abs=0.04)


def test_interval_is_the_paired_bootstraps():
    rng = np.random.default_rng(9)
    first = rng.integers(0, 2, 300)
    second = np.where(rng.random(300) < 0.8, first, rng.integers(0, 2, 300))
    found = compare_examples([outcomes(first)], [outcomes(second)]).difference
    peer = stats.bootstrap((first - second,), np.mean, method="percentile", rng=rng)
    wanted = tuple(peer.confidence_interval)
    assert (found.low, found.high) == pytest.approx(wanted, abs=0.006)
    # Unpaired it would be wider: that the examples are the same is used.
    assert found.high - found.low < 2 * 1.96 * np.sqrt(2 * 0.25 / 300) * 0.75


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unit", [1e-60, 1e60])
def test_the_unit_of_the_errors_does_not_matter(unit):
    rng = np.random.default_rng(0)
    errors = [rng.random(50), rng.random(50) + 0.1]
    plain, scaled = (
        compare_examples(*([outcomes(part * factor)] for part in errors), seed=1)
        for factor in (1.0, unit)
    )
    assert scaled.difference.p == plain.difference.p
    for name in ("value", "low", "high"):
        expected = getattr(plain.difference, name) * unit
        assert getattr(scaled.difference, name) == pytest.approx(expected, rel=1e-5)
