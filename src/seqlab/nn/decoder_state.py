"""What a recurrent decoder looks at, carries from step to step, and returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from seqlab.nn.attention import Prepared
from seqlab.nn.recurrent.cell import State


class Memory(NamedTuple):
    """What a decoder looks at: prepared keys of each sentence, and which of them are there."""

    prepared: Prepared | None
    mask: Tensor

    def select(self, sentences: Tensor) -> Memory:
        """The memory of some sentences."""
        prepared = self.prepared
        if prepared is not None:
            prepared = Prepared(*(None if x is None else x[sentences] for x in prepared))  # type: ignore[arg-type]
        return Memory(prepared, self.mask[sentences])


class DecoderState(NamedTuple):
    """What a decoder carries from step to step, one row a sequence.

    Attributes:
        recurrent: each part (layers, rows, hidden).
        readout: (rows, readout) of the step before; None without input feeding.
        coverage: (rows, time) sum of the weights so far; None without coverage.
    """

    recurrent: State
    readout: Tensor | None = None
    coverage: Tensor | None = None

    def select(self, rows: Tensor) -> DecoderState:
        """The state of some rows, in a new order."""
        return DecoderState(
            tuple(part[:, rows] for part in self.recurrent),
            None if self.readout is None else self.readout[rows],
            None if self.coverage is None else self.coverage[rows],
        )


class Decoded(NamedTuple):
    """What a decoder returns for each step, (batch, steps, …).

    Attributes:
        readouts: what the output layer reads.
        states: of the last recurrent layer.
        contexts: of the attention; None without one.
        weights: of the attention, (batch, steps, time); None without one.
    """

    readouts: Tensor
    states: Tensor
    contexts: Tensor | None
    weights: Tensor | None

    def each(self, change: Callable[[Tensor], Tensor]) -> Decoded:
        """Changes every tensor alike."""
        contexts = None if self.contexts is None else change(self.contexts)
        weights = None if self.weights is None else change(self.weights)
        return Decoded(change(self.readouts), change(self.states), contexts, weights)
