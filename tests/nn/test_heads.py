import pytest
import torch

from seqlab.errors import InputError
from seqlab.nn.distributions.heads import make_head


@pytest.mark.parametrize(("name", "expected"), [("mse", 4.0), ("mae", 2.0), ("huber", 1.5)])
def test_point_losses(name, expected):
    forecast = make_head(name, [0.5])(torch.tensor([[3.0]]))
    assert forecast.loss(torch.tensor([5.0])).item() == expected


@pytest.mark.parametrize("levels", [[], [0.1, 0.9], [0.5, 0.1], [0.5, 0.5], [0.0, 0.5], [0.5, 1.0]])
def test_levels_that_are_none(levels):
    with pytest.raises(InputError, match=r"^quantiles="):
        make_head("quantile", levels)


@pytest.mark.usefixtures("unchecked")
def test_an_unknown_head():
    with pytest.raises(InputError, match="gaussian"):
        make_head("gauss", [0.5])  # type: ignore[arg-type]
