import numpy as np
import pytest
import torch

from seqlab.callbacks.forecasts import ForecastCallback, autocorrelation
from seqlab.callbacks.plots import Fan, autocorrelation_plot, coverage_plot, fan_chart, step_errors
from seqlab.errors import InputError


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
