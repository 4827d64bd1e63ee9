"""A kernel of `additive_scores`: vᵀ tanh(q + k) without a tanh, and without saving the pairs.

tanh(q + k) = 1 − 2r with r = 1 / (1 + e^{2q} e^{2k}). The exponentials of the keys are computed
once, so that each pair costs a product and a reciprocal instead of a tanh, which takes a CPU ten
times as long. The backward pass computes r again, query by query in one buffer, instead of saving
batch · queries · time · size numbers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqlab.nn.kernels.once import differentiable_once

# e^±86 is still a normal float32. Nothing is lost unless a projection leaves ±43, where tanh has
# long been ±1.
BOUND = 43.0


def exponentials(projected: Tensor) -> Tensor:
    """e^{2x}, the factor that a projection contributes to the score; without gradient."""
    wide = projected.detach().to(torch.promote_types(projected.dtype, torch.float32))
    return wide.clamp(-BOUND, BOUND).mul_(2).exp_()


def applies(query: Tensor, keys: Tensor, vector: Tensor, factors: Tensor | None) -> bool:
    """Where the factors are there."""
    return factors is not None


def run(query: Tensor, keys: Tensor, vector: Tensor, factors: Tensor) -> Tensor:
    """What `additive_scores` returns."""
    with torch.autocast(query.device.type, enabled=False):
        dtype = factors.dtype
        return _AdditiveScores.apply(query.to(dtype), keys.to(dtype), factors, vector.to(dtype))


def reciprocals(query_factors: Tensor, factors: Tensor, out: Tensor) -> Tensor:
    """The ratio r of one query a row: (batch, size) and (batch, time, size) into `out`."""
    one = factors.new_ones(())
    return torch.addcmul(one, factors, query_factors[:, None], out=out).reciprocal_()


def step_backward(
    gradient: Tensor,
    *,
    buffer: Tensor,
    query_factors: Tensor,
    factors: Tensor,
    key_sum: Tensor,
    vector_sum: Tensor,
    out: Tensor,
) -> None:
    """The gradient of one query a row, before the factor 4v; adds to the sums for keys and v.

    ∂(−2vr)/∂q = 4v · r(1 − r), and the same for k.

    Args:
        gradient: (batch, 1, time) of the scores.
        buffer: (batch, time, size) scratch.
        query_factors: (batch, size) e^{2q}.
        factors: (batch, time, size) e^{2k}.
        key_sum: (batch, time, size); gains gradient · r(1 − r).
        vector_sum: (size,); gains Σ gradient · r.
        out: (batch, 1, size) receives the query's.
    """
    ratio = reciprocals(query_factors, factors, buffer)
    vector_sum.addmv_(ratio.flatten(0, 1).T, gradient.flatten())
    slope = ratio.addcmul_(ratio, ratio, value=-1)
    key_sum.addcmul_(gradient.mT, slope)
    torch.bmm(gradient, slope, out=out)


class _AdditiveScores(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, keys: Tensor, factors: Tensor, vector: Tensor) -> Tensor:
        query_factors = exponentials(query)
        ctx.save_for_backward(query_factors, factors, vector)
        buffer = torch.empty_like(factors)
        weights = vector * -2
        steps = [reciprocals(step, factors, buffer) @ weights for step in query_factors.unbind(1)]
        return torch.stack(steps, 1) + vector.sum()

    @staticmethod
    @differentiable_once
    def backward(  # type: ignore[override]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor, Tensor, None, Tensor]:
        (gradient,) = gradients
        query_factors, factors, vector = ctx.saved_tensors
        buffer, key_sum = torch.empty_like(factors), torch.zeros_like(factors)
        vector_sum = torch.zeros_like(vector)
        steps = query_factors.unbind(1)
        by_query = query_factors.new_empty(len(steps), len(factors), 1, factors.shape[-1])
        for part, step, out in zip(gradient.unbind(1), steps, by_query.unbind(0), strict=True):
            step_backward(
                part[:, None],
                buffer=buffer,
                query_factors=step,
                factors=factors,
                key_sum=key_sum,
                vector_sum=vector_sum,
                out=out,
            )
        scale = vector * 4
        by_vector = vector_sum * -2 + gradient.sum()
        return by_query[:, :, 0].transpose(0, 1) * scale, key_sum * scale, None, by_vector
