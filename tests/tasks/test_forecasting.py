"""The forecasting task on whole runs, and its loss."""

import re
from functools import partial

import pytest
import torch

from seqlab.data.intermittent import Intermittent
from seqlab.data.sines import Sines
from seqlab.errors import InputError
from seqlab.networks.forecaster import Forecaster
from seqlab.networks.reader import Reader
from seqlab.nn.recurrent.encoder import RecurrentEncoder
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.tasks.forecasting import Forecasting
from seqlab.tasks.schedules import constant
from tests.conftest import SHORT
from tests.networks.decoders import DECODERS

SMALL = {"num_series": 4, "length": 110, "window": 16, "horizon": 4}
TINY = ("data.num_series=6", "data.length=200", "model.encoder.hidden_size=8")
PATHS = "task.num_samples=5"


def task_of(data, task=None, decoder="direct", **settings):
    torch.manual_seed(0)
    encoder = partial(RecurrentEncoder, cell=GRUCell, hidden_size=6)
    reader = partial(Reader, encoder=encoder)
    network = Forecaster(data.spec, reader=reader, decoder=DECODERS[decoder], **settings)
    return Forecasting(
        network=network,
        spec=data.spec,
        optimizer=torch.optim.Adam,
        scheduler=constant,
        **{"horizon": 4, **(task or {})},
    )


def batch_of(data, split="train"):
    return data.split(split).batch(torch.arange(9))


@torch.no_grad()
def test_missing_targets_do_not_count_in_the_loss():
    data = Sines(**SMALL)
    task = task_of(data).eval()
    batch = batch_of(data)
    outcome = task.network(batch.inputs, batch.lengths, batch.context)
    errors = (outcome.forecast.point() - outcome.frame.scaled(batch.targets)).square()
    batch.targets = batch.targets.clone()
    batch.targets[3:, 1:] = torch.nan
    loss, _ = task.measure(batch, "test")
    kept = ~batch.targets.isnan()
    assert loss.item() == pytest.approx(errors[kept].mean().item(), rel=1e-5)


@torch.no_grad()
def test_the_likelihood_of_counts_is_in_their_units():
    data = Intermittent(**SMALL)
    task = task_of(data, head="negative_binomial", normaliser="mean").eval()
    batch = batch_of(data)
    loss, prediction = task.measure(batch, "test")
    written_out = prediction.forecast.loss(batch.targets).mean()
    assert loss.item() == pytest.approx(written_out.item(), rel=1e-5)


@torch.no_grad()
def test_targets_do_not_reach_a_prediction():
    data = Sines(**SMALL)
    for decoder in ("direct", "recursive"):
        task = task_of(data, decoder=decoder).eval()
        batch = batch_of(data)
        before = task.predict(batch).forecast.point()
        batch.targets = batch.targets + 100
        assert torch.equal(task.predict(batch).forecast.point(), before)


@torch.no_grad()
@pytest.mark.parametrize(
    ("settings", "passes"),
    [
        ({}, 1),
        ({"head": "quantile"}, 1),
        ({"decoder": "recursive"}, 1),
        # One pass reads the truth for the likelihood, another samples paths.
        ({"decoder": "recursive", "head": "gaussian"}, 2),
    ],
)
def test_what_is_measured_is_what_is_predicted(settings, passes):
    data = Sines(**SMALL)
    task = task_of(data, **settings).eval()
    batch = batch_of(data, "test")
    made = []
    task.network.register_forward_hook(lambda *_: made.append(1))
    torch.manual_seed(3)
    _, measured = task.measure(batch, "test")
    assert len(made) == passes
    torch.manual_seed(3)
    predicted = task.predict(batch)
    assert torch.equal(measured.forecast.point(), predicted.forecast.point())
    assert torch.equal(measured.conformity, predicted.conformity)


@torch.no_grad()
def test_calibrated_intervals_move_with_the_margins():
    data = Sines(**SMALL)
    task = task_of(data, head="gaussian").eval()
    batch = batch_of(data)
    assert task.predict(batch).calibrated_lower.isnan().all()
    task.conformal.margins.fill_(0.5)
    prediction = task.predict(batch)
    outcome = task.network(batch.inputs, batch.lengths, batch.context)
    wider = prediction.lower - 0.5 * outcome.frame.scale
    torch.testing.assert_close(prediction.calibrated_lower, wider)


def test_teacher_forcing_follows_its_schedule():
    data = Sines(**SMALL)
    task = task_of(data, {"forcing": "linear", "forcing_steps": 10}, decoder="recursive")
    asked = []
    network = task.network

    def listen(module, arguments, named):
        asked.append(named.get("teacher_forcing_ratio"))

    network.register_forward_pre_hook(listen, with_kwargs=True)
    for stage in ("train", "val"):
        task.measure(batch_of(data), stage)
    # Training starts forced; a point forecast is validated on its own.
    assert asked == [1.0, 0.0]


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"horizon": 7}, "task.horizon=7 does not fit this data, whose horizon is 4"),
        ({"quantiles": (0.1, 0.9)}, "quantiles=[0.1, 0.9] must"),
        ({"intervals": (1.5,)}, "intervals=[1.5] must"),
        ({"num_samples": 1}, "num_samples"),
        ({"forcing": "never"}, "inverse_sigmoid"),
    ],
)
def test_bad_settings(settings, match):
    with pytest.raises(InputError, match=re.escape(match)):
        task_of(Sines(**SMALL), settings)


@pytest.mark.parametrize(
    "overrides",
    [
        ("data=sines", "model=gru"),
        ("data=seasonal", "model=bilstm", "task.decoder=recursive", "task.head=quantile", PATHS),
        ("data=ar", "model=gru_attn", "task.decoder=attention", "task.head=student_t", PATHS),
        ("data=intermittent", "model=rnn", "task.series_embedding=2"),
    ],
)
def test_a_whole_run(train, overrides, tmp_path):
    results = train(*overrides, *SHORT, *TINY, "data.val_steps=30", "data.test_steps=30")
    metric = results["reference"]["metric"]
    scores = results["metrics"]
    assert {f"test/{metric}", f"test/naive_{metric}", "test/skill_vs_naive"} <= set(scores)
    assert "test/calibrated_coverage_80" in scores
    checkpoint = torch.load(tmp_path / "run" / results["best_checkpoint"], weights_only=True)
    assert checkpoint["state_dict"]["conformal.margins"].isfinite().all()
    figures = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    assert {"val_forecasts.png", "test_forecasts.png", "test_error_by_step.png"} <= figures
    rows = (tmp_path / "run" / "errors_by_step.csv").read_text().splitlines()
    assert rows[0] == "forecast,metric,step,value"
    assert any(row.startswith(f"naive,{metric},1,") for row in rows)


def test_a_whole_run_of_sequence_regression(train):
    sizes = ("data.train_size=64", "data.val_size=16", "data.test_size=16")
    results = train("data=adding", "model=lstm", *SHORT, *sizes)
    assert results["reference"]["trivial"] == pytest.approx(0.408, abs=1e-3)
    assert "test/rmse" in results["metrics"]
    assert not any("naive" in name or "mase" in name for name in results["metrics"])
