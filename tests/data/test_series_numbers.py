"""Numbers of series: large ones with small steps, huge, tiny, missing and constant ones."""

from __future__ import annotations

import csv
import warnings
from functools import partial

import numpy as np
import pytest
import torch

from seqlab.data.baselines import baselines
from seqlab.data.past_series import PastSeries
from seqlab.data.series import Series, SeriesStore
from seqlab.data.series_file import SeriesFile
from seqlab.data.windows import cut_windows
from seqlab.errors import InputError
from seqlab.networks.forecaster import Forecaster
from seqlab.networks.frame import frame_window
from seqlab.networks.reader import Reader
from seqlab.nn.recurrent.encoder import RecurrentEncoder
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.scaling import NORMALISERS, StandardScaling

STEPS = np.random.default_rng(0).integers(1, 8, 160).cumsum()


def file_of(tmp_path, values, **settings):
    """A dataset of one series, which a file holds."""
    path = tmp_path / "series.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("t", "y"), *enumerate(values)])
    given = {"window": 16, "horizon": 4, "val_steps": 24, "test_steps": 24, "targets": ["y"]}
    return SeriesFile(path=str(path), time_column="t", **given | settings)


def whole(data, split="test"):
    windows = data.split(split)
    return windows.batch(torch.arange(len(windows)))


@pytest.mark.parametrize("level", [0, 200_000_000, 1_700_000_000])
def test_baselines_of_a_meter(tmp_path, level):
    """A meter that counts on from a large number: every error is that of the small one."""
    values = level + STEPS
    data = file_of(tmp_path, values)
    batch = whole(data)
    expected = {"naive": [], "drift": [], "moving_average": []}
    for cut in range(136, 157):
        for step in range(1, 5):
            true, last = values[cut + step - 1], values[cut - 1]
            expected["naive"].append(true - last)
            expected["drift"].append(true - last - step * (last - values[0]) / (cut - 1))
            expected["moving_average"].append(true - values[cut - 16 : cut].mean())
    for name, forecast in baselines(batch, data.spec.series).items():
        error = (forecast - batch.targets).abs().mean().item()
        assert error == pytest.approx(np.abs(expected[name]).mean(), rel=1e-6), name
    naive = np.abs(np.diff(values[:136])).mean()
    assert batch.context.naive_error[0].item() == pytest.approx(naive, rel=1e-9)


@pytest.mark.parametrize("name", sorted(NORMALISERS.keys() - {"none", "mean"}))
@pytest.mark.parametrize("difference", [0, 1])
def test_a_network_reads_the_same_whatever_the_level(tmp_path, name, difference):
    def read(level):
        batch = whole(file_of(tmp_path, level + STEPS))
        return frame_window(
            batch.inputs,
            batch.lengths,
            normaliser=NORMALISERS[name](),
            horizon=4,
            log=False,
            difference=difference,
        )[1].values

    assert read(0).std() > 0.3
    torch.testing.assert_close(read(1_700_000_000), read(0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_huge_and_tiny_series_have_every_scale(tmp_path, size):
    one, other = (whole(file_of(tmp_path, values)) for values in (STEPS, size * STEPS))
    for name in ("naive_error", "deviation", "first"):
        ours, theirs = getattr(other.context, name), getattr(one.context, name)
        torch.testing.assert_close(ours, size * theirs, rtol=1e-9, atol=0)
    torch.testing.assert_close(
        other.context.naive_square, size**2 * one.context.naive_square, rtol=1e-9, atol=0
    )
    location, scale = StandardScaling()(other.inputs, ~other.inputs.isnan())
    expected = StandardScaling()(one.inputs, ~one.inputs.isnan())
    torch.testing.assert_close((location, scale), tuple(size * part for part in expected))


def test_a_straight_line_has_no_variation_but_rounding():
    line = torch.arange(20, dtype=torch.float64)[None, :, None] * 0.1 + 1e6
    frame, _ = frame_window(
        line,
        torch.tensor([20]),
        normaliser=StandardScaling(),
        horizon=2,
        log=False,
        difference=1,
    )
    assert frame.scale.item() == 1


def test_a_covariate_is_read_the_same_whatever_its_level():
    """Such as a time stamp in seconds."""

    def forecast(level):
        times = level + 60 * np.arange(166.0)[:, None]
        series = Series(values=STEPS.astype(float), known=times, past=times[:160])

        class One(SeriesFile):
            def make_store(self):
                return SeriesStore.from_series([series])

        data = One(path="none", targets=["y"], window=16, horizon=4)
        torch.manual_seed(0)
        encoder = partial(RecurrentEncoder, cell=GRUCell, hidden_size=6)
        network = Forecaster(data.spec, reader=partial(Reader, encoder=encoder)).eval()
        batch = whole(data)
        return network(batch.inputs, batch.lengths, batch.context).forecast.point()

    with torch.no_grad():
        assert forecast(0).std() > 1e-3
        torch.testing.assert_close(forecast(1.7e9), forecast(0), rtol=1e-5, atol=1e-6)


# The seasonal naive forecast.


def seasonal_of(values, cut, horizon, period, window):
    store = SeriesStore.from_series([Series(values=np.array(values, float))], missing="mask")
    at = torch.tensor([cut])
    windows = cut_windows(
        store, window=window, horizon=horizon, first_cuts=at, last_cuts=at, period=period
    )
    return windows.batch(torch.arange(1)).context.season[0, :, 0].tolist()


@pytest.mark.parametrize("window", [1, 2, 5, 12])
def test_the_seasonal_naive_forecast_does_not_depend_on_the_window(window):
    values = [10, 20, 30, 40, 11, 21, 31, 41, 12, 22, 32, 42, 0, 0, 0, 0, 0, 0]
    assert seasonal_of(values, 12, 6, 4, window) == [12, 22, 32, 42, 12, 22]


def test_a_missing_season_is_that_of_the_season_before():
    nan = np.nan
    values = [10, nan, 30, 40, 11, nan, nan, 41, nan, nan, nan, 42, 0, 0, 0, 0]
    found = seasonal_of(values, 12, 4, 4, 3)
    assert found[0] == 11
    assert np.isnan(found[1])
    assert found[2:] == [30, 42]


def test_no_season_before_the_first_is_over():
    values = [1, 2, 3, 4, 5, 6, 7, 8]
    found = seasonal_of(values, 3, 4, 4, 2)
    assert np.isnan(found[0])
    assert found[1:] == [1, 2, 3]


def test_baselines_call_nothing_seasonal_that_is_not(tmp_path):
    data = file_of(tmp_path, STEPS, period=24, window=6)
    found = baselines(whole(data), data.spec.series)
    expected = [[STEPS[cut - 24 + step] for step in range(4)] for cut in range(136, 157)]
    assert found["seasonal"][..., 0].tolist() == expected


# Splits without a value, and series without a scale.


@pytest.mark.parametrize(("split", "cut"), [("test", 136), ("val", 112), ("train", 16)])
def test_a_split_without_a_value_is_refused_by_name(tmp_path, split, cut):
    values = [f"{value}" for value in STEPS]
    end = {"test": 160, "val": 136, "train": 112}[split]
    values[cut:end] = [""] * (end - cut)
    data = file_of(tmp_path, values, missing="mask")
    with pytest.raises(
        InputError,
        match=f"the {split} split holds no value.*series 'series'.*from {cut} to {end - 1}",
    ):
        _ = data.spec


def test_one_value_is_enough(tmp_path):
    values = [f"{value}" for value in STEPS]
    values[136:159] = [""] * 23
    assert file_of(tmp_path, values, missing="mask", window=30).spec.trivial == pytest.approx(
        (STEPS[159] - STEPS[135]) / np.abs(np.diff(STEPS[:136])).mean()
    )


def test_a_target_without_a_value_is_refused_by_number():
    values = np.random.default_rng(0).normal(size=(160, 2))
    values[136:, 1] = np.nan
    store = SeriesStore.from_series([Series(values=values, name="pair")], missing="mask")

    class Pair(SeriesFile):
        def make_store(self):
            return store

    data = Pair(path="none", targets=["a", "b"], window=16, horizon=4)
    with pytest.raises(InputError, match="test split holds no value in target 2 of 2"):
        _ = data.spec
    past = PastSeries(dataset=data, store=store.head(torch.tensor([160])))
    with pytest.raises(InputError, match="val split"):
        past.split("val")


def test_a_constant_past_is_told_once_and_has_no_trivial_score(tmp_path):
    values = [5.0] * 136 + list(np.linspace(5, 6, 24))
    with pytest.warns(UserWarning, match="val and test cannot be computed.*'series'") as told:
        spec = file_of(tmp_path, values, constant="keep").spec
    assert len(told) == 1
    assert spec.trivial is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _ = file_of(tmp_path, STEPS, constant="keep").spec


@pytest.mark.parametrize("role", ["known", "static"])
def test_a_target_is_no_covariate_of_the_future(tmp_path, role):
    with pytest.raises(InputError, match=f"data.{role} and data.targets both name 'y'"):
        file_of(tmp_path, STEPS, **{role: ["y"]})


@pytest.mark.parametrize("text", ["1_5", "0x10", "1,5"])
def test_what_is_no_number(tmp_path, text):
    path = tmp_path / "series.csv"
    path.write_text(f't,y\n0,1\n1,"{text}"\n')
    with pytest.raises(InputError, match="is no number"):
        _ = SeriesFile(path=str(path), targets=["y"], time_column="t").store
