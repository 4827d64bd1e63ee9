"""Forecasts by a distribution of `torch.distributions`, with what it lacks from SciPy."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributions

from seqlab.errors import InputError
from seqlab.nn.distributions.forecast import Forecast, along


@dataclass(kw_only=True)
class Likelihood(Forecast):
    """A distribution's parameters, each (shape); the loss is the negative log-likelihood."""

    @abstractmethod
    def distribution(self) -> distributions.Distribution:
        """PyTorch's distribution with these parameters."""

    def loss(self, target: Tensor) -> Tensor:
        return -self.distribution().log_prob(target)

    def sample(self, count: int) -> Tensor:
        """Draws `count` values, (count, *shape); NaN where a parameter is not finite."""
        parameters: dict[str, Tensor] = {x.name: getattr(self, x.name) for x in fields(self)}
        known = torch.stack([x.isfinite() for x in parameters.values()]).all(dim=0)
        # PyTorch's generators refuse what is not a number.
        safe = {name: x.where(known, torch.ones_like(x)) for name, x in parameters.items()}
        drawn = replace(self, **safe).distribution().sample(torch.Size([count]))
        return drawn.where(known, torch.nan)


@dataclass(kw_only=True)
class Gaussian(Likelihood):
    """N(mean, deviation²)."""

    mean: Tensor
    deviation: Tensor

    def distribution(self) -> distributions.Normal:
        return distributions.Normal(self.mean, self.deviation, validate_args=False)

    def point(self) -> Tensor:
        return self.mean

    def affine(self, location: Tensor, scale: Tensor) -> Gaussian:
        return replace(self, mean=location + scale * self.mean, deviation=scale * self.deviation)

    def quantiles(self, levels: Tensor) -> Tensor:
        z = torch.special.ndtri(levels.double()).to(self.mean.dtype)
        return self.mean + self.deviation * along(z, self.mean)

    def crps(self, target: Tensor) -> Tensor:
        """σ(z(2Φ(z) − 1) + 2φ(z) − 1/√π) (Gneiting & Raftery 2007, section 4.2)."""
        z = (target - self.mean) / self.deviation
        density = (-0.5 * z.square()).exp() / math.sqrt(2 * math.pi)
        spread = z * (2 * torch.special.ndtr(z) - 1) + 2 * density - 1 / math.sqrt(math.pi)
        return self.deviation * spread


@dataclass(kw_only=True)
class StudentT(Likelihood):
    """Student's t with `freedom` degrees, moved and scaled."""

    freedom: Tensor
    location: Tensor
    scale: Tensor

    def distribution(self) -> distributions.StudentT:
        # PyTorch refuses degrees of freedom that are NaN; the result is NaN by the scale then.
        freedom = self.freedom.nan_to_num(1.0)
        scale = torch.where(self.freedom.isnan(), self.freedom, self.scale)
        return distributions.StudentT(freedom, self.location, scale, validate_args=False)

    def point(self) -> Tensor:
        return self.location

    def affine(self, location: Tensor, scale: Tensor) -> StudentT:
        moved = location + scale * self.location
        return replace(self, location=moved, scale=scale * self.scale)

    def quantiles(self, levels: Tensor) -> Tensor:
        from scipy.special import stdtrit  # imported late: it takes a second to load

        z = stdtrit(_numpy(self.freedom), _numpy(along(levels, self.freedom)))
        return self.location + self.scale * torch.from_numpy(z).to(self.location)

    @torch.no_grad()
    def crps(self, target: Tensor) -> Tensor:
        """σ(z(2F(z) − 1) + 2f(z)(ν + z²)/(ν − 1) − 2√ν/(ν − 1) B(½, ν − ½)/B(½, ν/2)²).

        Without a gradient (Jordan, Krüger & Lerch 2019, appendix A).
        """
        from scipy.special import betaln, stdtr

        nu, z = self.freedom.double(), ((target - self.location) / self.scale).double()
        cdf = torch.from_numpy(stdtr(_numpy(nu), _numpy(z))).to(z)
        unit = StudentT(freedom=nu, location=torch.zeros_like(nu), scale=torch.ones_like(nu))
        density = (-unit.loss(z)).exp()
        log_ratio = betaln(0.5, _numpy(nu) - 0.5) - 2 * betaln(0.5, _numpy(nu) / 2)
        apart = 2 * nu.sqrt() / (nu - 1) * torch.from_numpy(log_ratio).to(z).exp()
        crps = z * (2 * cdf - 1) + 2 * density * (nu + z.square()) / (nu - 1) - apart
        return self.scale * crps.to(self.scale.dtype)


@dataclass(kw_only=True)
class NegativeBinomial(Likelihood):
    """Counts of a mean μ and a variance μ + αμ².

    P(k) = Γ(k + r)/(k! Γ(r)) (r/(r + μ))^r (μ/(r + μ))^k with r = 1/α (Salinas et al. 2020,
    section 3.1).

    Attributes:
        mean: μ, (shape).
        dispersion: α, (shape).
    """

    mean: Tensor
    dispersion: Tensor

    def distribution(self) -> distributions.NegativeBinomial:
        return distributions.NegativeBinomial(
            1 / self.dispersion, logits=(self.mean * self.dispersion).log(), validate_args=False
        )

    def point(self) -> Tensor:
        return self.mean

    def affine(self, location: Tensor, scale: Tensor) -> NegativeBinomial:
        """Scales the mean; the dispersion, a share of the mean, stays.

        Raises:
            InputError: a location other than 0, which would make counts negative.
        """
        if bool((location != 0).any()):
            raise InputError(
                "the negative binomial distribution can be scaled but not moved; use a normaliser "
                "without a location (mean or none)"
            )
        return replace(self, mean=self.mean * scale)

    def quantiles(self, levels: Tensor) -> Tensor:
        """The smallest counts k with P(≤ k) ≥ level."""
        from scipy.special import betainc, nbdtrik

        r = 1 / _numpy(self.dispersion)
        share, level = r / (r + _numpy(self.mean)), _numpy(along(levels, self.mean))
        # The solution over the real numbers, rounded up; where rounding erred, one less.
        count = np.ceil(nbdtrik(level, r, share))
        below = np.maximum(count - 1, 0)
        count = np.where(betainc(r, below + 1, share) >= level, below, count)
        return torch.from_numpy(count).to(self.mean)


def _numpy(values: Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    return values.detach().cpu().double().numpy()
