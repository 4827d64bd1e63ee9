"""Shares of the variance against a grid's analysis of variance, written out; curves by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from seqlab.reports.collect import runs_below
from seqlab.reports.curves import band, curve_metric, read_curve
from seqlab.reports.importance import importances
from tests.reports.runs import write_run


def test_main_effects_of_a_full_grid():
    """y = a + 2b with a and b of −1 and 1: SS 8·1 and 8·4, nothing within."""
    grid = list(itertools.product("-+", "-+", "12"))
    value = {"-": -1.0, "+": 1.0}
    values = np.array([value[a] + 2 * value[b] for a, b, _ in grid])
    columns = dict(zip(("a", "b", "seed"), map(list, zip(*grid, strict=True)), strict=True))
    found = {entry.key: entry.share for entry in importances(columns, values)}
    assert list(found) == ["b", "a", "seed"]
    # Within the groups of a there is b's variance: MS = 32 / 6.
    assert found["a"] == pytest.approx((8 - 32 / 6) / (40 + 32 / 6))
    assert found["b"] == pytest.approx((32 - 8 / 6) / (40 + 8 / 6))
    assert found["seed"] == 0.0


def test_share_follows_from_the_f_statistic():
    """ω² = (k−1)(F−1) / ((k−1)(F−1) + n), with SciPy's F of unequal groups."""
    rng = np.random.default_rng(0)
    groups = [rng.normal(mean, 1, size) for mean, size in ((0, 7), (1, 4), (3, 9))]
    column = [str(n) for n, group in enumerate(groups) for _ in group]
    (found,) = importances({"key": column}, np.concatenate(groups))
    f = stats.f_oneway(*groups).statistic
    assert found.share == pytest.approx(2 * (f - 1) / (2 * (f - 1) + 20))


def test_noise_explains_nothing_in_the_mean():
    rng = np.random.default_rng(1)
    column = [str(n % 5) for n in range(40)]
    shares = [importances({"key": column}, rng.normal(size=40))[0].share for _ in range(200)]
    assert np.mean(shares) < 0.04
    assert np.median(shares) < 0.02


def test_numbers_of_their_own_are_cut_into_parts():
    """A random search, where no two runs share a rate."""
    rng = np.random.default_rng(2)
    rates, noise = 10 ** rng.uniform(-4, -1, 80), rng.uniform(size=80)
    columns = {"lr": list(map(str, rates)), "other": list(map(str, noise))}
    found = importances(columns, np.log10(rates))
    assert [entry.key for entry in found] == ["lr", "other"]
    assert found[0].parts == 4
    assert found[0].share > 0.85
    assert found[1].share < 0.1


def test_what_nobody_can_say():
    values = np.array([0.1, 0.2, 0.3, np.nan])
    (words,) = importances({"name": list("abcd")}, values)
    assert words.share is None
    (same,) = importances({"name": list("aabb")}, np.full(4, 0.1))
    assert same.share == 0.0
    (alone,) = importances({"name": list("aaab")}, values)
    assert alone.share == 0.0  # of the finite ones all have the same


def test_bands(tmp_path):
    """Seeds of unequal length: the mean is over those that went so far."""
    write_run(tmp_path / "a", {}, seed=1, metrics={"test/accuracy": 1}, curve=[0.1, 0.2, 0.4])
    write_run(tmp_path / "b", {}, seed=2, metrics={"test/accuracy": 1}, curve=[0.3, 0.6])
    write_run(tmp_path / "c", {}, seed=3, metrics={"test/accuracy": 1})
    found = band(runs_below([tmp_path]), "val/accuracy")
    assert found is not None
    assert found.steps.tolist() == [10, 20, 30]
    assert found.mean == pytest.approx([0.2, 0.4, 0.4])
    assert found.low == pytest.approx([0.1, 0.2, 0.4])
    assert found.high == pytest.approx([0.3, 0.6, 0.4])
    assert band(runs_below([tmp_path]), "val/loss") is None


def test_the_later_row_of_a_step_holds(tmp_path):
    rows = ["step,metric,value", "1,val/loss,3.0", "2,val/loss,2.0", "2,val/loss,1.5", "3,val/lo"]
    (tmp_path / "metrics.csv").write_text("\n".join([*rows, "4,val/loss,"]))
    assert read_curve(tmp_path, "val/loss") == {1: 3.0, 2: 1.5}
    assert read_curve(tmp_path / "nowhere", "val/loss") == {}
    assert curve_metric("test/accuracy")[0] == "val/accuracy"
    assert curve_metric("test/loss") == ["val/loss", "train/loss"]
