"""Forecasts against scipy, against integrals, and against figures of two scoring packages."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from seqlab.nn.distributions import (
    Forecast,
    Gaussian,
    LogForecast,
    NegativeBinomial,
    Point,
    Quantiles,
    Samples,
    StudentT,
    pinball,
)
from seqlab.nn.distributions.heads import make_head

LEVELS = torch.tensor([0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975])
TARGET = torch.tensor([-1.5, 0.2, 3.0], dtype=torch.float64)
MEAN = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
SCALE = torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64)
FREEDOM = torch.tensor([2.5, 5.0, 30.0], dtype=torch.float64)
COUNTS = torch.tensor([0.0, 3.0, 9.0], dtype=torch.float64)
COUNT_MEAN = torch.tensor([3.0, 0.4, 60.0], dtype=torch.float64)
DISPERSION = torch.tensor([0.5, 2.0, 0.1], dtype=torch.float64)
# Written down from scoringrules 0.10.0 (and equal to properscoring 0.1 where it has them).
CRPS_NORMAL = [0.9944240039774529, 0.5411471761862847, 0.6628070625097116]
CRPS_T = [0.9535687245005248, 0.5251665212318829, 0.6681680853657983]
CRPS_ENSEMBLE = [1.61875, 0.49375, 0.46875]
ENSEMBLE = [[0.1, 0.5, -0.3, 2.0], [1.0, 1.0, 1.5, 0.0], [4.0, 2.0, 3.5, 1.0]]


def gaussian():
    return Gaussian(mean=MEAN, deviation=SCALE)


def student_t():
    return StudentT(freedom=FREEDOM, location=MEAN, scale=SCALE)


def counts():
    return NegativeBinomial(mean=COUNT_MEAN, dispersion=DISPERSION)


def count_oracle():
    r = (1 / DISPERSION).numpy()
    return stats.nbinom(r, r / (r + COUNT_MEAN.numpy()))


def test_likelihoods_are_scipys():
    expected = -stats.norm(MEAN, SCALE).logpdf(TARGET)
    np.testing.assert_allclose(gaussian().loss(TARGET), expected, rtol=1e-9)
    expected = -stats.t(FREEDOM, MEAN, SCALE).logpdf(TARGET)
    np.testing.assert_allclose(student_t().loss(TARGET), expected, rtol=1e-9)
    np.testing.assert_allclose(counts().loss(COUNTS), -count_oracle().logpmf(COUNTS), rtol=1e-9)


def test_quantiles_are_scipys():
    levels = torch.cat([LEVELS, torch.tensor([0.001, 0.999])]).double()
    rows = levels[:, None].numpy()
    for found, oracle in (
        (gaussian(), stats.norm(MEAN, SCALE)),
        (student_t(), stats.t(FREEDOM, MEAN, SCALE)),
    ):
        np.testing.assert_allclose(found.quantiles(levels), oracle.ppf(rows), atol=1e-5)
    np.testing.assert_array_equal(counts().quantiles(levels), count_oracle().ppf(rows))


def test_a_quantile_of_counts_is_the_smallest_whose_summed_probability_reaches_it():
    torch.manual_seed(0)
    mean, dispersion = (torch.rand(200, dtype=torch.float64) * top + 1e-4 for top in (40, 3))
    forecast = NegativeBinomial(mean=mean, dispersion=dispersion)
    every = NegativeBinomial(mean=mean[:, None], dispersion=dispersion[:, None])
    sums = (-every.loss(torch.arange(3000, dtype=torch.float64))).exp().cumsum(-1)
    expected = (sums[None] < LEVELS[:, None, None]).sum(-1)
    torch.testing.assert_close(forecast.quantiles(LEVELS), expected.double(), rtol=0, atol=0)


@pytest.mark.parametrize("make", [student_t, gaussian, counts])
def test_a_parameter_that_is_no_number_gives_nan_and_no_error(make):
    forecast = make()
    for name in vars(forecast):
        parts = vars(make())[name].clone()
        parts[1] = torch.nan
        broken = replace(forecast, **{name: parts})
        for found in (broken.loss(COUNTS), broken.quantiles(LEVELS), broken.sample(3)):
            assert found[..., 1].isnan().any()
            assert found[..., 0].isfinite().all()


@pytest.mark.parametrize("freedom", [2.0, 2.01, 7.3, 100.0, 1e4])
def test_student_t_quantiles_from_heavy_tails_to_none(freedom):
    levels = torch.linspace(0.001, 0.999, 41, dtype=torch.float64)
    unit = StudentT(
        freedom=torch.tensor([freedom], dtype=torch.float64),
        location=torch.zeros(1, dtype=torch.float64),
        scale=torch.ones(1, dtype=torch.float64),
    )
    expected = stats.t(freedom).ppf(levels)
    np.testing.assert_allclose(unit.quantiles(levels)[:, 0], expected, rtol=1e-5, atol=1e-7)


def test_crps_is_that_of_the_scoring_packages():
    np.testing.assert_allclose(gaussian().crps(TARGET), CRPS_NORMAL, rtol=1e-9)
    np.testing.assert_allclose(student_t().crps(TARGET), CRPS_T, rtol=1e-6)
    samples = Samples(values=torch.tensor(ENSEMBLE, dtype=torch.float64).T)
    np.testing.assert_allclose(samples.crps(TARGET), CRPS_ENSEMBLE, rtol=1e-9)


def test_crps_is_the_integral_of_the_squared_distance_of_the_cdfs():
    x = np.linspace(-300, 300, 600_001)
    for found, oracle in (
        (gaussian(), stats.norm(MEAN, SCALE)),
        (student_t(), stats.t(FREEDOM, MEAN, SCALE)),
    ):
        cdf = oracle.cdf(x[:, None])
        written_out = np.trapezoid((cdf - (x[:, None] >= TARGET.numpy())) ** 2, x, axis=0)
        np.testing.assert_allclose(found.crps(TARGET), written_out, rtol=2e-3)


def test_crps_of_counts_is_the_sum_of_the_squared_distance_of_the_cdfs():
    k = np.arange(2000)[:, None]
    written_out = ((count_oracle().cdf(k) - (k >= COUNTS.numpy())) ** 2).sum(axis=0)
    np.testing.assert_allclose(counts().crps(COUNTS), written_out, rtol=0.02)


def test_crps_is_twice_the_integral_of_the_pinball_loss():
    levels = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    written_out = 2 * pinball(gaussian().quantiles(levels), TARGET, levels).mean(dim=0)
    torch.testing.assert_close(gaussian().crps(TARGET), written_out, rtol=1e-4, atol=0)
    # The general rule, which has fewer slices.
    torch.testing.assert_close(
        Forecast.crps(gaussian(), TARGET), gaussian().crps(TARGET), rtol=0.01, atol=0
    )


def test_crps_of_a_point_is_the_absolute_error():
    assert Point(value=MEAN).crps(TARGET).tolist() == (TARGET - MEAN).abs().tolist()


def test_pinball_by_hand_and_by_its_minimum():
    found = pinball(torch.tensor([[1.0], [1.0]]), torch.tensor([3.0]), torch.tensor([0.1, 0.9]))
    np.testing.assert_allclose(found[:, 0], [0.2, 1.8], rtol=1e-6)
    found = pinball(torch.tensor([[3.0], [3.0]]), torch.tensor([1.0]), torch.tensor([0.1, 0.9]))
    np.testing.assert_allclose(found[:, 0], [1.8, 0.2], rtol=1e-6)
    # Over many values the loss is least at their quantile.
    values = torch.randn(4001, dtype=torch.float64)
    grid = torch.linspace(-2, 2, 401, dtype=torch.float64)
    losses = torch.stack(
        [pinball(q.view(1, 1), values, torch.tensor([0.3]))[0].mean() for q in grid]
    )
    best = grid[losses.argmin()]
    assert best.item() == pytest.approx(values.quantile(0.3).item(), abs=0.02)


@pytest.mark.parametrize("make", [gaussian, student_t])
def test_affine_moves_and_stretches_everything(make):
    location, scale = torch.tensor(3.0), torch.tensor(2.0)
    moved = make().affine(location, scale)
    torch.testing.assert_close(moved.point(), 3 + 2 * make().point())
    torch.testing.assert_close(moved.quantiles(LEVELS), 3 + 2 * make().quantiles(LEVELS))
    # A density stretched by 2 is half as high.
    torch.testing.assert_close(
        moved.loss(3 + 2 * TARGET), make().loss(TARGET) + math.log(2), check_dtype=False
    )


@pytest.mark.parametrize("make", [gaussian, student_t, counts])
def test_samples_follow_the_distribution(make):
    torch.manual_seed(0)
    drawn = make().sample(40_000)
    inner = torch.tensor([0.1, 0.5, 0.9])
    wanted = make().quantiles(inner).double()
    # Of a discrete distribution: P(< q) ≤ level ≤ P(≤ q).
    slack = 0.01
    below = (drawn < wanted[:, None] - 1e-9).double().mean(dim=1)
    within = (drawn <= wanted[:, None] + 1e-9).double().mean(dim=1)
    assert (below <= inner[:, None] + slack).all()
    assert (within >= inner[:, None] - slack).all()


def test_count_mean_and_variance():
    torch.manual_seed(0)
    drawn = counts().sample(60_000)
    variance = COUNT_MEAN + DISPERSION * COUNT_MEAN**2
    torch.testing.assert_close(drawn.mean(dim=0), COUNT_MEAN, rtol=0.03, atol=0)
    torch.testing.assert_close(drawn.var(dim=0), variance, rtol=0.06, atol=0)


def quantile_forecast():
    torch.manual_seed(1)
    return Quantiles(values=torch.randn(7, 40, 3).sort(dim=0).values, levels=LEVELS)


def test_quantiles_between_the_levels_lie_on_straight_lines():
    forecast = quantile_forecast()
    torch.testing.assert_close(forecast.quantiles(LEVELS), forecast.values)
    middle = forecast.quantiles(torch.tensor([0.175]))[0]
    torch.testing.assert_close(middle, (forecast.values[1] + forecast.values[2]) / 2)
    assert torch.equal(forecast.quantiles(torch.tensor([0.001]))[0], forecast.values[0])
    torch.testing.assert_close(forecast.point(), forecast.values[3])


def test_samples_of_quantiles_have_those_quantiles():
    torch.manual_seed(0)
    forecast = quantile_forecast()
    drawn = forecast.sample(20_000)
    share = (drawn[:, None] <= forecast.values).float().mean(dim=0)[1:-1]
    expected = LEVELS[1:-1].view(-1, 1, 1).expand_as(share)
    torch.testing.assert_close(share, expected, atol=0.02, rtol=0)


def test_heads_never_cross():
    torch.manual_seed(0)
    head = make_head("quantile", LEVELS.tolist())
    forecast = head(torch.randn(50, 12, 2, 7))
    assert forecast.values.shape == (7, 50, 12, 2)
    assert (forecast.values.diff(dim=0) >= 0).all()
    fine = forecast.quantiles(torch.linspace(0.01, 0.99, 99))
    assert (fine.diff(dim=0) >= -1e-6).all()


def test_sorting_quantiles_does_not_raise_the_loss():
    torch.manual_seed(0)
    raw, target = torch.randn(7, 500), torch.randn(500)
    crossed = pinball(raw, target, LEVELS).mean(dim=0)
    ordered = pinball(raw.sort(dim=0).values, target, LEVELS).mean(dim=0)
    assert (ordered <= crossed + 1e-6).all()


@pytest.mark.parametrize("name", ["gaussian", "student_t", "negative_binomial", "quantile"])
def test_quantiles_of_every_head_rise(name):
    torch.manual_seed(0)
    head = make_head(name, LEVELS.tolist())
    found = head(3 * torch.randn(30, 4, 1, head.size)).quantiles(torch.linspace(0.02, 0.98, 25))
    assert (found.diff(dim=0) >= 0).all()
    assert found.isfinite().all()


def test_the_exponential_of_a_forecast():
    forecast = LogForecast(logarithm=gaussian())
    oracle = stats.lognorm(SCALE, scale=MEAN.exp())
    expected = oracle.ppf(LEVELS[:, None].double())
    np.testing.assert_allclose(forecast.quantiles(LEVELS), expected, rtol=1e-6)
    torch.testing.assert_close(forecast.point(), MEAN.exp())
    # The likelihood of y's logarithm: that of y but for the Jacobian, which no model can change.
    y = TARGET.exp()
    np.testing.assert_allclose(forecast.loss(y), -oracle.logpdf(y) - TARGET.numpy(), rtol=1e-9)
