"""Attention: one signature, `(query, keys, mask) → (context, weights)`, five ways to score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from seqlab.errors import InputError, check_at_least
from seqlab.nn.additive_score import additive_scores, exponentials


class Prepared(NamedTuple):
    """Keys as an attention compares them, made once for all queries.

    Attributes:
        keys: projected keys, (batch, time, size), or (batch, heads, time, size).
        values: what is summed, likewise.
        factors: what else an attention can compute from the keys alone.
    """

    keys: Tensor
    values: Tensor
    factors: Tensor | None = None


class Scoring(NamedTuple):
    """The parameters of an attention that scores a projected query against each key.

    Attributes:
        query_weight: projects the query, (size, query_size); None where it stays as it is.
        vector: v of vᵀ tanh(q + k), (size,); None where the score is qᵀ k.
    """

    query_weight: Tensor | None
    vector: Tensor | None


class Attention(nn.Module, ABC):
    """Weighs keys by how well they answer a query, and returns their weighted sum.

    Weights are at least 0, sum to 1 over the valid positions, and are exactly 0 elsewhere.
    `attention(query, keys, mask)` equals `attention.attend(query, attention.prepare(keys), mask)`;
    who asks many times about the same keys prepares them once.

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
            query: what is looked for.
            keys: what is looked through, and summed.
            mask: true where a query may look; one row may serve all queries.

        Returns:
            context, the weighted sums of the keys; and weights, averaged over heads.

        Raises:
            InputError: a row of the mask allows no position.
        """
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
        """Attends to prepared keys; see `forward`."""

    @abstractmethod
    def scoring(self) -> Scoring | None:
        """The score by its parameters, for loops that differentiate it by hand; None if more."""


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
        return Prepared(projected, keys, exponentials(projected))

    def attend(
        self,
        query: Float[Tensor, "batch queries query_size"],
        prepared: Prepared,
        mask: Bool[Tensor, "batch _ time"],
    ) -> tuple[Float[Tensor, "batch queries key_size"], Float[Tensor, "batch queries time"]]:
        assert prepared.factors is not None  # made by `prepare` above
        scores = additive_scores(
            self.project_query(query), prepared.keys, prepared.factors, self.score.weight[0]
        )
        return attend(scores, prepared.values, mask)

    def scoring(self) -> Scoring | None:
        return Scoring(self.project_query.weight, self.score.weight[0])


class GeneralAttention(Attention):
    """score = qᵀ W k (Luong et al. 2015, section 3.1)."""

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__(query_size, key_size)
        self.project_query = nn.Linear(query_size, key_size, bias=False)

    def prepare(self, keys: Float[Tensor, "batch time key_size"]) -> Prepared:
        # (W q)ᵀ k = qᵀ (Wᵀ k): what depends on the keys alone is done once for all queries.
        return Prepared(keys @ self.project_query.weight, keys)

    def attend(
        self,
        query: Float[Tensor, "batch queries query_size"],
        prepared: Prepared,
        mask: Bool[Tensor, "batch _ time"],
    ) -> tuple[Float[Tensor, "batch queries key_size"], Float[Tensor, "batch queries time"]]:
        return attend(query @ prepared.keys.mT, prepared.values, mask)

    def scoring(self) -> Scoring | None:
        return Scoring(None, None)


class DotAttention(Attention):
    """score = qᵀ k (Luong et al. 2015, section 3.1). Query and key must be of one size."""

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__(query_size, key_size)
        _check_equal("dot", query_size, key_size)

    def prepare(self, keys: Float[Tensor, "batch time key_size"]) -> Prepared:
        return Prepared(keys, keys)

    def attend(
        self,
        query: Float[Tensor, "batch queries query_size"],
        prepared: Prepared,
        mask: Bool[Tensor, "batch _ time"],
    ) -> tuple[Float[Tensor, "batch queries key_size"], Float[Tensor, "batch queries time"]]:
        return attend(query @ prepared.keys.mT, prepared.values, mask)

    def scoring(self) -> Scoring | None:
        return Scoring(None, None)


class ScaledDotAttention(Attention):
    """score = qᵀ k / √d (Vaswani et al. 2017, equation 1). Query and key must be of one size."""

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__(query_size, key_size)
        _check_equal("scaled_dot", query_size, key_size)

    def prepare(self, keys: Float[Tensor, "batch time key_size"]) -> Prepared:
        return Prepared(keys * self.key_size**-0.5, keys)

    def attend(
        self,
        query: Float[Tensor, "batch queries query_size"],
        prepared: Prepared,
        mask: Bool[Tensor, "batch _ time"],
    ) -> tuple[Float[Tensor, "batch queries key_size"], Float[Tensor, "batch queries time"]]:
        return attend(query @ prepared.keys.mT, prepared.values, mask)

    def scoring(self) -> Scoring | None:
        return Scoring(None, None)


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

    def scoring(self) -> Scoring | None:
        return None

    def _heads(self, projected: Tensor) -> Tensor:
        """(batch, time, size) → (batch, heads, time, size / heads)."""
        return projected.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


def attend(scores: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax over the valid positions, then the weighted sum."""
    if not torch.compiler.is_compiling():
        check_mask(mask)
    weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)
    return weights.to(values.dtype) @ values, weights


def check_mask(mask: Tensor) -> None:
    """Raises InputError where a row allows no position."""
    if not mask.any(dim=-1).all():
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
