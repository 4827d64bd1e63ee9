"""From the states of a sequence to one vector."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
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


class AdditivePooling(Pooling):
    """Additive attention with a learned query (Yang et al. 2016, equations 5–7).

    score = vᵀ tanh(W h + b): the query of `AdditiveAttention`, a constant here, is part of b.

    Args:
        attention: its key's projection and its v are what this takes.
    """

    def __init__(self, attention: AdditiveAttention) -> None:
        super().__init__()
        self.project = attention.project_key
        self.score = attention.score

    def forward(
        self, states: Float[Tensor, "batch time size"], lengths: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch size"], Float[Tensor, "batch time"]]:
        mask = valid_mask(lengths, states.shape[1])
        states = _zeroed(states, mask)
        scores = self.score(torch.tanh(self.project(states)))
        pooled, weights = attend(scores.mT, states, mask[:, None])
        return pooled.squeeze(1), weights.squeeze(1)


class LinearPooling(Pooling):
    """Softmax of scale · qᵀ h with a learned q.

    That is general, dot and scaled-dot attention with a learned query: qᵀ W h = (Wᵀ q)ᵀ h, so that
    the three are one class of functions here.

    Args:
        size: features of the states.
        scale: of the scores.
    """

    def __init__(self, size: int, *, scale: float = 1.0) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(size) * size**-0.5)
        self.scale = scale

    def forward(
        self, states: Float[Tensor, "batch time size"], lengths: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch size"], Float[Tensor, "batch time"]]:
        mask = valid_mask(lengths, states.shape[1])
        states = _zeroed(states, mask)
        scores = F.linear(states, self.scale * self.query[None])
        pooled, weights = attend(scores.mT, states, mask[:, None])
        return pooled.squeeze(1), weights.squeeze(1)


class MultiheadPooling(Pooling):
    """Multi-head attention with a learned query: a vector of its own scores the states for a head.

    Args:
        attention: its projections of value and context are what this takes.
    """

    def __init__(self, attention: MultiheadAttention) -> None:
        super().__init__()
        size = attention.key_size
        self.queries = nn.Parameter(torch.randn(attention.num_heads, size) * size**-0.5)
        self.project_value = attention.project_value
        self.project_context = attention.project_context

    def forward(
        self, states: Float[Tensor, "batch time size"], lengths: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch size"], Float[Tensor, "batch time"]]:
        mask = valid_mask(lengths, states.shape[1])
        states = _zeroed(states, mask)
        heads = len(self.queries)
        scores = F.linear(states, self.queries).mT[:, :, None]
        values = self.project_value(states).unflatten(-1, (heads, -1)).transpose(1, 2)
        context, weights = attend(scores, values, mask[:, None, None])
        return self.project_context(context.flatten(1)), weights.mean(dim=1).squeeze(1)


class QueryPooling(Pooling):
    """Any attention with a learned query.

    Args:
        attention: attends from a query to states of this size.
    """

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention = attention
        self.query = nn.Parameter(torch.randn(attention.query_size) * attention.query_size**-0.5)

    def forward(
        self, states: Float[Tensor, "batch time size"], lengths: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch size"], Float[Tensor, "batch time"]]:
        mask = valid_mask(lengths, states.shape[1])
        query = self.query.to(states.dtype).expand(len(states), 1, -1)
        context, weights = self.attention(query, states, mask[:, None])
        return context.squeeze(1), weights.squeeze(1)


def pool_by_attention(attention: Attention) -> Pooling:
    """Attention from a learned query, with no more parameters than that function needs."""
    size = attention.key_size
    if type(attention) is AdditiveAttention:
        return AdditivePooling(attention)
    if type(attention) in (GeneralAttention, DotAttention):
        return LinearPooling(size)
    if type(attention) is ScaledDotAttention:
        return LinearPooling(size, scale=size**-0.5)
    if type(attention) is MultiheadAttention:
        return MultiheadPooling(attention)
    return QueryPooling(attention)


def _zeroed(states: Tensor, mask: Bool[Tensor, "batch time"]) -> Tensor:
    # What stands at padded positions is unspecified and may be infinite: 0 · inf is not 0.
    return states.masked_fill(~mask[..., None], 0.0)
