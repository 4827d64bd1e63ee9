"""A batch: what a network reads and what it is measured by."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch
from torch import Tensor

IGNORED = -100
"""The target of a position that is not scored; `cross_entropy` leaves it out by default."""


@dataclass
class Batch:
    """Sequences of like length, padded to the longest of them.

    Attributes:
        inputs: (batch, time) token ids, 0 where padded, or (batch, time, feature) values.
        lengths: (batch,) number of valid positions, at least 1.
        targets: by family; (batch,) class ids for classification, (batch, time) tags for tagging,
            `IGNORED` where padded or not scored, (batch, horizon, channel) values for forecasting,
            NaN where missing.
        evidence: (batch, time), true where the generator knows that a position decides the answer.
        target_lengths: (batch,) tokens of each target sequence, its end token among them; None
            where targets are no sequences of their own.
        alignment: (batch, target time, sources) the positions of the inputs that each target token
            comes from, −1 for none, where the generator knows them.
        share: this device's share of the global batch times the number of devices: 1 on one
            device. The loss is scaled by it, so that the mean of the devices' gradients is the
            gradient of the whole batch even when they hold unequal weights.
        group_share: the global batch's share of the batches whose gradients are accumulated,
            times their number: 1 without accumulation. The loss in training is scaled by it too,
            so that the accumulated gradient is that of one large batch.
        context: what surrounds the window of a series; None for other families.
        indices: (batch,) which of the split's examples these are; None for a batch made by hand.
    """

    inputs: Tensor
    lengths: Tensor
    targets: Tensor
    evidence: Tensor | None = None
    target_lengths: Tensor | None = None
    alignment: Tensor | None = None
    share: float = 1.0
    group_share: float = 1.0
    context: SeriesContext | None = None
    indices: Tensor | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def weight(self) -> Tensor | int:
        """What the mean loss of the batch is divided by: the sum of its `loss_weights`."""
        return loss_weights(self.targets).sum() if self.targets.is_floating_point() else len(self)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        return _moved(self, device, non_blocking)


def loss_weights(targets: Tensor) -> Tensor:
    """How much each example counts in a mean loss.

    Args:
        targets: as in `Batch`.

    Returns:
        (batch,) how many values are not missing where targets are real; else 1.
    """
    if not targets.is_floating_point():
        return torch.ones(len(targets))
    return (~targets.isnan()).flatten(1).sum(1)


@dataclass
class SeriesContext:
    """What a forecaster is told about a window of a series beside its history.

    Attributes:
        series: (batch,) which series the window is cut from.
        age: (batch,) number of the series' values before the forecast, in or before the window.
        first: (batch, channel) the series' first observed value.
        naive_error: (batch, channel) mean absolute in-sample error of the seasonal naive forecast
            before the split, which scales MASE; 0 where the series is constant.
        naive_square: (batch, channel) its mean square, which scales RMSSE.
        deviation: (batch, channel) standard deviation of the series before the split.
        season: (batch, horizon, channel) the seasonal naive forecast: for each step the last value
            observed a whole number of seasons before, in or before the window; NaN where there is
            none. None for series without a season.
        future: (batch, horizon, covariate) covariates known for the future.
        static: (batch, covariate) what never changes about the series.
    """

    series: Tensor
    age: Tensor
    first: Tensor
    naive_error: Tensor
    naive_square: Tensor
    deviation: Tensor
    season: Tensor | None = None
    future: Tensor | None = None
    static: Tensor | None = None

    def to(self, device: torch.device | str, non_blocking: bool = False) -> SeriesContext:
        return _moved(self, device, non_blocking)


T = TypeVar("T", Batch, SeriesContext)


def _moved(record: T, device: torch.device | str, non_blocking: bool) -> T:
    """Moves each of the record's tensors to the device."""
    moved = {
        field.name: value.to(device, non_blocking=non_blocking)
        for field in fields(record)
        if isinstance(value := getattr(record, field.name), (Tensor, SeriesContext))
    }
    return replace(record, **moved)
