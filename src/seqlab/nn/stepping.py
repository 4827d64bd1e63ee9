"""What decoding needs of a model, and what it returns."""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from torch import Tensor


@runtime_checkable
class Selectable(Protocol):
    """Tensors that can be cut down to some rows, in a new order."""

    def select(self, rows: Tensor, /) -> Selectable: ...


S = TypeVar("S", bound=Selectable)
M = TypeVar("M", bound=Selectable)
M_contra = TypeVar("M_contra", bound=Selectable, contravariant=True)


class Step(NamedTuple):
    """One step of a model.

    Attributes:
        log_probs: (rows, vocabulary) of the next token.
        weights: (rows, time) of the attention; None without one.
    """

    log_probs: Tensor
    weights: Tensor | None


@runtime_checkable
class StepModel(Protocol[S, M_contra]):
    """Predicts the next token of each row.

    A row of the state is a sequence; a row of the memory is a sentence. The rows of a sentence's
    beams stand together, the same number for each sentence.
    """

    def next(self, tokens: Tensor, state: S, memory: M_contra) -> tuple[Step, S]:
        """One step from the last tokens (rows,)."""
        ...


class Hypotheses(NamedTuple):
    """Decoded sequences, best first.

    Attributes:
        tokens: (sentences, n, steps) without the end token, 0 behind.
        lengths: (sentences, n), the end token not counted.
        log_probs: (sentences, n) of the whole sequence and its end; −∞ where there is no n-th.
        scores: (sentences, n) what they were ranked by.
    """

    tokens: Tensor
    lengths: Tensor
    log_probs: Tensor
    scores: Tensor
