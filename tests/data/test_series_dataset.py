import numpy as np
import pytest
import torch

from seqlab.data.adding import Adding
from seqlab.data.air_passengers import AirPassengers
from seqlab.data.ar import Ar
from seqlab.data.direction import direction
from seqlab.data.intermittent import Intermittent
from seqlab.data.lorenz import Lorenz
from seqlab.data.mackey_glass import MackeyGlass
from seqlab.data.random_walk import RandomWalk
from seqlab.data.regimes import Regimes
from seqlab.data.seasonal import Seasonal
from seqlab.data.sines import Sines
from seqlab.errors import InputError

GENERATORS = [Ar, Intermittent, Lorenz, MackeyGlass, RandomWalk, Regimes, Seasonal, Sines]
SMALL = {"num_series": 4, "length": 130, "window": 20}


@pytest.mark.parametrize("kind", GENERATORS)
def test_splits_share_no_target_and_cover_their_part(kind):
    data = kind(**SMALL)
    parts = {}
    for name in data.splits:
        split = data.split(name)
        series, cuts = split.locate(torch.arange(len(split)))
        steps = cuts[:, None] + torch.arange(data.horizon)
        parts[name] = {
            (s, t) for s, row in zip(series.tolist(), steps.tolist(), strict=True) for t in row
        }
    assert not parts["train"] & parts["val"]
    assert not parts["val"] & parts["test"]
    assert not parts["train"] & parts["test"]
    times = {name: sorted({time for _, time in part}) for name, part in parts.items()}
    assert times["train"] == list(range(20, 130 - 48))
    assert times["val"] == list(range(130 - 48, 130 - 24))
    assert times["test"] == list(range(130 - 24, 130))


@pytest.mark.parametrize("kind", GENERATORS)
def test_series_are_a_function_of_the_seed(kind):
    first, again, other = (kind(**SMALL, seed=seed).store.values for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.isfinite().all()
    # No two series of one dataset are alike.
    assert len(first.view(4, -1).unique(dim=0)) == 4


@pytest.mark.parametrize("kind", [*GENERATORS, AirPassengers])
def test_trivial_is_the_score_of_the_last_value(kind):
    data = kind(**(SMALL if kind is not AirPassengers else {}))
    split = data.split("test")
    batch = split.batch(torch.arange(len(split)))
    error = batch.targets - batch.inputs[:, -1:, : batch.targets.shape[-1]]
    scores = {
        "mse": error.square(),
        "mae": error.abs(),
        "mase": error.abs() / batch.context.naive_error[:, None],
    }
    assert data.spec.trivial == pytest.approx(scores[data.spec.metric].mean().item(), rel=1e-5)
    assert direction(data.spec.metric) == "smaller"


def test_ar_follows_its_equation_and_optimum():
    data = Ar(num_series=200, length=600, coefficients=[0.5, 0.3], noise=2.0, horizon=1)
    y = data.store.values.view(200, 600).double()
    noise = y[:, 2:] - 0.5 * y[:, 1:-1] - 0.3 * y[:, :-2]
    assert noise.var().item() == pytest.approx(4.0, rel=0.02)
    assert data.best_score == pytest.approx(4.0)
    # Two steps ahead the error is ε_2 + φ_1 ε_1.
    assert Ar(coefficients=[0.5, 0.3], noise=2.0, horizon=2).best_score == pytest.approx(
        (4 + 4 * (1 + 0.25)) / 2
    )


def test_ar_optimum_of_many_steps_is_that_of_the_true_model():
    data = Ar(num_series=400, length=300, horizon=5, test_steps=100)
    split = data.split("test")
    batch = split.batch(torch.arange(len(split)))
    path = list(batch.inputs[:, -2:, 0].double().T)
    for _ in range(5):
        path.append(1.2 * path[-1] - 0.6 * path[-2])
    error = torch.stack(path[2:], dim=1) - batch.targets[..., 0]
    assert error.square().mean().item() == pytest.approx(data.best_score, rel=0.03)


def test_random_walk_optimum_is_the_score_of_the_last_value():
    data = RandomWalk(num_series=2000, length=100, window=20)
    assert data.spec.trivial == pytest.approx(data.best_score, rel=0.05)


def test_seasonal_holidays_are_known_for_the_future():
    data = Seasonal(num_series=3, length=200, noise=0.0)
    batch = data.future().batch(torch.arange(3))
    assert batch.context.future.shape == (3, 12, 1)
    store = data.store
    values = store.values.view(3, 200)
    holiday = store.known.view(3, -1)[:, :200]
    effect = store.static
    # Without the holidays' effect a second difference at lag 7 leaves the long season alone.
    rest = values - effect * holiday
    jump = (values[:, 14:] - 2 * values[:, 7:-7] + values[:, :-14]).abs().amax()
    smooth = (rest[:, 14:] - 2 * rest[:, 7:-7] + rest[:, :-14]).abs().amax()
    assert smooth < 3
    assert jump > 10


def test_intermittent_optimum_is_the_variance_of_a_step():
    data = Intermittent(num_series=300, length=2000)
    values = data.store.values.view(300, 2000)
    assert (values == values.round()).all()
    assert (values == 0).float().mean() > 0.5
    assert values.var(dim=1).mean().item() == pytest.approx(data.best_score, rel=0.03)


def test_mackey_glass_solves_its_equation():
    coarse = MackeyGlass(num_series=2, length=400).store.values.view(2, 400).double()
    # Over one unit of time: the trapezoid rule on the right-hand side at the samples.
    slope = 0.2 * coarse[:, :-17] / (1 + coarse[:, :-17] ** 10) - 0.1 * coarse[:, 17:]
    change = coarse[:, 18:] - coarse[:, 17:-1]
    torch.testing.assert_close(change, (slope[:, 1:] + slope[:, :-1]) / 2, atol=5e-3, rtol=0)


def test_lorenz_solves_its_equation():
    data = Lorenz(num_series=2, length=400, substeps=1)
    x, y, z = data.store.values.view(2, 400, 3).double().unbind(dim=-1)
    change = (x[:, 2:] - x[:, :-2]) / 0.02
    torch.testing.assert_close(change, 10 * (y - x)[:, 1:-1], atol=1.0, rtol=0)
    change = (z[:, 2:] - z[:, :-2]) / 0.02
    torch.testing.assert_close(change, (x * y - 8 / 3 * z)[:, 1:-1], atol=5.0, rtol=0)


def test_adding():
    data = Adding(train_size=2000, val_size=10, test_size=10, min_length=4, max_length=9)
    examples = data.split("train")
    values, marks = examples.inputs.unbind(dim=-1)
    assert ((values * marks).sum(dim=1) == examples.targets[:, 0, 0]).all()
    halves = torch.arange(9) < (examples.lengths // 2)[:, None]
    assert ((marks * halves).sum(dim=1) == 1).all()
    assert (marks.sum(dim=1) == 2).all()
    assert (marks.bool() == examples.evidence).all()
    assert examples.targets.var().item() == pytest.approx(data.spec.trivial**2, rel=0.05)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"val_steps": 5}, "val_steps=5 is shorter than the horizon"),
        ({"horizon": 0}, r"task\.horizon=0"),
        ({"min_window": 30}, "min_window=30"),
        ({"length": 70}, "series '0' ends at 69 after 70 values, but 80 are needed"),
        ({"constant": "maybe"}, "data.constant"),
        ({"num_series": 0}, "num_series"),
    ],
)
def test_settings_that_cannot_work(changes, match):
    with pytest.raises(InputError, match=match):
        _ = Sines(**{**SMALL, **changes}).store


def test_ar_must_be_stationary():
    with pytest.raises(InputError, match="stationary"):
        Ar(coefficients=[1.1])


def test_a_constant_series_is_named_or_kept():
    settings = {**SMALL, "busiest": 0.11, "length": 20 + 12 + 48}
    with pytest.raises(InputError, match=r"series '\d+' is constant from 0 to 31.*constant=keep"):
        _ = Intermittent(**{**settings, "num_series": 200}).store
    kept = Intermittent(**{**settings, "num_series": 200}, constant="keep")
    assert (kept.split("test").naive_error == 0).any()
    assert np.isfinite(kept.spec.trivial)
