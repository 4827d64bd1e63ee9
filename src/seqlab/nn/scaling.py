"""Normalisers: location and scale of a window, from its past alone."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

# A scale below this share of the values' size is rounding, not variation.
ROUNDING = {torch.float64: 1e-12}
ROUNDING_OF_SINGLE = 1e-6


class Normaliser(nn.Module, ABC):
    """`(history, observed) → (location, scale)`; the network reads (history − location) / scale.

    Scaling or shifting a series scales or shifts its location, and scales its scale, so that the
    network reads the same. Where the past is constant and has no scale, the scale is 1.

    Attributes:
        shifts: the location may differ from 0.
    """

    shifts: bool = True

    def forward(
        self,
        history: Float[Tensor, "batch time channel"],
        observed: Bool[Tensor, "batch time channel"],
        size: Float[Tensor, "batch 1 channel"] | None = None,
    ) -> tuple[Float[Tensor, "batch 1 channel"], Float[Tensor, "batch 1 channel"]]:
        """Finds location and scale of each window and channel.

        Args:
            history: the past; whatever where not observed.
            observed: false where padded or missing.
            size: how large the values were that the history is differences of; the location's
                size if None.
        """
        location, scale = self.statistics(history.masked_fill(~observed, torch.nan))
        location, scale = location.nan_to_num(0.0), scale.nan_to_num(0.0)
        size = location.abs() if size is None else torch.maximum(size, location.abs())
        flat = scale <= ROUNDING.get(scale.dtype, ROUNDING_OF_SINGLE) * size
        return location, torch.where(flat, torch.ones_like(scale), scale)

    @abstractmethod
    def statistics(
        self, history: Float[Tensor, "batch time channel"]
    ) -> tuple[Float[Tensor, "batch 1 channel"], Float[Tensor, "batch 1 channel"]]:
        """Location and scale over time, leaving out NaN; a scale of 0 or NaN stands for none."""


class NoScaling(Normaliser):
    """Location 0, scale 1: the values as they are."""

    shifts = False

    def statistics(self, history: Tensor) -> tuple[Tensor, Tensor]:
        zeros = torch.zeros_like(history[:, :1])
        return zeros, zeros + 1


class StandardScaling(Normaliser):
    """The mean and the standard deviation."""

    def statistics(self, history: Tensor) -> tuple[Tensor, Tensor]:
        mean = history.nanmean(dim=1, keepdim=True)
        return mean, (history - mean).square().nanmean(dim=1, keepdim=True).sqrt()


class RobustScaling(Normaliser):
    """The median, and the distance between the quartiles."""

    def statistics(self, history: Tensor) -> tuple[Tensor, Tensor]:
        levels = history.new_tensor([0.25, 0.5, 0.75])
        low, middle, high = history.nanquantile(levels, dim=1, keepdim=True)
        return middle, high - low


class MeanScaling(Normaliser):
    """Location 0, and the mean absolute value as scale (Salinas et al. 2020, section 3.3)."""

    shifts = False

    def statistics(self, history: Tensor) -> tuple[Tensor, Tensor]:
        scale = history.abs().nanmean(dim=1, keepdim=True)
        return torch.zeros_like(scale), scale


class LastValueScaling(Normaliser):
    """The last observed value, and the root mean square distance from it.

    The location is that of NLinear (Zeng et al. 2023, section 4).
    """

    def statistics(self, history: Tensor) -> tuple[Tensor, Tensor]:
        steps = torch.arange(history.shape[1], device=history.device)[:, None]
        place = torch.where(history.isnan(), -1, steps).amax(dim=1, keepdim=True)
        last = history.gather(1, place.clamp(min=0))
        return last, (history - last).square().nanmean(dim=1, keepdim=True).sqrt()


NORMALISERS: dict[str, type[Normaliser]] = {
    "none": NoScaling,
    "standard": StandardScaling,
    "robust": RobustScaling,
    "mean": MeanScaling,
    "last": LastValueScaling,
}


class ReversibleAffine(nn.Module):
    """z ↦ γz + β by channel, and back: the learned part of RevIN (Kim et al. 2022, section 3.2).

    γ = exp(log γ) stays positive, so that the way back keeps quantiles in order.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_gain = nn.Parameter(torch.zeros(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(
        self, values: Float[Tensor, "batch time channel"]
    ) -> Float[Tensor, "batch time channel"]:
        return values * self.log_gain.exp() + self.shift

    def inverse(self) -> tuple[Float[Tensor, " channel"], Float[Tensor, " channel"]]:
        """Location and scale that undo it: z = location + scale · output."""
        scale = (-self.log_gain).exp()
        return -self.shift * scale, scale
