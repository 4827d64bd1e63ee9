from functools import partial

import pytest
import torch

from seqlab.data.baselines import naive
from seqlab.data.random_walk import RandomWalk
from seqlab.data.sines import Sines
from seqlab.errors import InputError
from seqlab.networks.forecaster import Forecaster
from seqlab.networks.reader import Reader
from seqlab.nn.recurrent.encoder import RecurrentEncoder
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.runs.backtest import back_test, forecast_windows
from seqlab.tasks.forecasting import Forecasting
from seqlab.tasks.schedules import constant

SMALL = {"num_series": 3, "length": 90, "window": 16, "horizon": 4, "val_steps": 10}


def task_of(data, seed=0, **settings):
    torch.manual_seed(seed)
    encoder = partial(RecurrentEncoder, cell=GRUCell, hidden_size=6)
    network = Forecaster(data.spec, reader=partial(Reader, encoder=encoder), **settings)
    return Forecasting(
        network=network, spec=data.spec, optimizer=torch.optim.Adam, scheduler=constant, horizon=4
    )


def test_every_origin_is_forecast_from_its_own_past():
    data = Sines(**SMALL)
    task = task_of(data)
    result = back_test(task, data.store, window=16, steps=30, batch_size=7)
    values = data.store.values.view(3, 90)
    errors = []
    task.eval()
    for cut in range(60, 90 - 4 + 1):
        with torch.no_grad():
            outcome = task.network(values[:, cut - 16 : cut, None], torch.full((3,), 16))
        point = outcome.frame.in_units(outcome.forecast).point()[..., 0]
        errors.append((point - values[:, cut : cut + 4]).abs())
    assert result.windows == 3 * 27
    assert result.fits == 1
    assert result.scores["mae"] == pytest.approx(torch.stack(errors).mean().item(), rel=1e-5)
    by_origin = torch.stack(errors).mean(dim=(1, 2)).tolist()
    assert result.by_origin["model"] == pytest.approx(by_origin, rel=1e-5)
    assert set(result.by_origin) == {"model", *result.baselines}
    by_step = torch.stack(errors).mean(dim=(0, 1)).tolist()
    assert result.by_step["mae"] == pytest.approx(by_step, rel=1e-5)
    assert "skill_vs_naive" in result.scores
    assert task.training is False or task.network.training is False


def test_a_refitted_forecaster_sees_nothing_of_what_it_will_forecast():
    data = RandomWalk(**SMALL)
    seen = []

    def refit(store, origin):
        seen.append((origin, store.lengths.tolist(), store.values.clone()))
        return task_of(data, seed=origin)

    result = back_test(
        task_of(data), data.store, window=16, steps=20, stride=2, refit=refit, refit_every=3
    )
    # Origins at 70, 72, …, 86: nine of them, three a fit.
    assert [(origin, lengths) for origin, lengths, _ in seen] == [
        (0, [70, 70, 70]),
        (3, [76, 76, 76]),
        (6, [82, 82, 82]),
    ]
    assert result.fits == 3
    assert result.windows == 27
    whole = data.store.values.view(3, 90)
    for _, lengths, values in seen:
        assert torch.equal(values.view(3, -1), whole[:, : lengths[0]])


def test_refitting_changes_the_forecasts_from_there_on():
    data = RandomWalk(**SMALL)
    settings = {"window": 16, "steps": 20}
    same = back_test(
        task_of(data),
        data.store,
        **settings,
        refit=lambda store, origin: task_of(data),
        refit_every=5,
    )
    once = back_test(task_of(data), data.store, **settings)
    other = back_test(
        task_of(data),
        data.store,
        **settings,
        refit=lambda store, origin: task_of(data, seed=origin + 1),
        refit_every=5,
    )
    assert same.scores["mae"] == pytest.approx(once.scores["mae"], rel=1e-6)
    assert other.scores["mae"] != pytest.approx(once.scores["mae"], rel=1e-3)


def test_the_scales_are_from_before_the_first_origin():
    data = RandomWalk(**SMALL)
    result = back_test(task_of(data), data.store, window=16, steps=20)
    values = data.store.values.view(3, 90)
    scale = values[:, :70].diff(dim=1).abs().mean(dim=1)
    errors = []
    for cut in range(70, 87):
        history = values[:, cut - 16 : cut, None]
        last = naive(history, torch.full((3,), 16), 4)[..., 0]
        errors.append((last - values[:, cut : cut + 4]).abs() / scale[:, None])
    assert result.scores["naive_mse"] > 0
    meter_mase = torch.stack(errors).mean().item()
    skill = back_test(task_of(data), data.store, window=16, steps=20)
    assert skill.by_step["naive/mase"] == pytest.approx(
        torch.stack(errors).mean(dim=(0, 1)).tolist(), rel=1e-5
    )
    assert meter_mase > 0


def test_forecasts_beyond_the_end():
    data = Sines(**SMALL)
    task = task_of(data)
    found = forecast_windows(task, data.future(), batch_size=2)
    assert found.shape == (3, 4, 1)
    assert found.isfinite().all()


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"steps": 3}, r"backtest\.steps=3 is shorter"),
        ({"steps": 90}, "series '0' has 90 values"),
        ({"steps": 20, "stride": 0}, "stride=0"),
        ({"steps": 20, "refit_every": 2}, "need each other"),
    ],
)
def test_what_cannot_be_tested(settings, match):
    data = Sines(**SMALL)
    with pytest.raises(InputError, match=match):
        back_test(task_of(data), data.store, window=16, **settings)
