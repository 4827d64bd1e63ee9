import math

import pytest
import torch

from seqlab.errors import InputError
from seqlab.nn.conformal import Conformal


def test_the_margin_is_the_right_order_statistic():
    conformal = Conformal([0.8, 0.95], horizon=1, channels=1)
    scores = torch.randperm(99).float().view(1, 99, 1, 1).expand(2, -1, -1, -1)
    conformal.fit(scores)
    # ⌈100 · 0.8⌉ = 80th smallest of 0 … 98.
    assert conformal.margins.flatten().tolist() == [79, 94]


def test_missing_scores_are_not_counted():
    conformal = Conformal([0.5], horizon=1, channels=1)
    scores = torch.tensor([3.0, math.nan, 1.0, 2.0, math.nan]).view(1, 5, 1, 1)
    conformal.fit(scores)
    assert conformal.margins.item() == 2


def test_with_too_few_the_largest_stands_in():
    conformal = Conformal([0.95], horizon=1, channels=1)
    conformal.fit(torch.tensor([3.0, 5.0, 1.0]).view(1, 3, 1, 1))
    assert conformal.margins.item() == 5


@pytest.mark.parametrize("width", [0.0, 0.5, 4.0])
def test_coverage_holds_for_too_narrow_and_too_wide_intervals(width):
    torch.manual_seed(0)
    conformal = Conformal([0.8, 0.95], horizon=3, channels=1)
    spread = torch.tensor([1.0, 2.0, 5.0])[:, None]
    held, later = (torch.randn(4000, 3, 1) * spread for _ in range(2))
    bound = torch.full((2, 4000, 3, 1), width)
    conformal.fit(Conformal.scores(-bound, bound, held))
    lower, upper = conformal(-bound, bound)
    assert (lower <= upper).all()
    inside = ((lower <= later) & (later <= upper)).float().mean(dim=1)
    torch.testing.assert_close(inside[0], torch.full((3, 1), 0.8), atol=0.025, rtol=0)
    torch.testing.assert_close(inside[1], torch.full((3, 1), 0.95), atol=0.015, rtol=0)


def test_margins_are_unknown_before_calibration_and_kept_in_the_state():
    conformal = Conformal([0.8], horizon=2, channels=1)
    assert conformal.margins.isnan().all()
    conformal.fit(torch.rand(1, 30, 2, 1))
    other = Conformal([0.8], horizon=2, channels=1)
    other.load_state_dict(conformal.state_dict())
    assert torch.equal(other.margins, conformal.margins)


@pytest.mark.parametrize("probabilities", [[], [0.0], [1.0], [80]])
def test_probabilities_that_are_none(probabilities):
    with pytest.raises(InputError, match=r"^intervals="):
        Conformal(probabilities, horizon=1, channels=1)
