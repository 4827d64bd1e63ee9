"""The frame of a window: between the units of a series and what a network reads and writes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seqlab.data.baselines import last_value, seasonal
from seqlab.errors import InputError
from seqlab.nn.distributions import Forecast, LogForecast
from seqlab.nn.scaling import Normaliser


@dataclass
class Frame:
    """A forecast y of a window is read and written as (f(y) − base) / scale.

    f is the logarithm or nothing. The base is the window's location, or with differencing the
    (seasonal) naive forecast, as the lagged differences to be added up from there sum to the
    distance from it.

    Attributes:
        base: (batch, 1 or horizon, channel).
        scale: (batch, 1, channel), positive.
        log: f is the logarithm.
    """

    base: Tensor
    scale: Tensor
    log: bool = False

    def scaled(self, targets: Tensor) -> Tensor:
        """From the units of the series, (batch, horizon, channel)."""
        return ((targets.log() if self.log else targets) - self.base) / self.scale

    def undo(self, values: Tensor) -> Tensor:
        """Back to the units of the series, (…, batch, horizon, channel)."""
        values = self.base + self.scale * values
        return values.exp() if self.log else values

    def in_units(self, forecast: Forecast) -> Forecast:
        """A forecast in the frame as one in the units of the series."""
        moved = forecast.affine(self.base, self.scale)
        return LogForecast(logarithm=moved) if self.log else moved


@dataclass
class History:
    """What a network reads of a window's values.

    Attributes:
        values: (batch, time, channel) in the window's frame, 0 where missing or padded.
        observed: (batch, time, channel), false where missing or padded.
        lengths: (batch,) valid positions.
        before: (batch, channel) the value before the first step, in the frame of the forecast.
    """

    values: Tensor
    observed: Tensor
    lengths: Tensor
    before: Tensor


def frame_window(
    values: Tensor,
    lengths: Tensor,
    *,
    normaliser: Normaliser,
    horizon: int,
    log: bool,
    difference: int,
) -> tuple[Frame, History]:
    """Finds a window's frame from its past alone, and puts the past into it.

    Args:
        values: (batch, time, channel) in units, NaN where missing, padded behind; in float64, so
            that differences of large values stay.
        lengths: (batch,) valid positions.
        normaliser: finds location and scale.
        horizon: steps to forecast.
        log: take logarithms first.
        difference: then differences of this lag; 0 for none. The history loses as many positions.

    Raises:
        InputError: a history no longer than the lag.
    """
    if log:
        values = values.log()
    forecast_from, kept, size = values, lengths, None
    if difference:
        if bool((lengths <= difference).any()):
            raise InputError(
                f"task.difference={difference} leaves nothing of a history of "
                f"{int(lengths.min())} values; raise data.min_window (or data.window), or lower it"
            )
        values = values[:, difference:] - values[:, :-difference]
        kept = lengths - difference
        size = forecast_from.abs().nan_to_num(0.0).amax(dim=1, keepdim=True)
    steps = torch.arange(values.shape[1], device=values.device)
    observed = (steps < kept[:, None])[..., None] & values.isfinite()
    location, scale = normaliser(values, observed, size)
    if difference:
        location = torch.zeros_like(location)
        base = seasonal(forecast_from, lengths, horizon, difference)
        base = base.nan_to_num(0.0)
        before = torch.zeros_like(scale[:, 0])
    else:
        base = location
        before = ((last_value(values, kept)[:, None] - base) / scale)[:, 0].nan_to_num(0.0)
    scaled = ((values - location) / scale).masked_fill(~observed, 0.0)
    return Frame(base, scale, log), History(scaled, observed, kept, before)
