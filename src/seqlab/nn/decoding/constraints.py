"""What a decoded sequence may be: its length, its tokens, its repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqlab.errors import ArgumentError, check_at_least

IMPOSSIBLE = float("-inf")


@dataclass(frozen=True, kw_only=True)
class Constraints:
    """Bounds on what is decoded. Every sequence ends with the end token, which is not counted.

    Args:
        end: id of the end token.
        begin: id that stands before the first token.
        max_length: tokens at most; where they are reached, only the end can follow.
        min_length: tokens at least; before, the end cannot follow.
        forbidden: ids that are never decoded.
        no_repeat_ngram: no n-gram of this size occurs twice; 0 for any.

    Raises:
        InputError: bounds that leave no sequence.
    """

    end: int
    begin: int
    max_length: int
    min_length: int = 0
    forbidden: Sequence[int] = ()
    no_repeat_ngram: int = 0

    def __post_init__(self) -> None:
        check_at_least("max_length", self.max_length)
        check_at_least("min_length", self.min_length, 0)
        check_at_least("no_repeat_ngram", self.no_repeat_ngram, 0)
        if self.min_length > self.max_length:
            rule = f"is above max_length={self.max_length}; lower the one or raise the other"
            raise ArgumentError("min_length", self.min_length, rule)

    def apply(
        self,
        log_probs: Float[Tensor, "rows vocabulary"],
        history: Int[Tensor, "rows steps"],
    ) -> Float[Tensor, "rows vocabulary"]:
        """Makes impossible what must not follow the history.

        Probabilities are not normalised again: a constraint removes sequences, and the others
        keep their probabilities. A row that nothing may follow before its end ends.
        """
        steps = history.shape[1]
        if steps >= self.max_length:
            forbidden = torch.ones_like(log_probs, dtype=torch.bool)
            forbidden[:, self.end] = False
            return log_probs.masked_fill(forbidden, IMPOSSIBLE)
        allowed = log_probs.clone()
        if self.forbidden:
            allowed[:, list(self.forbidden)] = IMPOSSIBLE
        if self.no_repeat_ngram and steps >= self.no_repeat_ngram:
            self._forbid_repetitions(allowed, history)
        if steps < self.min_length:
            stuck = allowed.scatter(1, _column(allowed, self.end), IMPOSSIBLE).amax(1)
            allowed[:, self.end].masked_fill_(stuck != IMPOSSIBLE, IMPOSSIBLE)
        return allowed

    def _forbid_repetitions(self, allowed: Tensor, history: Tensor) -> None:
        size = self.no_repeat_ngram
        windows = history.unfold(1, size, 1)
        suffix = history[:, history.shape[1] - size + 1 :]
        repeats = (windows[..., :-1] == suffix[:, None]).all(-1)
        # The end may stand where a repetition would: `end` never occurs in a history.
        allowed.scatter_reduce_(
            1,
            windows[..., -1],
            torch.where(repeats, IMPOSSIBLE, float("inf")).to(allowed.dtype),
            reduce="amin",
        )


def _column(like: Tensor, index: int) -> Tensor:
    return torch.full((len(like), 1), index, dtype=torch.long, device=like.device)
