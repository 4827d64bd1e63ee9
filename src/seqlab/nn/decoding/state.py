"""What a recurrent decoder attends to, carries from step to step, and returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seqlab.nn.attention.attention import Prepared
from seqlab.nn.recurrent.cell import State


class Memory(NamedTuple):
    """What a decoder attends to, one row a source sequence.

    Attributes:
        prepared: the keys as the attention compares them; None without attention.
        mask: (batch, time), true at valid positions.
    """

    prepared: Prepared | None
    mask: Tensor

    def select(self, sequences: Tensor) -> Memory:
        """The memory of some source sequences."""
        prepared = None if self.prepared is None else self.prepared.select(sequences)
        return Memory(prepared, self.mask[sequences])


class DecoderState(NamedTuple):
    """What a decoder carries from step to step, one row an output sequence.

    Attributes:
        layers: the state of each layer, each part (rows, size).
        output: (rows, output) of the step before; None without input feeding.
        coverage: (rows, time) sum of the attention's weights so far; None without coverage.
    """

    layers: tuple[State, ...]
    output: Tensor | None = None
    coverage: Tensor | None = None

    def select(self, rows: Tensor) -> DecoderState:
        """The state of some rows, in the order given; a row may be taken more than once."""
        return DecoderState(
            tuple(tuple(part[rows] for part in layer) for layer in self.layers),
            None if self.output is None else self.output[rows],
            None if self.coverage is None else self.coverage[rows],
        )


class DecoderOutput(NamedTuple):
    """What a decoder returns: of one step (rows, …), of a whole pass (batch, steps, …).

    Attributes:
        outputs: what the output layer reads: the readout, or state and context side by side.
        states: of the last recurrent layer.
        contexts: of the attention; None without one.
        weights: of the attention, (…, time); None without one.
    """

    outputs: Tensor
    states: Tensor
    contexts: Tensor | None
    weights: Tensor | None

    def map(self, function: Callable[[Tensor], Tensor]) -> DecoderOutput:
        """Applies a function to every tensor."""
        contexts = None if self.contexts is None else function(self.contexts)
        weights = None if self.weights is None else function(self.weights)
        return DecoderOutput(function(self.outputs), function(self.states), contexts, weights)


def stack_steps(steps: Sequence[DecoderOutput]) -> DecoderOutput:
    """Outputs of single steps (rows, …) as one of (rows, steps, …)."""
    outputs, states, contexts, weights = zip(*steps, strict=True)
    return DecoderOutput(
        torch.stack(outputs, 1),
        torch.stack(states, 1),
        None if contexts[0] is None else torch.stack(contexts, 1),
        None if weights[0] is None else torch.stack(weights, 1),
    )
