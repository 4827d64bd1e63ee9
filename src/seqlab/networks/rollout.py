"""Runs a stepwise decoder over the horizon: forced, on its own, or along sampled paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from seqlab.nn.horizon import StepwiseHorizon


class Look(NamedTuple):
    """What a decoder starts from.

    Attributes:
        states: (batch, time, size) what was read of the history.
        mask: (batch, time) its valid positions.
        summary: (batch, size) the pooled states.
        before: (batch, channel) the value before the first step.
        future: (batch, horizon, covariate) or None.
    """

    states: Tensor
    mask: Tensor
    summary: Tensor
    before: Tensor
    future: Tensor | None

    def paths(self, count: int) -> Look:
        """The same with `count` paths a window in a row, which share what was read."""
        future = None if self.future is None else self.future.repeat_interleave(count, dim=0)
        return self._replace(
            summary=self.summary.repeat_interleave(count, dim=0),
            before=self.before.repeat_interleave(count, dim=0),
            future=future,
        )


def forced(decoder: StepwiseHorizon, look: Look, truth: Tensor) -> tuple[Tensor, Tensor | None]:
    """All steps in one pass, each reading the true value before it.

    Args:
        decoder: writes the horizon.
        look: what it starts from.
        truth: (batch, horizon, channel) in the frame.

    Returns:
        raw numbers (batch, horizon, outputs), and the attention's weights or None.
    """
    before = torch.cat([look.before[:, None], truth[:, :-1]], dim=1)
    before = before.to(decoder.output.weight.dtype)
    keys = decoder.attention.prepare(look.states) if decoder.attention else None
    return decoder(before, look.future, decoder.start(look.summary), keys, look.mask)


def free(
    decoder: StepwiseHorizon,
    look: Look,
    *,
    horizon: int,
    feed: Callable[[Tensor], Tensor],
    truth: Tensor | None = None,
    forcing: float = 0.0,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Step by step, each reading what the one before wrote, or by chance the truth.

    Args:
        decoder: writes the horizon.
        look: what it starts from.
        horizon: steps.
        feed: from a step's raw numbers (batch, outputs) to the value (batch, channel) to go on
            from, in the frame.
        truth: (batch, horizon, channel) in the frame, NaN where missing.
        forcing: probability of reading the truth, for each window and step by itself (Bengio et
            al. 2015); a missing value is never read.

    Returns:
        raw numbers (batch, horizon, outputs), the attention's weights or None, and the values
        (batch, horizon, channel) that were written.
    """
    keys = decoder.attention.prepare(look.states) if decoder.attention else None
    state: tuple[Tensor, ...] = decoder.start(look.summary)
    before, dtype = look.before, decoder.output.weight.dtype
    raws, values, weights = [], [], []
    for step in range(horizon):
        future = None if look.future is None else look.future[:, step]
        raw, weight, state = decoder.step(before.to(dtype), future, state, keys, look.mask)
        before = feed(raw)
        raws.append(raw)
        values.append(before)
        weights.append(weight)
        if truth is not None and forcing > 0:
            true = truth[:, step]
            chance = torch.rand(len(true), 1, device=true.device) < forcing
            before = torch.where(chance & true.isfinite(), true.nan_to_num(0.0), before)
    looked = None if weights[0] is None else torch.stack(weights, dim=1)
    return torch.stack(raws, dim=1), looked, torch.stack(values, dim=1)
