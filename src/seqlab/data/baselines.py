"""Forecasts that need no training: what a model must beat."""

from __future__ import annotations

import torch
from torch import Tensor

from seqlab.data.batch import Batch
from seqlab.data.spec import SeriesSpec
from seqlab.errors import InputError


def last_value(history: Tensor, lengths: Tensor) -> Tensor:
    """Finds the last value that is not missing.

    Args:
        history: (batch, time, channel), NaN where missing, padded behind.
        lengths: (batch,) valid positions.

    Returns:
        (batch, channel); NaN where all are missing.
    """
    observed = ~history.isnan() & _valid(history, lengths)
    steps = torch.arange(history.shape[1], device=history.device)[:, None]
    place = torch.where(observed, steps, -1).amax(dim=1)
    found = history.gather(1, place.clamp(min=0)[:, None]).squeeze(1)
    return torch.where(place >= 0, found, torch.nan)


def naive(history: Tensor, lengths: Tensor, horizon: int) -> Tensor:
    """Forecasts the last value: y_{t+h} = y_t, (batch, horizon, channel)."""
    return last_value(history, lengths)[:, None].expand(-1, horizon, -1)


def seasonal(history: Tensor, lengths: Tensor, horizon: int, period: int) -> Tensor:
    """Goes on from the last season of a window: y_{t+h−m⌈h/m⌉}, (batch, horizon, channel).

    Where the window holds no whole season, or the value is missing, it is the last value: a point
    to count differences from. The seasonal naive forecast, which is measured as a baseline, looks
    at the whole past: `SeriesContext.season`.
    """
    place = lengths[:, None] - period + torch.arange(horizon, device=history.device) % period
    index = place.clamp(min=0)[..., None].expand(-1, -1, history.shape[2])
    found = history.gather(1, index)
    usable = (place >= 0)[..., None] & ~found.isnan()
    return torch.where(usable, found, naive(history, lengths, horizon))


def drift(history: Tensor, lengths: Tensor, horizon: int, *, first: Tensor, age: Tensor) -> Tensor:
    """Goes on along the line from the first to the last value: y_t + h (y_t − y_1)/(t − 1).

    Args:
        history: (batch, time, channel).
        lengths: (batch,) valid positions.
        horizon: steps to forecast.
        first: (batch, channel) the first value of the whole past, which may precede the window.
        age: (batch,) number of values in the whole past.
    """
    last = last_value(history, lengths)
    slope = (last - first) / (age - 1).clamp(min=1)[:, None]
    steps = torch.arange(1, horizon + 1, device=history.device)[:, None]
    return last[:, None] + steps * slope[:, None]


def moving_average(history: Tensor, lengths: Tensor, horizon: int) -> Tensor:
    """Forecasts the mean of the window, (batch, horizon, channel)."""
    seen = torch.where(_valid(history, lengths), history, torch.nan)
    return seen.nanmean(dim=1)[:, None].expand(-1, horizon, -1)


def baselines(batch: Batch, spec: SeriesSpec) -> dict[str, Tensor]:
    """All baselines that fit the series, on a batch's windows.

    "drift_seasonal" is the seasonal naive forecast plus the drift's rise above the last value.

    Returns:
        forecasts (batch, horizon, channel) by name, NaN where there is nothing to forecast from;
        none for sequence regression.
    """
    if not spec.autoregressive:
        return {}
    if batch.context is None:
        raise InputError("baselines need the windows' context; take the batch from a series split")
    history = batch.inputs[..., : batch.targets.shape[-1]]
    lengths, horizon = batch.lengths, spec.horizon
    straight = drift(history, lengths, horizon, first=batch.context.first, age=batch.context.age)
    persisted = naive(history, lengths, horizon)
    found = {
        "naive": persisted,
        "drift": straight,
        "moving_average": moving_average(history, lengths, horizon),
    }
    if batch.context.season is not None:
        found["seasonal"] = batch.context.season
        found["drift_seasonal"] = found["seasonal"] + straight - persisted
    return found


def _valid(history: Tensor, lengths: Tensor) -> Tensor:
    steps = torch.arange(history.shape[1], device=history.device)
    return (steps < lengths[:, None])[..., None]
