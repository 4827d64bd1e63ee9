"""The pointer-generator: a token is generated, or copied from where the attention looks."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class CopyMixture(nn.Module):
    """P(w) = p · softmax(logits)_w + (1 − p) Σ_{i: x_i = w} α_i (See et al. 2017, equations 8–9).

    p = σ(w [c_t; s_t; y_t] + b) says how much is generated. Equation 9 also allows words that only
    the source knows; here the vocabulary is closed, and such a word counts as the unknown one.

    Args:
        size: features of context, state and input together.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.gate = nn.Linear(size, 1)

    def forward(
        self,
        logits: Float[Tensor, "batch steps vocabulary"],
        features: Float[Tensor, "batch steps size"],
        weights: Float[Tensor, "batch steps time"],
        source: Int[Tensor, "batch time"],
    ) -> Float[Tensor, "batch steps vocabulary"]:
        """Mixes.

        Args:
            logits: of generating each token.
            features: context, state and input of each step.
            weights: of the attention.
            source: each source position's token as a target token.

        Returns:
            log-probabilities.
        """
        generate = torch.sigmoid(self.gate(features)).float()
        mixed = generate * logits.float().softmax(-1)
        copied = (1 - generate) * weights.float()
        mixed = mixed.scatter_add(2, source[:, None].expand_as(copied), copied)
        # The gate may saturate on a token that no position holds.
        return mixed.clamp_min(torch.finfo(mixed.dtype).tiny).log()
