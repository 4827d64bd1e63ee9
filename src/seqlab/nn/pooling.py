"""From the states of a sequence to one vector."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seqlab.nn.attention import Attention
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
    """Attention with one learned query (Yang et al. 2016, equations 5–7).

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


def _zeroed(states: Tensor, mask: Bool[Tensor, "batch time"]) -> Tensor:
    # What stands at padded positions is unspecified and may be infinite: 0 · inf is not 0.
    return states.masked_fill(~mask[..., None], 0.0)
