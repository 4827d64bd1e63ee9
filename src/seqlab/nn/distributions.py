"""What a forecast can be: a point, quantiles, or a distribution; each with its loss."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from seqlab.nn.student_t import student_t_crps, student_t_quantile

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


def drawable(*parameters: Tensor) -> tuple[Tensor, ...]:
    """Positive parameters of a distribution to draw from, 1 where one is not a positive number.

    Returns:
        the parameters, and where all were positive numbers: elsewhere what is drawn is not one.
    """
    known = torch.stack([(part > 0) & part.isfinite() for part in parameters]).all(dim=0)
    return (*(part.where(known, torch.ones_like(part)) for part in parameters), known)


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
    tau = levels.to(error.dtype).view(-1, *(1 for _ in target.shape))
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
        levels = levels.to(self.levels)
        below = (torch.searchsorted(self.levels, levels, right=True) - 1).clamp(
            0, max(0, len(self.levels) - 2)
        )
        above = (below + 1).clamp(max=len(self.levels) - 1)
        gap = (self.levels[above] - self.levels[below]).clamp(min=1e-9)
        share = ((levels - self.levels[below]) / gap).clamp(0, 1)
        low, high = self.values[below], self.values[above]
        return low + share.to(low.dtype).view(-1, *(1 for _ in low.shape[1:])) * (high - low)

    def sample(self, count: int) -> Tensor:
        # Each value has a level of its own, looked up among its own quantiles.
        values = self.values.movedim(0, -1)
        shape = (count, *values.shape[:-1])
        place = torch.rand(shape, device=values.device, dtype=self.levels.dtype)
        below = (torch.searchsorted(self.levels, place, right=True) - 1).clamp(
            0, max(0, len(self.levels) - 2)
        )
        above = (below + 1).clamp(max=len(self.levels) - 1)
        gap = (self.levels[above] - self.levels[below]).clamp(min=1e-9)
        share = ((place - self.levels[below]) / gap).clamp(0, 1).to(values.dtype)
        spread = values.expand(count, *values.shape)
        low = spread.gather(-1, below[..., None])[..., 0]
        high = spread.gather(-1, above[..., None])[..., 0]
        return low + share * (high - low)


@dataclass(kw_only=True)
class Gaussian(Forecast):
    """N(mean, deviation²); the loss is the negative log-likelihood."""

    mean: Tensor
    deviation: Tensor

    def point(self) -> Tensor:
        return self.mean

    def loss(self, target: Tensor) -> Tensor:
        z = (target - self.mean) / self.deviation
        return 0.5 * z.square() + self.deviation.log() + 0.5 * math.log(2 * math.pi)

    def affine(self, location: Tensor, scale: Tensor) -> Gaussian:
        return Gaussian(mean=location + scale * self.mean, deviation=scale * self.deviation)

    def quantiles(self, levels: Tensor) -> Tensor:
        z = torch.special.ndtri(levels.double()).to(self.mean.dtype)
        return self.mean + self.deviation * z.view(-1, *(1 for _ in self.mean.shape))

    def sample(self, count: int) -> Tensor:
        shape = (count, *self.mean.shape)
        noise = torch.randn(shape, device=self.mean.device, dtype=self.mean.dtype)
        return self.mean + self.deviation * noise

    def crps(self, target: Tensor) -> Tensor:
        """σ(z(2Φ(z) − 1) + 2φ(z) − 1/√π) (Gneiting & Raftery 2007, section 4.2)."""
        z = (target - self.mean) / self.deviation
        density = (-0.5 * z.square()).exp() / math.sqrt(2 * math.pi)
        spread = z * (2 * torch.special.ndtr(z) - 1) + 2 * density - 1 / math.sqrt(math.pi)
        return self.deviation * spread


@dataclass(kw_only=True)
class StudentT(Forecast):
    """Student's t with `freedom` degrees, moved and scaled; negative log-likelihood as loss."""

    freedom: Tensor
    location: Tensor
    scale: Tensor

    def point(self) -> Tensor:
        return self.location

    def loss(self, target: Tensor) -> Tensor:
        half = self.freedom / 2
        z = (target - self.location) / self.scale
        normaliser = torch.lgamma(half) - torch.lgamma(half + 0.5)
        return (
            normaliser
            + 0.5 * (self.freedom * math.pi).log()
            + self.scale.log()
            + (half + 0.5) * torch.log1p(z.square() / self.freedom)
        )

    def affine(self, location: Tensor, scale: Tensor) -> StudentT:
        return StudentT(
            freedom=self.freedom,
            location=location + scale * self.location,
            scale=scale * self.scale,
        )

    def quantiles(self, levels: Tensor) -> Tensor:
        return self.location + self.scale * student_t_quantile(self.freedom, levels)

    def sample(self, count: int) -> Tensor:
        freedom, scale, known = drawable(self.freedom, self.scale)
        drawn = torch.distributions.StudentT(freedom, scale=scale).sample(torch.Size([count]))
        return self.location + torch.where(known, drawn, torch.nan)

    def crps(self, target: Tensor) -> Tensor:
        """The closed form of `student_t_crps`."""
        z = (target - self.location) / self.scale
        return self.scale * student_t_crps(self.freedom, z)


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
