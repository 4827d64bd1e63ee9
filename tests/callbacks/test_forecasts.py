import numpy as np
import pytest
import torch
from scipy import stats

from seqlab.callbacks import plots
from seqlab.callbacks.forecasts import ForecastCallback, autocorrelation, randomised_pit
from seqlab.callbacks.plots import Fan, autocorrelation_plot, coverage_plot, fan_chart, step_errors
from seqlab.errors import InputError
from seqlab.files import number_of
from seqlab.nn.distributions import NegativeBinomial
from tests.conftest import SHORT
from tests.hostile import HOSTILE


def test_autocorrelation_by_hand():
    # Two series, each centred by itself.
    series = [[1.0, 2.0, 4.0, 1.0], [10.0, 30.0, 20.0]]
    top = bottom = 0.0
    for values in series:
        centred = np.array(values) - np.mean(values)
        top += (centred[1:] * centred[:-1]).sum()
        bottom += (centred**2).sum()
    found = autocorrelation(torch.tensor(series[0] + series[1])[:, None], [4, 3], lags=1)
    assert found.tolist() == pytest.approx([top / bottom])


def test_autocorrelation_of_an_ar1_is_its_powers():
    rng = np.random.default_rng(0)
    values = rng.normal(size=20_000)
    for step in range(1, len(values)):
        values[step] += 0.7 * values[step - 1]
    found = autocorrelation(torch.tensor(values)[:, None], [20_000], lags=4)
    assert found.tolist() == pytest.approx([0.7, 0.49, 0.343, 0.24], abs=0.04)


def test_autocorrelation_needs_windows_to_compare():
    assert not len(autocorrelation(torch.ones(3, 1), [1, 1, 1], lags=5))
    assert not len(autocorrelation(torch.ones(9, 1), [9], lags=5))


def dark(picture):
    """Share of pixels that are not nearly white."""
    return (np.asarray(picture.convert("L")) < 240).mean()


def test_every_plot_shows_its_data():
    past, ahead = np.arange(20.0), np.arange(20.0, 26)
    bounds = {"80 %": (ahead - 3, ahead + 3)}
    fan = Fan("a", past, ahead, ahead + 1, bounds, ahead * 0 + 19)
    narrow = Fan("a", past, ahead, ahead + 1, {"80 %": (ahead - 0.1, ahead + 0.1)}, ahead * 0 + 19)
    assert dark(fan_chart([fan], "t")) > dark(fan_chart([narrow], "t")) > 0.01
    assert fan_chart([fan] * 3, "t").height > fan_chart([fan] * 2, "t").height
    levels = np.linspace(0.1, 0.9, 9)
    pictures = [
        step_errors({"model": ahead, "naive": ahead + 1}, "t", metric="mae", optimum=2.0),
        step_errors({"model": ahead[:1], "naive": ahead[:1] + 1}, "t", metric="mae"),
        coverage_plot(levels, {"all steps": levels**2}, "t"),
        autocorrelation_plot(np.array([0.5, 0.2]), 100, "t"),
    ]
    assert all(dark(picture) > 0.01 for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == 4


@pytest.mark.parametrize("name", ["windows", "every"])
def test_numbers_below_one(name):
    with pytest.raises(InputError, match=name):
        ForecastCallback("folder", **{name: 0})


def test_a_horizon_of_one_step_shows_what_it_forecasts():
    past, ahead = np.arange(20.0), np.array([20.0])
    bounds = {"80 %": (ahead - 3, ahead + 3)}
    fan = Fan("a", past, ahead, ahead + 1, bounds, ahead - 5)
    blue = np.array([31, 111, 180])

    def count(fan):
        pixels = np.asarray(fan_chart([fan], "t")).astype(int)
        # Not the legend's
        return (np.abs(pixels[: pixels.shape[0] * 3 // 4] - blue).sum(axis=-1) < 30).sum()

    missing = Fan("a", past, ahead, ahead * np.nan, bounds, ahead - 5)
    assert count(fan) > count(missing) + 20
    narrow = Fan("a", past, ahead, ahead + 1, {"80 %": (ahead - 0.1, ahead + 0.1)}, ahead - 5)
    assert dark(fan_chart([fan], "t")) > dark(fan_chart([narrow], "t")) + 0.003
    errors = {name: np.array([1.0]) for name in ("model", "naive", "drift")}
    one = step_errors(errors, "t", metric="mae")
    assert one.tobytes() != step_errors({"model": errors["model"]}, "t", metric="mae").tobytes()


@pytest.mark.parametrize("draw", ["steps", "coverage", "autocorrelation"])
def test_legends_cover_nothing(monkeypatch, draw):
    figures = []
    original = plots._image
    monkeypatch.setattr(plots, "_image", lambda figure: figures.append(figure) or original(figure))
    values = np.linspace(0.05, 0.95, 19)
    {
        "steps": lambda: step_errors({"model": values, "naive": 1 - values}, "t", metric="mae"),
        "coverage": lambda: coverage_plot(values, {"all": values}, "t"),
        "autocorrelation": lambda: autocorrelation_plot(values, 10, "t"),
    }[draw]()
    (figure,) = figures
    (legend,) = figure.legends
    assert not legend.get_window_extent().overlaps(figure.axes[0].get_window_extent())
    assert figure.axes[0].get_legend() is None


@pytest.mark.parametrize("mean", [0.3, 2.0, 50.0])
def test_the_randomised_pit_of_counts_is_uniform_where_the_forecast_is_right(mean):
    torch.manual_seed(1)
    shape = (4000, 1, 1)
    forecast = NegativeBinomial(
        mean=torch.full(shape, mean).double(), dispersion=torch.full(shape, 0.5).double()
    )
    values = forecast.sample(1)[0]
    place = randomised_pit(forecast, values).flatten()
    assert stats.kstest(place.numpy(), "uniform").pvalue > 0.01
    # What it stands in for says more than its levels, however right the forecast is.
    assert (mean > 1) or (
        values <= forecast.quantiles(torch.tensor([0.1]))[0]
    ).double().mean() > 0.3
    # And where the forecast is wrong, it is not.
    wrong = NegativeBinomial(mean=forecast.mean * 2, dispersion=forecast.dispersion)
    assert stats.kstest(randomised_pit(wrong, values).flatten().numpy(), "uniform").pvalue < 0.01


def test_the_randomised_pit_leaves_the_random_state_as_it_is():
    forecast = NegativeBinomial(mean=torch.ones(3, 1, 1), dispersion=torch.ones(3, 1, 1))
    before = torch.get_rng_state()
    randomised_pit(forecast, torch.ones(3, 1, 1))
    assert torch.equal(torch.get_rng_state(), before)


def test_hostile_names_are_drawn():
    ahead = np.arange(3.0)
    fan = Fan(HOSTILE, ahead, ahead, ahead, {HOSTILE: (ahead, ahead)}, ahead)
    assert dark(fan_chart([fan], HOSTILE)) > 0.005
    assert dark(step_errors({HOSTILE: ahead}, HOSTILE, metric=HOSTILE)) > 0.005
    assert dark(coverage_plot(ahead / 3, {HOSTILE: ahead / 3}, HOSTILE)) > 0.005


def test_forecasts_that_are_not_finite_are_drawn_as_far_as_they_are():
    nan, ones = np.array([1.0, np.nan]), np.ones(2)
    fan = Fan(name="a", history=ones, truth=nan, point=nan, bounds={}, naive=ones)
    assert fan_chart([fan], "title").size[0] > 100
    picture = step_errors({"model": np.array([1.0, np.inf, 2.0])}, "title", metric="mae")
    assert picture.size[0] > 100


def test_what_cannot_be_drawn_is_told_and_ends_nothing(train, tmp_path, monkeypatch):
    def broken(*args, **settings):
        raise ValueError("Axis limits cannot be NaN or Inf")

    monkeypatch.setattr("seqlab.callbacks.forecasts.fan_chart", broken)
    with pytest.warns(UserWarning, match="a picture could not be drawn.*Axis limits") as told:
        results = train(*SHORT, "data=sines", "model=gru", "data.num_series=3", "data.length=130")
    assert results["status"] == "finished"
    assert len(told) >= 1


def test_infinite_forecasts_end_no_run_and_are_told_once(train, tmp_path, monkeypatch):
    """A forecaster of logarithms that overflows."""

    def point(self):
        return (self.logarithm.point() + 1e3).exp()

    monkeypatch.setattr("seqlab.nn.distributions.LogForecast.point", point)
    with pytest.warns(UserWarning, match="not finite: val/mae") as told:
        results = train(*SHORT, "data=air_passengers", "model=gru", "task.log=true", "logger=none")
    # Strict JSON has no infinity: the record writes it as a string.
    scores = {name: number_of(value) for name, value in results["metrics"].items()}
    assert scores["test/rmse"] == scores["test/mae"] == np.inf
    assert sum("not finite" in str(warning.message) for warning in told) == 1
