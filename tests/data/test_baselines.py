import pytest
import torch

from seqlab.data.air_passengers import AirPassengers
from seqlab.data.baselines import baselines, drift, last_value, moving_average, naive, seasonal

NAN = float("nan")


def test_air_passengers_table():
    """The known errors of the last twelve months, to the printed digits."""
    data = AirPassengers()
    batch = data.split("test").batch(torch.arange(1))
    table = {
        "naive": (76.00, 16.12, 2.496),
        "seasonal": (47.83, 10.57, 1.571),
        "drift_seasonal": (33.30, 7.26, 1.093),
    }
    found = baselines(batch, data.spec.series)
    for name, (mae, smape, mase) in table.items():
        error = (found[name] - batch.targets).abs()
        size = found[name].abs() + batch.targets.abs()
        assert round(error.mean().item(), 2) == mae
        assert round((200 * error / size).mean().item(), 2) == smape
        assert round((error / batch.context.naive_error[:, None]).mean().item(), 3) == mase


def history():
    """The counts 1 2 3 4 5, and 7 8 with padding behind."""
    return torch.tensor([[1.0, 2, 3, 4, 5], [7, 8, 0, 0, 0]])[..., None], torch.tensor([5, 2])


def test_each_rule_by_hand():
    values, lengths = history()
    assert naive(values, lengths, 2)[..., 0].tolist() == [[5, 5], [8, 8]]
    # The second history holds the season's second value only.
    assert seasonal(values, lengths, 4, 3)[..., 0].tolist() == [[3, 4, 5, 3], [8, 7, 8, 8]]
    straight = drift(
        values, lengths, 2, first=torch.tensor([[1.0], [4.0]]), age=torch.tensor([5, 5])
    )
    assert straight[..., 0].tolist() == [[6, 7], [9, 10]]
    assert moving_average(values, lengths, 1)[..., 0].tolist() == [[3], [7.5]]


def test_missing_values_are_passed_over():
    values = torch.tensor([[1.0, 2, 3, NAN], [NAN, NAN, NAN, NAN]])[..., None]
    lengths = torch.tensor([4, 4])
    assert last_value(values, lengths)[0].item() == 3
    assert last_value(values, lengths)[1].isnan().all()
    assert seasonal(values, lengths, 2, 2)[0, :, 0].tolist() == [3, 3]
    assert moving_average(values, lengths, 1)[0, 0].item() == 2


@pytest.mark.parametrize("name", ["naive", "seasonal", "drift", "drift_seasonal", "moving_average"])
def test_baselines_move_and_stretch_with_the_series(name):
    data = AirPassengers()
    batch = data.split("val").batch(torch.arange(1))
    before = baselines(batch, data.spec.series)[name]
    batch.inputs = 3 * batch.inputs + 50
    batch.context.first = 3 * batch.context.first + 50
    batch.context.season = 3 * batch.context.season + 50
    after = baselines(batch, data.spec.series)[name]
    torch.testing.assert_close(after, 3 * before + 50)
