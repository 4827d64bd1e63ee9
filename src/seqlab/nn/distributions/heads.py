"""Heads: from a network's raw numbers to a forecast of each value."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from seqlab.errors import ArgumentError
from seqlab.nn.distributions.forecast import Forecast, Point, PointLoss, Quantiles
from seqlab.nn.distributions.likelihoods import Gaussian, NegativeBinomial, StudentT

HeadName = Literal["mse", "mae", "huber", "quantile", "gaussian", "student_t", "negative_binomial"]
# Keeps scales and means away from 0, where the likelihood has no bound.
SMALLEST = 1e-4


class Head(nn.Module, ABC):
    """`raw (…, size) → forecast of shape (…)`.

    Attributes:
        size: raw numbers a value.
        is_count: the forecast is of whole numbers from 0 on.
        is_probabilistic: the forecast is a distribution or quantiles, not a point.
    """

    size: int
    is_count: bool = False
    is_probabilistic: bool = True

    @abstractmethod
    def forward(self, raw: Float[Tensor, "*shape size"]) -> Forecast:
        """Reads the raw numbers as a forecast."""


class PointHead(Head):
    """The value itself."""

    size = 1
    is_probabilistic = False

    def __init__(self, kind: PointLoss) -> None:
        super().__init__()
        self.kind: PointLoss = kind

    def forward(self, raw: Float[Tensor, "*shape 1"]) -> Point:
        return Point(value=raw[..., 0], kind=self.kind)


class QuantileHead(Head):
    """A value for each level, sorted, so that quantiles cannot cross.

    Sorting never raises the pinball loss (Chernozhukov et al. 2010, proposition 4).

    Args:
        levels: probabilities in rising order, 0.5 among them.

    Raises:
        InputError: other levels.
    """

    levels: Tensor

    def __init__(self, levels: Sequence[float]) -> None:
        super().__init__()
        check_levels(levels)
        self.size = len(levels)
        self.register_buffer(
            "levels", torch.tensor(tuple(levels), dtype=torch.float64), persistent=False
        )

    def forward(self, raw: Float[Tensor, "*shape levels"]) -> Quantiles:
        return Quantiles(values=raw.sort(dim=-1).values.movedim(-1, 0), levels=self.levels)


class GaussianHead(Head):
    """Mean, and deviation by softplus."""

    size = 2

    def forward(self, raw: Float[Tensor, "*shape 2"]) -> Gaussian:
        return Gaussian(mean=raw[..., 0], deviation=F.softplus(raw[..., 1]) + SMALLEST)


class StudentTHead(Head):
    """Location, scale by softplus, and degrees of freedom above 2, so that there is a variance."""

    size = 3

    def forward(self, raw: Float[Tensor, "*shape 3"]) -> StudentT:
        return StudentT(
            location=raw[..., 0],
            scale=F.softplus(raw[..., 1]) + SMALLEST,
            freedom=2 + F.softplus(raw[..., 2]),
        )


class NegativeBinomialHead(Head):
    """Mean and dispersion, both by softplus."""

    size = 2
    is_count = True

    def forward(self, raw: Float[Tensor, "*shape 2"]) -> NegativeBinomial:
        return NegativeBinomial(
            mean=F.softplus(raw[..., 0]) + SMALLEST, dispersion=F.softplus(raw[..., 1]) + SMALLEST
        )


def make_head(head: HeadName, quantiles: Sequence[float]) -> Head:
    """The head of that name.

    Args:
        head: a point head is named by its loss.
        quantiles: levels of the quantile head.

    Raises:
        InputError: an unknown name.
    """
    if head in ("mse", "mae", "huber"):
        return PointHead(head)
    if head == "quantile":
        return QuantileHead(quantiles)
    kinds = {
        "gaussian": GaussianHead,
        "student_t": StudentTHead,
        "negative_binomial": NegativeBinomialHead,
    }
    if head not in kinds:
        known = f"mse, mae, huber, quantile, {', '.join(kinds)}"
        raise ArgumentError("head", head, f"must be one of {known}")
    return kinds[head]()


def check_levels(levels: Sequence[float]) -> None:
    """Raises InputError unless the levels can be those of quantiles."""
    rising = all(low < high for low, high in pairwise(levels))
    if not rising or 0.5 not in levels or not 0 < levels[0] <= levels[-1] < 1:
        rule = "must be rising probabilities between 0 and 1, with 0.5 among them"
        raise ArgumentError("quantiles", list(levels), f"{rule}; use for example [0.1,0.5,0.9]")
