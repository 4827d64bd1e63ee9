"""The laws of a forecaster: it sees all of the past, nothing else, and keeps the units."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from seqlab.data.adding import Adding
from seqlab.data.intermittent import Intermittent
from seqlab.data.lorenz import Lorenz
from seqlab.data.seasonal import Seasonal
from seqlab.data.series import Series, SeriesStore
from seqlab.data.series_dataset import SeriesDataset
from seqlab.data.sines import Sines
from seqlab.errors import InputError
from seqlab.networks.forecaster import Forecaster
from seqlab.networks.reader import Reader
from seqlab.nn.attention import AdditiveAttention
from seqlab.nn.distributions import Quantiles, Samples
from seqlab.nn.recurrent.encoder import RecurrentEncoder
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.lstm import LSTMCell
from seqlab.nn.recurrent.variants import PeepholeLSTMCell
from seqlab.nn.scaling import NORMALISERS
from tests.networks.decoders import DECODERS

POINTS = ["mse", "quantile", "gaussian", "student_t"]
SCALERS = [*NORMALISERS, "reversible"]
SMALL = {"num_series": 5, "length": 140, "window": 24, "horizon": 4}


def make(data, *, cell=GRUCell, bidirectional=False, decoder="direct", **settings):
    torch.manual_seed(0)
    encoder = partial(RecurrentEncoder, cell=cell, hidden_size=8, bidirectional=bidirectional)
    settings.setdefault("attention", AdditiveAttention)
    network = Forecaster(
        data.spec,
        reader=partial(Reader, encoder=encoder),
        decoder=DECODERS[decoder] if isinstance(decoder, str) else decoder,
        **settings,
    ).eval()
    if network.affine is not None:
        torch.nn.init.normal_(network.affine.log_gain, std=0.3)
        torch.nn.init.normal_(network.affine.shift, std=0.3)
    return network


def batch_of(data, count=6, split="train"):
    return data.split(split).batch(torch.arange(count) * 7)


def forecast(network, batch, **settings):
    outcome = network(batch.inputs, batch.lengths, batch.context, **settings)
    return outcome.frame.in_units(outcome.forecast)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("head", POINTS)
@pytest.mark.parametrize("bidirectional", [False, True])
@torch.no_grad()
def test_changing_the_last_observation_changes_every_step(decoder, head, bidirectional):
    data = Sines(**SMALL)
    network = make(data, decoder=decoder, head=head, bidirectional=bidirectional, cell=LSTMCell)
    batch = batch_of(data)
    before = forecast(network, batch).point()
    batch.inputs[:, -1] += 0.5
    assert ((forecast(network, batch).point() - before).abs() > 1e-6).all()


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("normaliser", SCALERS)
@torch.no_grad()
def test_changing_anything_after_the_cut_changes_nothing(decoder, normaliser):
    """Neither the values of the future nor the past covariates there reach the forecast."""
    past = np.random.default_rng(0).normal(size=(5, 140, 1)).astype(np.float32)
    stores = []
    for future in (1.0, 1000.0):
        values = Sines(**SMALL).store.values.view(5, 140, 1).clone().numpy()
        changed = past.copy()
        values[:, 60:], changed[:, 60:] = values[:, 60:] * future, changed[:, 60:] * future
        stores.append(SeriesStore.from_array(values, past=changed))
    forecasts, contexts = [], []
    for store in stores:
        data = Stored(store, window=24, horizon=4, val_steps=40, test_steps=40)
        network = make(data, decoder=decoder, normaliser=normaliser)
        batch = data.split("val").batch(torch.arange(5) * 37)
        assert batch.context.age.tolist() == [60] * 5
        forecasts.append(forecast(network, batch).point())
        contexts.append(batch.context)
    assert torch.equal(*forecasts)
    for name in ("naive_error", "naive_square", "deviation", "first"):
        assert torch.equal(getattr(contexts[0], name), getattr(contexts[1], name))


class Stored(SeriesDataset):
    """Series that are there already."""

    def __init__(self, store, **settings):
        super().__init__(**settings)
        self.given = store

    metric = "mae"
    season = 1
    best_score = None

    def make_store(self):
        return self.given


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("normaliser", SCALERS)
@pytest.mark.parametrize("difference", [0, 1, 6])
@torch.no_grad()
def test_a_stretched_and_shifted_series_has_a_stretched_and_shifted_forecast(
    decoder, normaliser, difference
):
    data = Sines(**SMALL)
    network = make(
        data, decoder=decoder, head="gaussian", normaliser=normaliser, difference=difference
    )
    batch = batch_of(data)
    moves = difference > 0 or normaliser not in ("none", "mean")
    stretch, shift = 1.0 if normaliser == "none" else 8.0, 32.0 if moves else 0.0
    before = forecast(network, batch)
    batch.inputs = stretch * batch.inputs + shift
    after = forecast(network, batch)
    assert stretch != 1 or shift != 0 or normaliser == "none"
    torch.testing.assert_close(
        after.point(), stretch * before.point() + shift, atol=1e-3, rtol=1e-4
    )
    torch.testing.assert_close(after.deviation, stretch * before.deviation, atol=1e-3, rtol=1e-4)


@torch.no_grad()
def test_with_logarithms_a_stretched_series_has_a_stretched_forecast():
    data = Sines(**SMALL)
    data.store.values.exp_()
    network = make(data, head="quantile", log=True, difference=1)
    batch = batch_of(data)
    levels = torch.tensor([0.1, 0.5, 0.9])
    before = forecast(network, batch).quantiles(levels)
    batch.inputs = 10 * batch.inputs
    torch.testing.assert_close(forecast(network, batch).quantiles(levels), 10 * before)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("difference", [0, 3])
@torch.no_grad()
def test_batch_mates_and_padding_change_nothing(decoder, difference):
    data = Seasonal(**SMALL, min_window=6)
    network = make(data, decoder=decoder, series_embedding=3, difference=difference)
    split = data.split("train")
    together = split.batch(torch.tensor([0, 5, 60]))
    assert together.lengths.tolist() == [6, 11, 24]
    together.inputs[0, 6:] = 777.0
    found = forecast(network, together).point()
    for row, index in enumerate((0, 5, 60)):
        alone = forecast(network, split.batch(torch.tensor([index]))).point()
        torch.testing.assert_close(found[row], alone[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("decoder", ["recursive", "attention"])
@torch.no_grad()
def test_forced_in_one_pass_equals_forced_step_by_step(decoder):
    data = Seasonal(**SMALL)
    network = make(data, decoder=decoder, head="gaussian")
    batch = batch_of(data)
    whole = forecast(network, batch, targets=batch.targets, teacher_forcing_ratio=1.0)
    # Just below 1 it goes step by step, and reads the truth all the same.
    stepwise = forecast(network, batch, targets=batch.targets, teacher_forcing_ratio=1 - 1e-9)
    torch.testing.assert_close(stepwise.point(), whole.point(), atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(stepwise.deviation, whole.deviation, atol=1e-4, rtol=1e-5)
    free = forecast(network, batch)
    torch.testing.assert_close(free.point()[:, 0], whole.point()[:, 0], atol=1e-4, rtol=1e-5)
    assert not torch.allclose(free.point()[:, -1], whole.point()[:, -1], atol=1e-3)


VARIANTS = {
    "lstm": {"cell": LSTMCell, "num_layers": 2},
    "wide": {"cell": PeepholeLSTMCell, "hidden_size": 12},
    "before": {"attention_position": "before", "coverage": True},
    "fed": {"attention_position": "after", "input_feeding": True},
}


@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_any_decoder_is_teacher_forced_in_one_pass_as_step_by_step(variant):
    data = Seasonal(**SMALL)
    decoder = partial(DECODERS["attention"], **VARIANTS[variant])
    network = make(data, decoder=decoder, head="gaussian")
    batch = batch_of(data)
    whole = forecast(network, batch, targets=batch.targets, teacher_forcing_ratio=1.0)
    steps = forecast(network, batch, targets=batch.targets, teacher_forcing_ratio=1 - 1e-9)
    torch.testing.assert_close(steps.point(), whole.point(), atol=1e-4, rtol=1e-5)
    paths = forecast(network, batch, num_samples=3)
    assert paths.values.shape == (3, *batch.targets.shape)


@torch.no_grad()
def test_autoregressive_forecast_by_a_loop():
    """Against steps of the decoder that are written out, where a value is fed back as it is."""
    data = Sines(**SMALL)
    network = make(data, decoder="attention", normaliser="none")
    batch = batch_of(data)
    horizon, decoder = network.horizon, network.horizon.decoder
    states, _, _ = network.reader(batch.inputs.float(), batch.lengths)
    memory = decoder.prepare_memory(states, torch.ones(states.shape[:2]).bool())
    linear = horizon.bridge.maps[0][0][0]
    state = decoder.init_state(((torch.tanh(linear(states[:, -1])),),), memory)
    value, values = batch.inputs[:, -1].float(), []
    for _ in range(4):
        output, state = decoder.step(value, state, memory)
        value = horizon.output(output.outputs)
        values.append(value)
    expected = torch.stack(values, 1).to(batch.targets.dtype)
    torch.testing.assert_close(forecast(network, batch).point(), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_teacher_forcing_in_part_reads_each_value_or_the_forecast(monkeypatch):
    """Half forced: each window's steps equal one of the two ways to continue."""
    data = Sines(**SMALL)
    network = make(data, decoder="recursive")
    batch = batch_of(data)
    draws = iter([torch.tensor([[x]]).repeat(6, 1) for x in (0.9, 0.1, 0.9, 0.9)])
    monkeypatch.setattr(torch, "rand", lambda *size, **_: next(draws))
    found = forecast(network, batch, targets=batch.targets, teacher_forcing_ratio=0.5).point()
    # Step 2 read its own forecast of step 1, step 3 the true value of step 2, step 4 its own.
    read = torch.stack([found[:, 0], batch.targets[:, 1], found[:, 2], found[:, 3]], 1)
    monkeypatch.undo()
    expected = forecast(network, batch, targets=read, teacher_forcing_ratio=1.0).point()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("decoder", ["recursive", "attention"])
@torch.no_grad()
def test_a_decoder_forced_with_its_own_forecast_repeats_it(decoder):
    data = Sines(**SMALL)
    network = make(data, decoder=decoder)
    batch = batch_of(data)
    free = forecast(network, batch).point()
    forced = forecast(network, batch, targets=free, teacher_forcing_ratio=1.0).point()
    torch.testing.assert_close(forced, free, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("head", ["gaussian", "student_t", "quantile"])
@torch.no_grad()
def test_the_first_step_of_sampled_paths_follows_the_head(head):
    data = Sines(**SMALL)
    network = make(data, decoder="recursive", head=head, quantiles=[0.1, 0.25, 0.5, 0.75, 0.9])
    batch = batch_of(data)
    paths = forecast(network, batch, num_samples=4000)
    assert isinstance(paths, Samples)
    assert paths.values.shape == (4000, *batch.targets.shape)
    levels = torch.tensor([0.25, 0.5, 0.75])
    exact = forecast(network, batch).quantiles(levels)[:, :, 0]
    share = (paths.values[:, None, :, 0] <= exact).float().mean(dim=0)
    torch.testing.assert_close(share, levels.view(3, 1, 1).expand_as(share), atol=0.04, rtol=0)


@pytest.mark.parametrize("decoder", DECODERS)
@torch.no_grad()
def test_quantiles_do_not_cross(decoder):
    data = Sines(**SMALL)
    levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    found = forecast(make(data, decoder=decoder, head="quantile", quantiles=levels), batch_of(data))
    assert isinstance(found, Quantiles)
    assert (found.values.diff(dim=0) >= 0).all()


@torch.no_grad()
def test_what_is_known_of_the_future_matters_and_static_and_number_too():
    data = Seasonal(**SMALL)
    for decoder in DECODERS:
        network = make(data, decoder=decoder, series_embedding=4)
        batch = batch_of(data)
        before = forecast(network, batch).point()
        for change in (
            {"future": 1 - batch.context.future},
            {"static": batch.context.static + 5},
            {"series": 4 - batch.context.series},
        ):
            other = replace(batch, context=replace(batch.context, **change))
            assert not torch.allclose(forecast(network, other).point(), before)


@torch.no_grad()
def test_several_channels_are_forecast_together():
    data = Lorenz(**SMALL)
    for decoder in DECODERS:
        batch = batch_of(data)
        before = forecast(make(data, decoder=decoder), batch).point()
        assert before.shape == (6, 4, 3)
        batch.inputs[:, -3:, 0] += 3
        after = forecast(make(data, decoder=decoder), batch).point()
        assert ((after - before).abs() > 1e-5).all()


@pytest.mark.parametrize("decoder", DECODERS)
def test_missing_values_are_left_out_and_told_apart_from_zero(decoder):
    rng = np.random.default_rng(0)
    series = []
    for name in "abc":
        values = rng.normal(10, 2, 100)
        values[rng.choice(100, 20, replace=False)] = np.nan
        series.append(Series(values=values, name=name))
    store = SeriesStore.from_series(series, missing="mask")
    data = Stored(store, window=24, horizon=4, val_steps=20, test_steps=20)
    assert data.spec.series.missing
    network = make(data, decoder=decoder, head="gaussian")
    batch = data.split("train").batch(torch.arange(10))
    assert batch.inputs.isnan().any()
    settings = {"targets": batch.targets, "teacher_forcing_ratio": 1.0}
    outcome = network(batch.inputs, batch.lengths, batch.context, **settings)
    found = outcome.frame.in_units(outcome.forecast).point()
    assert found.isfinite().all()
    found.sum().backward()
    assert all(
        parameter.grad is None or parameter.grad.isfinite().all()
        for parameter in network.parameters()
    )
    with torch.no_grad():
        location = outcome.frame.base
        filled = torch.where(batch.inputs.isnan(), location, batch.inputs)
        other = network(filled, batch.lengths, batch.context, **settings)
        assert not torch.allclose(other.frame.in_units(other.forecast).point(), found)


@torch.no_grad()
def test_counts():
    data = Intermittent(**SMALL)
    for decoder in DECODERS:
        network = make(data, decoder=decoder, head="negative_binomial", normaliser="mean")
        found = forecast(network, batch_of(data), num_samples=20)
        quantiles = found.quantiles(torch.tensor([0.5, 0.9]))
        drawn = found.sample(5)
        assert (drawn >= 0).all()
        assert torch.equal(drawn, drawn.round())
        assert (quantiles >= 0).all()


@torch.no_grad()
def test_sequence_regression():
    data = Adding(train_size=20, val_size=5, test_size=5, min_length=6, max_length=9)
    network = make(data, normaliser="none", attention=None)
    batch = data.split("train").batch(torch.arange(8))
    outcome = network(batch.inputs, batch.lengths)
    assert outcome.forecast.point().shape == batch.targets.shape == (8, 1, 1)


def test_the_scaler_is_in_the_checkpoint():
    data = Seasonal(**SMALL)
    network = make(data, normaliser="reversible")
    state = network.state_dict()
    names = {"covariate_location", "covariate_scale", "affine.log_gain", "affine.shift"}
    assert names <= set(state)
    holidays = data.store.known.view(5, -1)[:, : 140 - 48]
    assert state["covariate_location"][0].item() == pytest.approx(holidays.mean().item())


@pytest.mark.parametrize(
    ("kind", "settings", "match"),
    [
        (Sines, {"decoder": "attention", "attention": None}, "model/attention=additive"),
        (Sines, {"normaliser": "z"}, r"task\.normaliser"),
        (Sines, {"log": True}, r"task\.log=true.*series '\d+' at \d+ is -"),
        (Sines, {"head": "negative_binomial", "normaliser": "mean"}, r"series '\d+' at \d+ is "),
        (Intermittent, {"head": "negative_binomial"}, "can be scaled but not moved"),
        (Sines, {"difference": -1}, "^difference=-1 must"),
        (Sines, {"dropout": 1.0}, "dropout"),
        (Adding, {}, r"task\.normaliser=standard.*one target a sequence"),
        (Adding, {"normaliser": "none", "decoder": "recursive"}, r"task\.decoder=recursive"),
    ],
)
def test_what_cannot_work_together(kind, settings, match):
    data = kind() if kind is Adding else kind(**SMALL)
    with pytest.raises(InputError, match=match):
        make(data, **settings)


def test_an_embedding_of_the_only_series():
    data = Sines(**{**SMALL, "num_series": 1})
    with pytest.raises(InputError, match="only one"):
        make(data, series_embedding=2)


def test_a_difference_that_leaves_nothing():
    data = Sines(**SMALL)
    network = make(data, difference=24)
    with pytest.raises(InputError, match="leaves nothing of a history of 24"):
        forecast(network, batch_of(data))


def test_covariates_need_their_context():
    data = Seasonal(**SMALL)
    batch = batch_of(data)
    with pytest.raises(InputError, match="context"):
        make(data)(batch.inputs, batch.lengths)
