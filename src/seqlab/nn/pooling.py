"""From the states of a sequence to one vector."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seqlab.nn.attention import (
    AdditiveAttention,
    Attention,
    DotAttention,
    GeneralAttention,
    MultiheadAttention,
    ScaledDotAttention,
)
from seqlab.nn.attention.attention import attend
from seqlab.nn.masking import last_valid, valid_mask


class Pooling(nn.Module, ABC):
    """`(states, lengths) → (pooled, weights)`; weights are None where none are defined."""

    @abstractmethod
    def forward(
        self, states: Float[Tensor, "batch time size"], lengths: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch size"], Float[Tensor, "batch time"] | None]:
        """Pools over the valid positions."""


class LastPooling(Pooling):
    """The state at the last valid position: all a forward direction has read."""

    def forward(
        self, states: Float[Tensor, "batch time size"], lengths: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch size"], None]:
        return last_valid(states, lengths), None


class FirstLastPooling(Pooling):
    """The forward half at the last position and the backward half at the first.

    Each direction has then read the whole sequence; at the last position the backward half has
    read one token.
    """

    def forward(
        self, states: Float[Tensor, "batch time size"], lengths: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch size"], None]:
        half = states.shape[-1] // 2
        # One look-up of whole rows, then their halves: each look-up, and each slice of all states,
        # would bring a gradient as large as the states.
        places = torch.stack([lengths - 1, torch.zeros_like(lengths)])
        last, first = states[torch.arange(len(states), device=states.device), places]
        return torch.cat([last[:, :half], first[:, half:]], -1), None


class MeanPooling(Pooling):
    """The mean over the valid positions."""

    def forward(
        self, states: Float[Tensor, "batch time size"], lengths: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch size"], Float[Tensor, "batch time"]]:
        mask = valid_mask(lengths, states.shape[1])
        weights = mask.to(states.dtype) / lengths[:, None].to(states.dtype)
        return (weights[:, None] @ _zeroed(states, mask)).squeeze(1), weights


class MaxPooling(Pooling):
    """The largest value of each feature over the valid positions."""

    def forward(
        self, states: Float[Tensor, "batch time size"], lengths: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch size"], None]:
        mask = valid_mask(lengths, states.shape[1])
        return states.masked_fill(~mask[..., None], float("-inf")).amax(dim=1), None


class AttentionPooling(Pooling):
    """Attention with a learned query (Yang et al. 2016, equations 5–7).

    The query is a constant, so that it needs no projection: what it adds to a score is part of the
    score's other weights. Heads look each with a score of its own.

    Args:
        score: from states (batch, time, size) to scores (batch, time, heads).
        scale: of the scores.
        value: projects the states that are summed; None where they stay as they are.
        context: projects the heads' sums side by side; None for none.
    """

    def __init__(
        self,
        score: nn.Module,
        *,
        scale: float = 1.0,
        value: nn.Module | None = None,
        context: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.score = score
        self.scale = scale
        self.value = value or nn.Identity()
        self.context = context or nn.Identity()

    def forward(
        self, states: Float[Tensor, "batch time size"], lengths: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch size"], Float[Tensor, "batch time"]]:
        mask = valid_mask(lengths, states.shape[1])
        states = _zeroed(states, mask)
        scores = self.scale * self.score(states).mT[:, :, None]
        values = self.value(states).unflatten(-1, (scores.shape[1], -1)).transpose(1, 2)
        sums, weights = attend(scores, values, mask[:, None, None])
        return self.context(sums.flatten(1)), weights.mean(dim=1).squeeze(1)


class QueryPooling(Pooling):
    """Any attention with a learned query.

    Args:
        attention: attends from a query to states of this size.
    """

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention = attention
        self.learned_query = nn.Parameter(
            torch.randn(attention.query_size) * attention.query_size**-0.5
        )

    def forward(
        self, states: Float[Tensor, "batch time size"], lengths: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch size"], Float[Tensor, "batch time"]]:
        mask = valid_mask(lengths, states.shape[1])
        query = self.learned_query.to(states.dtype).expand(len(states), 1, -1)
        context, weights = self.attention(query, _zeroed(states, mask), mask[:, None])
        return context.squeeze(1), weights.squeeze(1)


def pool_by_attention(attention: Attention) -> Pooling:
    """Attention from a learned query, with no more parameters than that function needs.

    General, dot and scaled-dot attention become one class of functions, softmax of qᵀ h, as
    qᵀ W h = (Wᵀ q)ᵀ h.
    """
    size = attention.key_size
    if type(attention) is AdditiveAttention:
        return AttentionPooling(nn.Sequential(attention.project_key, nn.Tanh(), attention.score))
    if type(attention) in (GeneralAttention, DotAttention):
        return AttentionPooling(_vectors(size, 1))
    if type(attention) is ScaledDotAttention:
        return AttentionPooling(_vectors(size, 1), scale=size**-0.5)
    if type(attention) is MultiheadAttention:
        return AttentionPooling(
            _vectors(size, attention.num_heads),
            value=attention.project_value,
            context=attention.project_context,
        )
    return QueryPooling(attention)


def _vectors(size: int, count: int) -> nn.Module:
    """So many queries, each about of length 1."""
    vectors = nn.Linear(size, count, bias=False)
    nn.init.normal_(vectors.weight, std=size**-0.5)
    return vectors


def _zeroed(states: Tensor, mask: Bool[Tensor, "batch time"]) -> Tensor:
    # What stands at padded positions is unspecified and may be infinite: 0 · inf is not 0.
    return states.masked_fill(~mask[..., None], 0.0)
