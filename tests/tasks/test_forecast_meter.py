"""A forecaster's metrics: by hand, over the epoch, and the laws that their names promise."""

import numpy as np
import pytest
import torch

from seqlab.data.baselines import baselines
from seqlab.data.batch import Batch
from seqlab.data.random_walk import RandomWalk
from seqlab.data.seasonal import Seasonal
from seqlab.data.series import Series, SeriesStore
from seqlab.data.sines import Sines
from seqlab.data.windows import cut_windows
from seqlab.nn.conformal import Conformal
from seqlab.nn.distributions import Forecast, Gaussian, Point
from seqlab.tasks.forecast_meter import ForecastMeter
from seqlab.tasks.forecasting import Prediction

SMALL = {"num_series": 6, "length": 120, "window": 20, "horizon": 5, "val_steps": 15}
LOSS = torch.tensor(0.5)


def predicted(forecast: Forecast, batch: Batch) -> Prediction:
    """What the task would hand over, with intervals of 80 % and 95 %."""
    bounds = forecast.quantiles(torch.tensor([0.1, 0.025, 0.9, 0.975]))
    point = forecast.point()
    lower, upper = (point.expand(2, *point.shape),) * 2 if bounds is None else bounds.split(2)
    return Prediction(
        forecast=forecast,
        lower=None if bounds is None else lower,
        upper=None if bounds is None else upper,
        calibrated_lower=lower - 1,
        calibrated_upper=upper + 1,
        conformity=Conformal.scores(lower, upper, batch.targets),
        weights=None,
        intervals=(0.8, 0.95),
        is_count=False,
    )


def meter_of(data, **settings):
    return ForecastMeter(data.spec, quantiles=(0.1, 0.5, 0.9), intervals=(0.8, 0.95), **settings)


def whole(data, split="test"):
    windows = data.split(split)
    return windows.batch(torch.arange(len(windows)))


@pytest.mark.parametrize("period", [1, 7])
def test_the_in_sample_one_step_naive_forecast_has_mase_and_rmsse_1(period):
    values = np.random.default_rng(0).normal(size=100).cumsum()
    store = SeriesStore.from_series([Series(values=values)])
    end = torch.tensor([100])
    windows = cut_windows(
        store,
        window=10,
        horizon=1,
        first_cuts=torch.tensor([period]),
        last_cuts=end - 1,
        period=period,
        scale_until=end,
    )
    batch = windows.batch(torch.arange(len(windows)))
    data = Seasonal(**SMALL) if period == 7 else Sines(**SMALL, periods=[10.0])
    spec = data.spec
    assert len(batch) == 100 - period
    place = batch.lengths - period
    forecast = Point(value=batch.inputs[torch.arange(len(batch)), place][:, None])
    meter = ForecastMeter(Spec_with_horizon(spec, 1), quantiles=(0.5,), intervals=(0.8, 0.95))
    meter.update(LOSS, predicted(forecast, batch), batch)
    scores = meter.compute()
    assert scores["mase"].item() == pytest.approx(1, abs=1e-6)
    assert scores["rmsse"].item() == pytest.approx(1, abs=1e-6)


def Spec_with_horizon(spec, horizon):  # noqa: N802
    from dataclasses import replace

    return replace(spec, series=replace(spec.series, horizon=horizon, num_series=1, period=1))


def test_every_error_by_hand():
    data = Sines(**SMALL)
    batch = whole(data)
    torch.manual_seed(0)
    mean = batch.targets + torch.randn_like(batch.targets)
    forecast = Gaussian(mean=mean, deviation=torch.full_like(mean, 0.7))
    meter = meter_of(data)
    meter.update(LOSS, predicted(forecast, batch), batch)
    scores = {key: value.item() for key, value in meter.compute().items()}

    y, f = batch.targets.double().numpy(), mean.double().numpy()
    error = np.abs(y - f)
    context = batch.context
    naive = context.naive_error.double().numpy()[:, None]
    deviation = context.deviation.double().numpy()[:, None]
    expected = {
        "loss": 0.5,
        "mae": error.mean(),
        "mse": (error**2).mean(),
        "rmse": (error**2).mean() ** 0.5,
        "smape": (200 * error / (np.abs(y) + np.abs(f))).mean(),
        "mase": (error / naive).mean(),
        "rmsse": (error**2 / context.naive_square.numpy()[:, None]).mean() ** 0.5,
        "scaled_mae": (error / deviation).mean(),
        "scaled_rmse": ((error / deviation) ** 2).mean() ** 0.5,
        "coverage_80": (error <= 1.2816 * 0.7).mean(),
        "width_80": 2 * 1.28155 * 0.7,
        "calibrated_coverage_95": (error <= 1.95996 * 0.7 + 1).mean(),
        "scaled_width_95": (2 * 1.95996 * 0.7 / deviation).mean(),
        "crps": forecast.crps(batch.targets).mean().item(),
    }
    z = np.array([-1.28155, 0, 1.28155])[:, None, None, None] * 0.7 + f - y
    tau = np.array([0.1, 0.5, 0.9])[:, None, None, None]
    expected["pinball"] = np.maximum(-tau * z, (1 - tau) * z).mean()
    for name, value in expected.items():
        assert scores[name] == pytest.approx(value, rel=1e-4), name
    assert meter.by_step["mae"].numpy() == pytest.approx(error.mean(axis=(0, 2)), rel=1e-5)
    assert meter.by_step["rmse"].numpy() == pytest.approx((error**2).mean(axis=(0, 2)) ** 0.5)
    for name, other in baselines(batch, data.spec.series).items():
        mae = (other - batch.targets).abs().double().mean().item()
        assert scores[f"{name}_mae"] == pytest.approx(mae, rel=1e-5)
        assert scores[f"skill_vs_{name}"] == pytest.approx(1 - error.mean() / mae, rel=1e-5)


def test_scores_are_computed_over_the_epoch_not_averaged_over_batches():
    data = Sines(**SMALL)
    split = data.split("test")
    together, apart = meter_of(data), meter_of(data)
    for meter, parts in (
        (together, [torch.arange(len(split))]),
        (apart, [*torch.arange(len(split)).split(7)]),
    ):
        for indices in parts:
            batch = split.batch(indices)
            mean = batch.inputs[:, -5:].flip(1)
            meter.update(
                LOSS, predicted(Gaussian(mean=mean, deviation=mean.abs() + 1), batch), batch
            )
    one, many = together.compute(), apart.compute()
    assert one.keys() == many.keys()
    assert {"rmse", "rmsse", "coverage_80", "skill_vs_naive_margin"} <= one.keys()
    for name in one:
        torch.testing.assert_close(one[name], many[name], rtol=1e-6, atol=1e-9)
    apart.reset()
    assert not len(apart.sums)
    assert (apart.series_errors == 0).all()


def test_missing_targets_are_not_counted():
    data = Sines(**SMALL)
    batch = whole(data)
    forecast = Point(value=torch.zeros_like(batch.targets))
    kept = batch.targets[:, ::2]
    batch.targets = batch.targets.clone()
    batch.targets[:, 1::2] = torch.nan
    meter = meter_of(data)
    meter.update(LOSS, predicted(forecast, batch), batch)
    scores = meter.compute()
    assert scores["mae"].item() == pytest.approx(kept.abs().mean().item(), rel=1e-5)
    assert meter.by_step["mae"].isnan().tolist() == [False, True, False, True, False]


def test_the_naive_forecast_has_no_skill_over_itself():
    data = RandomWalk(**SMALL)
    batch = whole(data)
    meter = meter_of(data)
    own = Point(value=baselines(batch, data.spec.series)["naive"])
    meter.update(LOSS, predicted(own, batch), batch)
    scores = meter.compute()
    assert scores["skill_vs_naive"].item() == pytest.approx(0)
    assert scores["skill_vs_naive_margin"].item() == pytest.approx(0, abs=1e-7)


def test_the_margin_of_the_skill_covers_95_of_100_worlds():
    """Worlds of 40 series; the model's errors are 0.9 of the naive ones on the average."""
    rng = np.random.default_rng(0)
    data = RandomWalk(**{**SMALL, "num_series": 40})
    covered = 0
    for _ in range(300):
        naive = rng.gamma(2, 1, 40)
        own = naive * rng.uniform(0.6, 1.2, 40)
        meter = meter_of(data)
        meter.series_errors = torch.tensor(np.stack([own, naive], axis=1))
        skill, margin = 1 - own.sum() / naive.sum(), meter._margin().item()
        covered += abs(skill - 0.1) <= margin
    assert 0.90 <= covered / 300 <= 0.98


def test_series_without_scale_are_left_out_of_scaled_errors_only():
    data = Sines(**SMALL)
    batch = whole(data)
    first = batch.context.series == 0
    batch.context.naive_error = batch.context.naive_error.masked_fill(first[:, None], 0.0)
    meter = meter_of(data)
    meter.update(LOSS, predicted(Point(value=torch.zeros_like(batch.targets)), batch), batch)
    error = batch.targets.abs()
    mase = (error / batch.context.naive_error[:, None])[~first].mean()
    scores = meter.compute()
    assert scores["mase"].item() == pytest.approx(mase.item(), rel=1e-5)
    assert scores["mae"].item() == pytest.approx(error.mean().item(), rel=1e-5)


def test_calibration_gets_every_window_once():
    data = Sines(**SMALL)
    got = []
    meter = meter_of(data, calibrate=got.append)
    split = data.split("val")
    for indices in torch.arange(len(split)).split(4):
        batch = split.batch(indices)
        forecast = Point(value=torch.zeros_like(batch.targets))
        meter.update(LOSS, predicted(forecast, batch), batch)
    meter.compute()
    targets = whole(data, "val").targets
    (scores,) = got
    assert scores.shape == (2, *targets.shape)
    torch.testing.assert_close(scores[0], targets.abs())


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_a_forecast_that_is_not_finite_makes_no_error_smaller(value):
    data = Sines(**SMALL)
    batch = whole(data)
    mean = batch.targets.clone()
    mean[3, 2] = value
    meter = meter_of(data, calibrate=lambda scores: None)
    meter.keeps_examples = True
    forecast = Gaussian(mean=mean, deviation=torch.ones_like(mean))
    meter.update(LOSS, predicted(forecast, batch), batch)
    scores = meter.compute()
    for name in ("mae", "mse", "rmse", "smape", "mase", "rmsse", "scaled_mae", "crps", "pinball"):
        assert scores[name].item() == torch.inf, name
        assert meter.by_step[name].isinf().tolist() == [False, False, True, False, False], name
    assert scores["skill_vs_naive"].item() == -torch.inf
    assert scores["coverage_80"].item() == pytest.approx(1 - 1 / batch.targets.numel())
    numerators = meter.examples.scores[:, list(meter.examples.names).index("mae"), 0]
    assert numerators.isinf().sum() == 1


def test_huge_errors_are_not_left_out():
    """The square of 1e200 is infinite: the RMSE is not below the MAE."""
    data = Sines(**SMALL)
    batch = whole(data)
    mean = batch.targets.clone()
    mean[0, 0] = 1e200
    meter = meter_of(data)
    meter.update(LOSS, predicted(Point(value=mean), batch), batch)
    scores = meter.compute()
    assert scores["rmse"] > scores["mae"] > 1e190


def test_skill_is_measured_where_the_baseline_has_a_forecast():
    data = Seasonal(**SMALL)
    batch = whole(data)
    batch.context.season = batch.context.season.clone()
    batch.context.season[::2] = torch.nan
    torch.manual_seed(0)
    point = batch.targets + torch.randn_like(batch.targets)
    meter = meter_of(data)
    meter.update(LOSS, predicted(Point(value=point), batch), batch)
    scores = meter.compute()
    assert data.spec.metric == "mae"
    error, other = (point - batch.targets).abs(), (batch.context.season - batch.targets).abs()
    expected = 1 - error[1::2].mean() / other[1::2].mean()
    assert scores["skill_vs_seasonal"].item() == pytest.approx(expected.item(), rel=1e-6)
    assert not any(key.endswith("/model") for key in meter.by_step)


def test_metrics_without_a_scale_are_absent():
    data = Sines(**SMALL)
    batch = whole(data)
    for name in ("naive_error", "naive_square", "deviation"):
        setattr(batch.context, name, torch.zeros_like(getattr(batch.context, name)))
    meter = meter_of(data)
    meter.update(LOSS, predicted(Point(value=torch.zeros_like(batch.targets)), batch), batch)
    scores = meter.compute()
    assert "mae" in scores
    absent = [*scores, *meter.by_step, *meter.baselines["naive"]]
    assert not [
        name for name in absent if name.startswith(("mase", "rmsse", "scaled", "naive/mas"))
    ]
