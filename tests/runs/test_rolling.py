"""Back-tests as a part of a run: `backtest=rolling` and `backtest=refit`."""

import csv

import pytest

from seqlab.errors import InputError

SERIES = (
    "data=random_walk",
    "model=gru",
    "model.encoder.hidden_size=4",
    "data.num_series=3",
    "data.length=90",
    "data.window=10",
    "data.val_steps=8",
    "data.test_steps=12",
    "task.horizon=4",
    "task.head=quantile",
    "trainer.max_epochs=2",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
    "trainer.enable_model_summary=false",
    "logger=none",
)


def parted(results):
    """The scores of the test and of the back-test by name."""
    scores = results["metrics"]
    return [
        {key.partition("/")[2]: value for key, value in scores.items() if key.startswith(prefix)}
        for prefix in ("test/", "backtest/")
    ]


def test_without_refitting_it_goes_through_the_windows_of_the_test(train, tmp_path):
    test, back = parted(train(*SERIES, "backtest=rolling"))
    assert len(test) > 20
    assert back == pytest.approx(test, rel=1e-6)
    folder = tmp_path / "run"
    with (folder / "backtest.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = [row for row in rows if (row["forecast"], row["metric"]) == ("model", "mse")]
    # Four steps of the horizon, and 12 − 4 + 1 origins.
    assert [row["by"] for row in steps] == ["step"] * 4 + ["origin"] * 9
    for part in (steps[:4], steps[4:]):
        mean = sum(float(row["value"]) for row in part) / len(part)
        assert mean == pytest.approx(test["mse"], rel=1e-5)
    for name in ("step", "origin"):
        assert (folder / "figures" / f"backtest_error_by_{name}.png").is_file()


def test_trained_anew_on_the_same_past_it_is_the_same_forecaster(train):
    test, back = parted(train(*SERIES, "backtest=refit", "backtest.refit_every=100"))
    assert back == pytest.approx(test, rel=1e-6)


def test_refitting_goes_on_with_what_became_known(train, tmp_path, capsys):
    results = train(*SERIES, "backtest=refit", "backtest.stride=2", "backtest.refit_every=2")
    test, back = parted(results)
    assert back["mse"] != pytest.approx(test["mse"], rel=1e-3)
    told = [line for line in capsys.readouterr().out.splitlines() if "training up to" in line]
    # 78 values come before the first origin; origins are two apart, and each training serves two.
    assert [line.split("up to ")[1].split()[0] for line in told] == ["77", "81", "85"]
    kept = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert kept == {"best.ckpt", "last.ckpt", "previous.ckpt"}


def test_no_back_test_unless_asked_for(train):
    _, back = parted(train(*SERIES))
    assert not back


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        (("backtest=rolling", "backtest.steps=20"), r"backtest\.steps=20 reaches into what the"),
        (("backtest=rolling", "backtest.steps=3"), r"backtest\.steps=3 is shorter than the hor"),
        (("backtest=rolling", "backtest.stride=0"), r"backtest\.stride=0"),
        (("backtest=refit", "backtest.steps=80"), "series '0' has 10 values before the first"),
        (("backtest=refit", "backtest.refit_every=often"), r"backtest\.refit_every='often' must"),
    ],
)
def test_what_cannot_be_tested_is_refused_before_training(train, overrides, match):
    with pytest.raises(InputError, match=match):
        train(*SERIES, *overrides, "trainer.max_epochs=1000000")


def test_only_series_have_origins(train):
    with pytest.raises(InputError, match="origins of series, and this data has none"):
        train("data=adding", "backtest=rolling", "trainer.accelerator=cpu", "logger=none")
