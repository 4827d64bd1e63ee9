"""Forecasts of counts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seqlab.errors import InputError
from seqlab.nn.distributions import Forecast, drawable

# Counts whose probabilities are summed at once, and the largest count looked at.
BLOCK = 64
LARGEST = 1 << 20


@dataclass(kw_only=True)
class NegativeBinomial(Forecast):
    """Counts of a mean μ and a variance μ + αμ²; the loss is the negative log-likelihood.

    P(k) = Γ(k + r)/(k! Γ(r)) (r/(r + μ))^r (μ/(r + μ))^k with r = 1/α (Salinas et al. 2020,
    section 3.1).

    Attributes:
        mean: μ, (shape).
        dispersion: α, (shape).
    """

    mean: Tensor
    dispersion: Tensor

    def point(self) -> Tensor:
        return self.mean

    def loss(self, target: Tensor) -> Tensor:
        return -self.log_probability(target)

    def log_probability(self, count: Tensor) -> Tensor:
        """The logarithm of P(count), broadcast."""
        r = 1 / self.dispersion
        total = torch.log(r + self.mean)
        return (
            torch.lgamma(count + r)
            - torch.lgamma(count + 1)
            - torch.lgamma(r)
            + r * (r.log() - total)
            + count * (self.mean.log() - total)
        )

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
        return NegativeBinomial(mean=self.mean * scale, dispersion=self.dispersion)

    def quantiles(self, levels: Tensor) -> Tensor:
        """The smallest counts k with P(≤ k) ≥ level."""
        exact = NegativeBinomial(mean=self.mean.double(), dispersion=self.dispersion.double())
        wanted = levels.double().view(-1, *(1 for _ in self.mean.shape))
        found = torch.zeros(len(levels), *self.mean.shape, dtype=torch.float64)
        found = found.to(self.mean.device)
        below = torch.zeros_like(exact.mean)
        for start in range(0, LARGEST, BLOCK):
            counts = torch.arange(start, start + BLOCK, device=below.device, dtype=below.dtype)
            log_probability = NegativeBinomial(
                mean=exact.mean[..., None], dispersion=exact.dispersion[..., None]
            ).log_probability(counts)
            cumulative = below[..., None] + log_probability.exp().cumsum(dim=-1)
            found += (cumulative < wanted[..., None]).sum(dim=-1)
            below = cumulative[..., -1]
            if bool((below >= wanted.amax()).all()):
                break
        return found.to(self.mean.dtype)

    def sample(self, count: int) -> Tensor:
        """A Poisson draw whose rate is gamma distributed."""
        shape, rate, known = drawable(1 / self.dispersion, 1 / (self.mean * self.dispersion))
        gamma = torch.distributions.Gamma(shape, rate).sample(torch.Size([count]))
        return torch.poisson(gamma).where(known, torch.nan)
