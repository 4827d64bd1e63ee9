"""One scan runs any written-out cell over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqlab.errors import InputError, check_probability
from seqlab.nn.cells import Cell, FastCell, GRUCell, LSTMCell, RNNCell
from seqlab.nn.compiling import uncompiled
from seqlab.nn.recurrence import (
    FusedGRU,
    FusedLSTM,
    FusedRNN,
    Recurrence,
    State,
    last_valid,
)


class CellRecurrence(Recurrence):
    """A written-out cell as a recurrent layer.

    Args:
        cell: makes the cell: `cell(input_size, hidden_size)`.
        zoneout: probability of keeping a unit's old state in a step (Krueger et al. 2017), one for
            all parts of the state or one for each; when evaluating, the expectation.
        variational_dropout: probability of zeroing a feature of the inputs, and of the hidden
            state where a matrix multiplies it, the same features at all steps of a sequence (Gal &
            Ghahramani 2016).

    Raises:
        InputError: a probability outside [0, 1), or another number of them than parts.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        cell: Callable[[int, int], Cell],
        zoneout: float | Sequence[float] = 0.0,
        variational_dropout: float = 0.0,
    ) -> None:
        made = cell(input_size, hidden_size)
        super().__init__(input_size, hidden_size, made.state_sizes)
        self.cell = made
        parts = len(made.state_sizes)
        self.zoneout = (
            (float(zoneout),) * parts if isinstance(zoneout, (int, float)) else tuple(zoneout)
        )
        if len(self.zoneout) != parts:
            raise InputError(
                f"zoneout={list(self.zoneout)} must be one probability, or one for each of the "
                f"{parts} parts of the state of {type(made).__name__}"
            )
        for probability in self.zoneout:
            check_probability("zoneout", probability)
        check_probability("variational_dropout", variational_dropout)
        self.variational_dropout = variational_dropout

    def forward(
        self,
        inputs: Float[Tensor, "batch time feature"],
        lengths: Int[Tensor, " batch"],
        state: State | None = None,
        *,
        need_state: bool = True,
    ) -> tuple[Float[Tensor, "batch time hidden"], State | None]:
        state = self.zero_state(inputs) if state is None else state
        history = self.history(inputs, state)
        outputs, *others = (part.transpose(0, 1) for part in history)
        if not need_state:
            return outputs, None
        return outputs, tuple(last_valid(part, lengths) for part in (outputs, *others))

    def step(
        self, inputs: Float[Tensor, "batch feature"], state: State | None = None
    ) -> tuple[Float[Tensor, "batch hidden"], State]:
        before = self.zero_state(inputs) if state is None else state
        inputs_mask, mask = self._masks(inputs, before[0])
        projected = self.cell.project(inputs if inputs_mask is None else inputs * inputs_mask)
        after = self._zoned(before, self.cell.step(projected, before, mask))
        return after[0], after

    @uncompiled
    def history(
        self, inputs: Float[Tensor, "batch time feature"], state: State
    ) -> tuple[Float[Tensor, "time batch hidden"], ...]:
        """The states after all steps, part by part, time first."""
        inputs_mask, mask = self._masks(inputs[:, 0], state[0])
        if inputs_mask is not None:
            inputs = inputs * inputs_mask[:, None]
        # Time first, so that each step reads and writes one stretch of memory.
        projected = self.cell.project(inputs.transpose(0, 1))
        if isinstance(self.cell, FastCell) and mask is None and not any(self.zoneout):
            return self.cell.run(projected, state)
        return self._run(projected, state, mask)

    def _run(self, projected: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, ...]:
        """Any cell, step by step."""
        history = []
        for given in projected.unbind(0):
            state = self._zoned(state, self.cell.step(given, state, mask))
            history.append(state)
        return tuple(torch.stack(part) for part in zip(*history, strict=True))

    def _zoned(self, old: State, new: State) -> State:
        """Zoneout: some units keep their old state."""
        if not any(self.zoneout):
            return new
        kept = []
        for before, after, probability in zip(old, new, self.zoneout, strict=True):
            if self.training:
                keep = torch.rand_like(after) < probability
                kept.append(torch.where(keep, before.to(after.dtype), after))
            else:
                kept.append(after + probability * (before - after))
        return tuple(kept)

    def _masks(self, inputs: Tensor, hidden: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Variational dropout's masks, scaled: one for the inputs, one for the hidden state."""
        if not self.training or not self.variational_dropout:
            return None, None
        keep = 1 - self.variational_dropout
        return tuple(torch.empty_like(x).bernoulli_(keep) / keep for x in (inputs, hidden))  # type: ignore[return-value]


def written_out(recurrence: Recurrence) -> CellRecurrence:
    """The same layer with its equations visible: a fused one's weights in a cell of its kind.

    Raises:
        InputError: the layer has no cell.
    """
    if isinstance(recurrence, CellRecurrence):
        return recurrence
    if not isinstance(recurrence, (FusedRNN, FusedGRU, FusedLSTM)):
        raise InputError(
            f"{type(recurrence).__name__} has no cell to write out; use an RNN, LSTM or GRU layer"
        )
    kinds = {FusedRNN: RNNCell, FusedGRU: GRUCell, FusedLSTM: LSTMCell}
    sizes = recurrence.input_size, recurrence.hidden_size
    made = CellRecurrence(*sizes, cell=kinds[type(recurrence)])
    input_weight, recurrent_weight, input_bias, recurrent_bias = recurrence.rnn.all_weights[0]
    made = made.to(input_weight)
    cell = made.cell
    with torch.no_grad():
        cell.input_weight.copy_(input_weight)
        cell.recurrent_weight.copy_(recurrent_weight)
        if isinstance(cell, GRUCell) and cell.recurrent_bias is not None:
            size = recurrence.hidden_size
            recurrent_bias = recurrent_bias.clone()
            cell.recurrent_bias.copy_(recurrent_bias[2 * size :])
            recurrent_bias[2 * size :] = 0
        if isinstance(cell, RNNCell) and isinstance(recurrence, FusedRNN):
            cell.nonlinearity = recurrence.nonlinearity
        cell.bias.copy_(input_bias + recurrent_bias)  # type: ignore[union-attr, operator]
    return made
