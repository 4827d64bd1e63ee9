"""Coverage: what a decoder has attended to so far (See et al. 2017, section 2.3)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seqlab.nn.attention.additive_score import key_factors
from seqlab.nn.attention.attention import Prepared


def shift_by_coverage(
    prepared: Prepared, coverage: Float[Tensor, "batch time"], weight: Float[Tensor, " size"]
) -> Prepared:
    """Shifts each key by the weight that it has had: k_i + w Σ_{t'<t} α_{t',i}.

    For additive attention that is equation 11: v · tanh(W s + U k_i + w c_i).

    Args:
        prepared: the keys.
        coverage: Σ_{t'<t} α_{t',i}.
        weight: w, of all heads.
    """
    keys = prepared.keys
    if keys.ndim == 4:  # heads
        shifted = keys + coverage[:, None, :, None] * weight.view(keys.shape[1], 1, -1)
    else:
        shifted = keys + coverage[..., None] * weight
    factors = None if prepared.factors is None else key_factors(shifted)
    return Prepared(shifted, prepared.values, factors)


def coverage_loss(
    weights: Float[Tensor, "batch steps time"], mask: Bool[Tensor, "batch steps"]
) -> Float[Tensor, " batch"]:
    """Mean over each sequence's valid steps of Σ_i min(α_{t,i}, Σ_{t'<t} α_{t',i}).

    Equation 12 of See et al. 2017.

    Attending twice to the same position costs; attending to a new one is free.
    """
    coverage = weights.cumsum(1) - weights
    steps = torch.minimum(weights, coverage).sum(-1).masked_fill(~mask, 0.0)
    return steps.sum(1) / mask.sum(1)
