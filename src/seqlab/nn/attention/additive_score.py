"""The score of additive attention."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from seqlab.nn.kernel_table import kernel_of


def additive_scores(
    query: Float[Tensor, "batch queries size"],
    keys: Float[Tensor, "batch time size"],
    vector: Float[Tensor, " size"],
    factors: Float[Tensor, "batch time size"] | None = None,
) -> Float[Tensor, "batch queries time"]:
    """vᵀ tanh(q + k) for all pairs of queries and keys.

    Args:
        query: projected queries.
        keys: projected keys.
        vector: v.
        factors: `key_factors(keys)`, for the kernel.
    """
    kernel = kernel_of(additive_scores, query, keys, vector, factors)
    if kernel is not None:
        return kernel(query, keys, vector, factors)
    return torch.tanh(query[:, :, None] + keys[:, None]) @ vector


def key_factors(
    keys: Float[Tensor, "batch time size"],
) -> Float[Tensor, "batch time size"] | None:
    """What the kernel of `additive_scores` needs of the keys once; None without a kernel."""
    kernel = kernel_of(key_factors, keys)
    return None if kernel is None else kernel(keys)
