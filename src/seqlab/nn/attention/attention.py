"""Attention: one signature, `(query, keys, mask) → (context, weights)`, five ways to score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from seqlab.errors import ArgumentError, InputError, check_at_least
from seqlab.nn.attention.additive_score import additive_scores, key_factors


class Prepared(NamedTuple):
    """Keys as an attention compares them, made once for all queries.

    Attributes:
        keys: projected keys, (batch, time, size), or (batch, heads, time, size).
        values: what is summed, likewise.
        factors: what a kernel of the attention computes from the keys alone; None without one.
    """

    keys: Tensor
    values: Tensor
    factors: Tensor | None = None

    def select(self, sequences: Tensor) -> Prepared:
        """The keys of some sequences."""
        factors = None if self.factors is None else self.factors[sequences]
        return Prepared(self.keys[sequences], self.values[sequences], factors)


class Attention(nn.Module, ABC):
    """Weighs keys by how well they answer a query, and returns their weighted sum.

    Weights are at least 0, sum to 1 over the valid positions, and are exactly 0 elsewhere.
    `attention(query, keys, mask)` equals `attention.attend(query, attention.prepare(keys), mask)`;
    a caller with many queries for the same keys prepares them once.

    Args:
        query_size: features of the queries.
        key_size: features of the keys.
    """

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__()
        self.query_size = query_size
        self.key_size = key_size

    def forward(
        self,
        query: Float[Tensor, "batch queries query_size"],
        keys: Float[Tensor, "batch time key_size"],
        mask: Bool[Tensor, "batch _ time"],
    ) -> tuple[Float[Tensor, "batch queries key_size"], Float[Tensor, "batch queries time"]]:
        """Attends.

        Args:
            query: what the keys are compared with.
            keys: what is compared and summed.
            mask: true where a query may attend; one row may serve all queries.

        Returns:
            context, the weighted sums of the keys; and weights, averaged over heads.

        Raises:
            InputError: a row of the mask allows no position.
        """
        check_mask(mask)
        return self.attend(query, self.prepare(keys), mask)

    @abstractmethod
    def prepare(self, keys: Float[Tensor, "batch time key_size"]) -> Prepared:
        """Does once what depends on the keys alone."""

    @abstractmethod
    def attend(
        self,
        query: Float[Tensor, "batch queries query_size"],
        prepared: Prepared,
        mask: Bool[Tensor, "batch _ time"],
    ) -> tuple[Float[Tensor, "batch queries key_size"], Float[Tensor, "batch queries time"]]:
        """Attends to prepared keys; see `forward`, which checks the mask first."""


class AdditiveAttention(Attention):
    """score = vᵀ tanh(W q + U k) (Bahdanau et al. 2015, appendix A.1.2).

    Args:
        attention_size: features of the hidden layer; those of the keys if None.
    """

    def __init__(
        self, query_size: int, key_size: int, *, attention_size: int | None = None
    ) -> None:
        super().__init__(query_size, key_size)
        size = key_size if attention_size is None else attention_size
        check_at_least("attention_size", size)
        self.project_query = nn.Linear(query_size, size, bias=False)
        self.project_key = nn.Linear(key_size, size)
        self.score = nn.Linear(size, 1, bias=False)

    def prepare(self, keys: Float[Tensor, "batch time key_size"]) -> Prepared:
        projected = self.project_key(keys)
        return Prepared(projected, keys, key_factors(projected))

    def attend(
        self,
        query: Float[Tensor, "batch queries query_size"],
        prepared: Prepared,
        mask: Bool[Tensor, "batch _ time"],
    ) -> tuple[Float[Tensor, "batch queries key_size"], Float[Tensor, "batch queries time"]]:
        scores = additive_scores(
            self.project_query(query), prepared.keys, self.score.weight[0], prepared.factors
        )
        return attend(scores, prepared.values, mask)


class ProductAttention(Attention, ABC):
    """An attention whose score is the product of the query and a prepared key."""

    def attend(
        self,
        query: Float[Tensor, "batch queries query_size"],
        prepared: Prepared,
        mask: Bool[Tensor, "batch _ time"],
    ) -> tuple[Float[Tensor, "batch queries key_size"], Float[Tensor, "batch queries time"]]:
        return attend(query @ prepared.keys.mT, prepared.values, mask)


class GeneralAttention(ProductAttention):
    """score = qᵀ W k (Luong et al. 2015, section 3.1)."""

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__(query_size, key_size)
        self.project_query = nn.Linear(query_size, key_size, bias=False)

    def prepare(self, keys: Float[Tensor, "batch time key_size"]) -> Prepared:
        # (W q)ᵀ k = qᵀ (Wᵀ k): what depends on the keys alone is done once for all queries.
        return Prepared(keys @ self.project_query.weight, keys)


class DotAttention(ProductAttention):
    """score = qᵀ k (Luong et al. 2015, section 3.1). Query and key must be of one size."""

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__(query_size, key_size)
        _check_equal("dot", query_size, key_size)

    def prepare(self, keys: Float[Tensor, "batch time key_size"]) -> Prepared:
        return Prepared(keys, keys)


class ScaledDotAttention(ProductAttention):
    """score = qᵀ k / √d (Vaswani et al. 2017, equation 1). Query and key must be of one size."""

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__(query_size, key_size)
        _check_equal("scaled_dot", query_size, key_size)

    def prepare(self, keys: Float[Tensor, "batch time key_size"]) -> Prepared:
        return Prepared(keys * self.key_size**-0.5, keys)


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
            rule = f"must divide the width {key_size} of the states it attends to"
            remedy = f"use one of {', '.join(map(str, divisors))}, or another hidden_size"
            raise ArgumentError("num_heads", num_heads, f"{rule}; {remedy}")
        self.num_heads = num_heads
        self.project_query = nn.Linear(query_size, key_size)
        self.project_key = nn.Linear(key_size, key_size)
        self.project_value = nn.Linear(key_size, key_size)
        self.project_context = nn.Linear(key_size, key_size)

    def prepare(self, keys: Float[Tensor, "batch time key_size"]) -> Prepared:
        return Prepared(self._heads(self.project_key(keys)), self._heads(self.project_value(keys)))

    def attend(
        self,
        query: Float[Tensor, "batch queries query_size"],
        prepared: Prepared,
        mask: Bool[Tensor, "batch _ time"],
    ) -> tuple[Float[Tensor, "batch queries key_size"], Float[Tensor, "batch queries time"]]:
        key = prepared.keys
        scores = self._heads(self.project_query(query)) @ key.mT * key.shape[-1] ** -0.5
        context, weights = attend(scores, prepared.values, mask[:, None])
        context = self.project_context(context.transpose(1, 2).flatten(-2))
        return context, weights.mean(dim=1)

    def _heads(self, projected: Tensor) -> Tensor:
        """(batch, time, size) → (batch, heads, time, size / heads)."""
        return projected.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


def attend(scores: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax over the valid positions, then the weighted sum."""
    weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)
    return weights.to(values.dtype) @ values, weights


def check_mask(mask: Tensor) -> None:
    """Raises InputError where a row allows no position."""
    if not torch.compiler.is_compiling() and not mask.any(dim=-1).all():
        raise InputError(
            "attention has no position to look at in some row: every sequence needs a length of "
            "at least 1"
        )


def _check_equal(name: str, query_size: int, key_size: int) -> None:
    if query_size != key_size:
        raise InputError(
            f"attention {name} compares query and key feature by feature, but they have "
            f"{query_size} and {key_size} features; use attention general, additive or multihead, "
            "which project, or make the widths equal"
        )
