"""What a search needs of a model, and what it returns."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from seqlab.nn.decoding.unroll import Decoder, M_contra, S


class TokenScores(NamedTuple):
    """The scores of the next token.

    Attributes:
        logits: (rows, vocabulary); log-probabilities are logits too.
        weights: (rows, time) of the attention; None without one.
    """

    logits: Tensor
    weights: Tensor | None

    def log_probs(self) -> Tensor:
        """(rows, vocabulary) log-probabilities, in float32 at least."""
        return self.logits.float().log_softmax(-1)


TokenDecoder = Decoder[S, M_contra, TokenScores]
"""A decoder whose steps read tokens (rows,) and score the next ones."""


class Hypotheses(NamedTuple):
    """Decoded sequences, best first.

    Attributes:
        tokens: (sequences, n, steps) without the end token, 0 behind.
        lengths: (sequences, n), the end token not counted.
        log_probs: (sequences, n) of the whole sequence and its end; −∞ where there is no n-th.
        scores: (sequences, n) what they were ranked by.
    """

    tokens: Tensor
    lengths: Tensor
    log_probs: Tensor
    scores: Tensor
