"""Time reversal whose gradient is the same gather, several times faster than autograd's scatter."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def run(states: Tensor, rows: Tensor) -> Tensor:
    """Gathers rows of (time, batch, feature) by a permutation that is its own inverse."""
    return _Permuted.apply(states, rows)  # type: ignore[return-value]


class _Permuted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        return states.reshape(len(rows), -1).index_select(0, rows).view(states.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        return run(gradients[0], rows), None
