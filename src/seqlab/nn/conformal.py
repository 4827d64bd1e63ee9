"""Intervals that hold what they promise: conformal calibration on held-out errors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqlab.errors import ArgumentError


class Conformal(nn.Module):
    """Widens (or narrows) intervals by what held-out values missed them by.

    The score of a held-out value y is max(lower − y, y − upper); the margin is the ⌈(n + 1)p⌉-th
    smallest of n scores, by step of the horizon and channel (Romano et al. 2019, algorithm 1; of a
    point forecast, lower = upper, it is the split conformal interval of Lei et al. 2018). The
    promise of coverage p supposes that held-out and later errors are exchangeable. With fewer than
    p/(1 − p) of them the largest score stands in, and there is no promise.

    Args:
        probabilities: the intervals' coverage p.
        horizon: steps.
        channels: values forecast together.

    Raises:
        InputError: a probability that is not between 0 and 1.
    """

    probabilities: Tensor
    margins: Tensor

    def __init__(self, probabilities: Sequence[float], *, horizon: int, channels: int) -> None:
        super().__init__()
        if not probabilities or not all(0 < p < 1 for p in probabilities):
            rule = "must be probabilities between 0 and 1"
            raise ArgumentError("intervals", list(probabilities), rule)
        given = torch.tensor(tuple(probabilities), dtype=torch.float64)
        self.register_buffer("probabilities", given, persistent=False)
        # NaN: not calibrated yet.
        shape = (len(probabilities), horizon, channels)
        margins = torch.full(shape, torch.nan, dtype=torch.float64)
        self.register_buffer("margins", margins)

    @property
    def levels(self) -> Tensor:
        """Levels of the lower and the upper quantiles, (2 · interval,)."""
        tail = (1 - self.probabilities) / 2
        return torch.cat([tail, 1 - tail])

    @staticmethod
    def scores(
        lower: Float[Tensor, "interval batch horizon channel"],
        upper: Float[Tensor, "interval batch horizon channel"],
        target: Float[Tensor, "batch horizon channel"],
    ) -> Float[Tensor, "interval batch horizon channel"]:
        """By how much each value lies outside; negative inside, NaN where missing.

        Infinitely where a bound is not a number.
        """
        outside = torch.maximum(lower - target, target - upper)
        return torch.where(outside.isnan() & ~target.isnan(), torch.inf, outside)

    def fit(self, scores: Float[Tensor, "interval batch horizon channel"]) -> None:
        """Sets the margins from the scores of all held-out windows."""
        ordered = scores.sort(dim=1).values  # NaN last
        count = (~scores.isnan()).sum(dim=1, keepdim=True)
        wanted = ((count + 1) * self.probabilities.view(-1, 1, 1, 1)).ceil().long()
        place = torch.minimum(wanted, count).clamp(min=1) - 1
        self.margins.copy_(ordered.gather(1, place).squeeze(1))

    def forward(
        self,
        lower: Float[Tensor, "interval batch horizon channel"],
        upper: Float[Tensor, "interval batch horizon channel"],
    ) -> tuple[Tensor, Tensor]:
        """Moves both bounds outward by the margins; crossing bounds meet in the middle."""
        margins = self.margins[:, None]
        lower, upper = lower - margins, upper + margins
        middle, crossed = (lower + upper) / 2, lower > upper
        return torch.where(crossed, middle, lower), torch.where(crossed, middle, upper)
