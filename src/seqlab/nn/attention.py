"""Attention: one signature, `(query, keys, mask) → (context, weights)`, five ways to score."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from seqlab.errors import InputError, check_at_least


class Attention(nn.Module, ABC):
    """Weighs keys by how well they answer a query, and returns their weighted sum.

    Weights are at least 0, sum to 1 over the valid positions, and are exactly 0 elsewhere.

    Args:
        query_size: features of the queries.
        key_size: features of the keys.
    """

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__()
        self.query_size = query_size
        self.key_size = key_size

    @abstractmethod
    def forward(
        self,
        query: Float[Tensor, "batch queries query_size"],
        keys: Float[Tensor, "batch time key_size"],
        mask: Bool[Tensor, "batch #queries time"],
    ) -> tuple[Float[Tensor, "batch queries key_size"], Float[Tensor, "batch queries time"]]:
        """Attends.

        Args:
            query: what is looked for.
            keys: what is looked through, and summed.
            mask: true where a query may look; one row may serve all queries.

        Returns:
            context, the weighted sums of the keys; and weights, averaged over heads.

        Raises:
            InputError: a row of the mask allows no position.
        """


class AdditiveAttention(Attention):
    """score = vᵀ tanh(W q + U k) (Bahdanau et al. 2015, appendix A.1.2).

    Args:
        attention_size: features of the hidden layer; those of the keys if None.
    """

    def __init__(self, query_size: int, key_size: int, *, attention_size: int | None = None):
        super().__init__(query_size, key_size)
        size = key_size if attention_size is None else attention_size
        check_at_least("attention_size", size)
        self.project_query = nn.Linear(query_size, size, bias=False)
        self.project_key = nn.Linear(key_size, size)
        self.score = nn.Linear(size, 1, bias=False)

    def forward(
        self,
        query: Float[Tensor, "batch queries query_size"],
        keys: Float[Tensor, "batch time key_size"],
        mask: Bool[Tensor, "batch #queries time"],
    ) -> tuple[Float[Tensor, "batch queries key_size"], Float[Tensor, "batch queries time"]]:
        hidden = self.project_query(query)[:, :, None] + self.project_key(keys)[:, None]
        return _attend(self.score(torch.tanh(hidden)).squeeze(-1), keys, mask)


class GeneralAttention(Attention):
    """score = qᵀ W k (Luong et al. 2015, section 3.1)."""

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__(query_size, key_size)
        self.project_query = nn.Linear(query_size, key_size, bias=False)

    def forward(
        self,
        query: Float[Tensor, "batch queries query_size"],
        keys: Float[Tensor, "batch time key_size"],
        mask: Bool[Tensor, "batch #queries time"],
    ) -> tuple[Float[Tensor, "batch queries key_size"], Float[Tensor, "batch queries time"]]:
        return _attend(self.project_query(query) @ keys.mT, keys, mask)


class DotAttention(Attention):
    """score = qᵀ k (Luong et al. 2015, section 3.1). Query and key must be of one size."""

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__(query_size, key_size)
        _check_equal("dot", query_size, key_size)

    def forward(
        self,
        query: Float[Tensor, "batch queries query_size"],
        keys: Float[Tensor, "batch time key_size"],
        mask: Bool[Tensor, "batch #queries time"],
    ) -> tuple[Float[Tensor, "batch queries key_size"], Float[Tensor, "batch queries time"]]:
        return _attend(query @ keys.mT, keys, mask)


class ScaledDotAttention(Attention):
    """score = qᵀ k / √d (Vaswani et al. 2017, equation 1). Query and key must be of one size."""

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__(query_size, key_size)
        _check_equal("scaled_dot", query_size, key_size)

    def forward(
        self,
        query: Float[Tensor, "batch queries query_size"],
        keys: Float[Tensor, "batch time key_size"],
        mask: Bool[Tensor, "batch #queries time"],
    ) -> tuple[Float[Tensor, "batch queries key_size"], Float[Tensor, "batch queries time"]]:
        return _attend(query @ keys.mT * self.key_size**-0.5, keys, mask)


class MultiheadAttention(Attention):
    """Scaled-dot attention in several projected subspaces (Vaswani et al. 2017, section 3.2.2).

    Args:
        num_heads: how many subspaces; must divide `key_size`.

    Raises:
        InputError: the heads do not divide the width.
    """

    def __init__(self, query_size: int, key_size: int, *, num_heads: int = 4) -> None:
        super().__init__(query_size, key_size)
        check_at_least("num_heads", num_heads)
        if key_size % num_heads:
            divisors = [n for n in range(1, key_size + 1) if key_size % n == 0 and n <= 16]
            raise InputError(
                f"num_heads={num_heads} must divide the width {key_size} of the states it attends "
                f"to; use one of {', '.join(map(str, divisors))}, or another hidden_size"
            )
        self.num_heads = num_heads
        self.project_query = nn.Linear(query_size, key_size)
        self.project_key = nn.Linear(key_size, key_size)
        self.project_value = nn.Linear(key_size, key_size)
        self.project_context = nn.Linear(key_size, key_size)

    def forward(
        self,
        query: Float[Tensor, "batch queries query_size"],
        keys: Float[Tensor, "batch time key_size"],
        mask: Bool[Tensor, "batch #queries time"],
    ) -> tuple[Float[Tensor, "batch queries key_size"], Float[Tensor, "batch queries time"]]:
        query, key, value = (
            projected.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for projected in (
                self.project_query(query),
                self.project_key(keys),
                self.project_value(keys),
            )
        )
        scores = query @ key.mT * key.shape[-1] ** -0.5
        context, weights = _attend(scores, value, mask[:, None])
        context = self.project_context(context.transpose(1, 2).flatten(-2))
        return context, weights.mean(dim=1)


def _attend(scores: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax over the valid positions, then the weighted sum."""
    if not torch.compiler.is_compiling() and not mask.any(dim=-1).all():
        raise InputError(
            "attention has no position to look at in some row: every sequence needs a length of "
            "at least 1"
        )
    weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)
    return weights.to(values.dtype) @ values, weights


def _check_equal(name: str, query_size: int, key_size: int) -> None:
    if query_size != key_size:
        raise InputError(
            f"attention {name} compares query and key feature by feature, but they have "
            f"{query_size} and {key_size} features; use attention general, additive or multihead, "
            "which project, or make the widths equal"
        )
