"""Forecasts without a likelihood: a point, quantiles, samples; each with its loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

PointLoss = Literal["mse", "mae", "huber"]
# Levels at whose pinball losses the CRPS is integrated: the midpoints of this many slices.
CRPS_SLICES = 50


class Forecast(ABC):
    """A forecast of each value. Shapes: `shape` is any, `(batch, horizon, channel)` in use."""

    @abstractmethod
    def point(self) -> Tensor:
        """The single best value for the head's loss, (shape)."""

    @abstractmethod
    def loss(self, target: Tensor) -> Tensor:
        """The loss of each value, (shape)."""

    @abstractmethod
    def affine(self, location: Tensor, scale: Tensor) -> Forecast:
        """The forecast of location + scale · value, for a positive scale."""

    @abstractmethod
    def quantiles(self, levels: Tensor) -> Tensor | None:
        """The values at `levels` (level,): (level, *shape); None where only a point is known."""

    def sample(self, count: int) -> Tensor:
        """Draws `count` values, (count, *shape); a point repeated where only that is known."""
        point = self.point()
        return point.expand(count, *point.shape)

    def crps(self, target: Tensor) -> Tensor:
        """Continuous ranked probability score, (shape) (Gneiting & Raftery 2007, section 4.2).

        ∫ 2 ρ_τ(y − q_τ) dτ over τ in (0, 1), by the midpoint rule. Of a point it is the absolute
        error.
        """
        number = torch.arange(CRPS_SLICES, device=target.device, dtype=torch.float64)
        levels = (number + 0.5) / CRPS_SLICES
        values = self.quantiles(levels)
        if values is None:
            return (target - self.point()).abs()
        return 2 * pinball(values, target, levels).mean(dim=0)


def along(levels: Tensor, values: Tensor) -> Tensor:
    """Levels (level,) as (level, 1, …), to broadcast over `values` (shape)."""
    return levels.view(-1, *(1 for _ in values.shape))


def pinball(values: Tensor, target: Tensor, levels: Tensor) -> Tensor:
    """ρ_τ(y − q) = max(τ(y − q), (τ − 1)(y − q)) (Koenker & Bassett 1978).

    Args:
        values: (level, *shape) quantiles q.
        target: (shape) y.
        levels: (level,) τ.

    Returns:
        (level, *shape)
    """
    error = target - values
    tau = along(levels.to(error.dtype), target)
    return torch.maximum(tau * error, (tau - 1) * error)


@dataclass(kw_only=True)
class Point(Forecast):
    """One value.

    Attributes:
        value: (shape).
        kind: squared error, absolute error, or Huber's loss with δ = 1.
    """

    value: Tensor
    kind: PointLoss = "mse"

    def point(self) -> Tensor:
        return self.value

    def loss(self, target: Tensor) -> Tensor:
        compare = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}[self.kind]
        return compare(self.value, target, reduction="none")

    def affine(self, location: Tensor, scale: Tensor) -> Point:
        return replace(self, value=location + scale * self.value)

    def quantiles(self, levels: Tensor) -> None:
        return None


@dataclass(kw_only=True)
class Quantiles(Forecast):
    """Values at given levels, in order; straight lines between them, constant beyond.

    Attributes:
        values: (level, *shape), rising along the levels.
        levels: (level,) rising, 0.5 among them.
    """

    values: Tensor
    levels: Tensor

    def point(self) -> Tensor:
        return self.values[int((self.levels - 0.5).abs().argmin())]

    def loss(self, target: Tensor) -> Tensor:
        return pinball(self.values, target, self.levels).mean(dim=0)

    def affine(self, location: Tensor, scale: Tensor) -> Quantiles:
        return replace(self, values=location + scale * self.values)

    def quantiles(self, levels: Tensor) -> Tensor:
        below, above, share = self._between(levels.to(self.levels))
        low, high = self.values[below], self.values[above]
        return low + along(share, low[0]).to(low.dtype) * (high - low)

    def sample(self, count: int) -> Tensor:
        # Each value has a level of its own, looked up among its own quantiles.
        values = self.values.movedim(0, -1).expand(count, *self.values[0].shape, -1)
        place = torch.rand(values.shape[:-1], device=values.device, dtype=self.levels.dtype)
        below, above, share = self._between(place)
        low, high = (values.gather(-1, x[..., None])[..., 0] for x in (below, above))
        return low + share.to(values.dtype) * (high - low)

    def _between(self, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The level below each place and that above, and the share of the way between them."""
        last = len(self.levels) - 1
        below = torch.searchsorted(self.levels, places, right=True) - 1
        below = below.clamp(0, max(0, last - 1))
        above = (below + 1).clamp(max=last)
        gap = (self.levels[above] - self.levels[below]).clamp(min=1e-9)
        return below, above, ((places - self.levels[below]) / gap).clamp(0, 1)


@dataclass(kw_only=True)
class Samples(Forecast):
    """Sampled paths, (sample, *shape): a distribution known by what it drew.

    The loss is the CRPS, E|X − y| − ½ E|X − X′| over the samples.
    """

    values: Tensor

    def point(self) -> Tensor:
        return self.values.median(dim=0).values

    def loss(self, target: Tensor) -> Tensor:
        return self.crps(target)

    def affine(self, location: Tensor, scale: Tensor) -> Samples:
        return Samples(values=location + scale * self.values)

    def quantiles(self, levels: Tensor) -> Tensor:
        return self.values.quantile(levels.to(self.values.dtype), dim=0)

    def sample(self, count: int) -> Tensor:
        return self.values[torch.randint(len(self.values), (count,), device=self.values.device)]

    def crps(self, target: Tensor) -> Tensor:
        """By the sorted samples: the mean of |x − y|, less Σ_i (2i − n − 1) x_(i) / n²."""
        ordered = self.values.sort(dim=0).values
        count = len(ordered)
        rank = torch.arange(1, count + 1, device=ordered.device, dtype=ordered.dtype)
        weights = (2 * rank - count - 1) / count**2
        spread = torch.einsum("s,s...->...", weights, ordered)
        return (ordered - target).abs().mean(dim=0) - spread


@dataclass(kw_only=True)
class LogForecast(Forecast):
    """The exponential of a forecast of logarithms; its loss is that of the logarithms.

    Quantiles go along with every rising function. So does the median; where the point of
    `logarithm` is a mean, that of this forecast is the geometric mean.
    """

    logarithm: Forecast

    def point(self) -> Tensor:
        return self.logarithm.point().exp()

    def loss(self, target: Tensor) -> Tensor:
        return self.logarithm.loss(target.log())

    def affine(self, location: Tensor, scale: Tensor) -> Forecast:
        raise NotImplementedError("scale the forecast before the logarithm is undone")

    def quantiles(self, levels: Tensor) -> Tensor | None:
        found = self.logarithm.quantiles(levels)
        return None if found is None else found.exp()

    def sample(self, count: int) -> Tensor:
        return self.logarithm.sample(count).exp()
