"""Runs a decoder step by step: the one loop behind training and search."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from torch import Tensor


@runtime_checkable
class Selectable(Protocol):
    """Tensors that can be cut down to some rows, in another order."""

    def select(self, rows: Tensor, /) -> Selectable: ...


S = TypeVar("S", bound=Selectable)
M = TypeVar("M", bound=Selectable)
M_contra = TypeVar("M_contra", bound=Selectable, contravariant=True)
O = TypeVar("O")  # noqa: E741
O_co = TypeVar("O_co", covariant=True)


@runtime_checkable
class Decoder(Protocol[S, M_contra, O_co]):
    """Anything that decodes step by step.

    A row of the state is an output sequence; a row of the memory is a source sequence. The output
    sequences of one source stand side by side, the same number for each.
    """

    def step(self, inputs: Tensor, state: S, memory: M_contra) -> tuple[O_co, S]:
        """The output of one step, and the state after it.

        Args:
            inputs: (rows, …) what the step reads.
            state: the state before the step.
            memory: of the source sequences.
        """
        ...


class Continuation(NamedTuple):
    """What the next step starts from.

    Attributes:
        inputs: (rows, …) what it reads.
        rows: which rows of the state go on, in their new order; None for all.
        sources: which rows of the memory go on; None for all.
    """

    inputs: Tensor
    rows: Tensor | None = None
    sources: Tensor | None = None


def unroll(
    decoder: Decoder[S, M, O],
    first: Tensor,
    state: S,
    memory: M,
    *,
    steps: int,
    next_input: Callable[[int, O], Continuation | None],
) -> Iterator[O]:
    """Yields the output of each step.

    What the next step reads depends on the output of this one: the true value (teacher forcing),
    the likeliest (autoregressive), a drawn one (sampling), or those of the rows that a search
    keeps.

    Args:
        decoder: what is run.
        first: (rows, …) what the first step reads.
        state: the state before the first step.
        memory: what the decoder attends to.
        steps: how many steps at most.
        next_input: called after every step with its number, from 0, and its output; None ends.
    """
    inputs = first
    for number in range(steps):
        output, state = decoder.step(inputs, state, memory)
        yield output
        continuation = next_input(number, output)
        if continuation is None:
            return
        inputs = continuation.inputs
        if continuation.rows is not None:
            state = state.select(continuation.rows)  # type: ignore[assignment]  # select keeps the type
        if continuation.sources is not None:
            memory = memory.select(continuation.sources)  # type: ignore[assignment]  # likewise
