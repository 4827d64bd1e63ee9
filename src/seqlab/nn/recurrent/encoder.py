"""Recurrent layers on top of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqlab.errors import InputError, check_at_least, check_probability
from seqlab.nn.encoder import Encoder, check_causal, check_state
from seqlab.nn.masking import (
    check_lengths,
    full_lengths,
    reversal_index,
    reverse_valid,
    zero_padding,
)
from seqlab.nn.recurrent.cell import Cell, State
from seqlab.nn.recurrent.layer import KernelChoice, RecurrentLayer


class RecurrentEncoder(Encoder):
    """Recurrent layers on top of each other, in one or two directions.

    All sequences run padded, which is faster than packing on a CPU; the backward direction reads
    the reversed valid part of each sequence.

    Args:
        input_size: features of the inputs.
        cell: makes the cell of one layer and direction: `cell(input_size, hidden_size)`.
        hidden_size: features of each direction's states.
        num_layers: how many layers.
        bidirectional: reads backward too.
        dropout: probability of zeroing a feature between layers.
        layer_norm: normalises each layer's outputs (Ba et al. 2016).
        initial_state: "zero", or "learned" as parameters.
        zoneout: of each layer, see `RecurrentLayer`.
        variational_dropout: of each layer, see `RecurrentLayer`.
        kernel: of each layer, "auto" or "reference", see `RecurrentLayer`.

    Raises:
        InputError: a size below 1, a probability outside [0, 1), or an unknown name.
    """

    def __init__(
        self,
        input_size: int,
        *,
        cell: Callable[[int, int], Cell],
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        layer_norm: bool = False,
        initial_state: Literal["zero", "learned"] = "zero",
        zoneout: float | Sequence[float] = 0.0,
        variational_dropout: float = 0.0,
        kernel: KernelChoice = "auto",
    ) -> None:
        super().__init__()
        check_at_least("hidden_size", hidden_size)
        check_at_least("num_layers", num_layers)
        check_probability("dropout", dropout)
        if initial_state not in ("zero", "learned"):
            raise InputError(f"initial_state={initial_state!r} must be zero or learned")
        self.input_size = input_size
        self.directions = 2 if bidirectional else 1
        self.causal = not bidirectional
        self.hidden_size = hidden_size
        self.output_size = self.directions * hidden_size
        sizes = [input_size] + [self.output_size] * (num_layers - 1)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                RecurrentLayer(
                    size,
                    hidden_size,
                    cell=cell,
                    zoneout=zoneout,
                    variational_dropout=variational_dropout,
                    kernel=kernel,
                )
                for _ in range(self.directions)
            )
            for size in sizes
        )
        self.dropout = nn.Dropout(dropout)
        self.norms = nn.ModuleList(
            nn.LayerNorm(self.output_size) if layer_norm else nn.Identity() for _ in sizes
        )
        first = next(self.recurrences()).cell
        self.state_sizes = first.state_sizes
        self.summary_size = self.state_sizes[0]
        # A part that no step reads has nothing to learn.
        self.learned_parts = range(0 if first.reads_output else 1, len(self.state_sizes))
        self.initial = nn.ParameterList(
            nn.Parameter(torch.zeros(num_layers * self.directions, self.state_sizes[part]))
            for part in (self.learned_parts if initial_state == "learned" else ())
        )

    def recurrences(self) -> Iterator[RecurrentLayer]:
        """The layers, each with its forward direction first."""
        for directions in self.layers:
            yield from directions  # type: ignore[misc]

    def forward(
        self,
        inputs: Float[Tensor, "batch time feature"],
        lengths: Int[Tensor, " batch"] | None = None,
        state: State | None = None,
        *,
        need_state: bool = True,
    ) -> tuple[Float[Tensor, "batch time output"], State | None]:
        lengths = full_lengths(inputs) if lengths is None else lengths
        check_lengths(lengths, inputs.shape[1])
        state = self._start(inputs, state)
        index = reversal_index(lengths, inputs.shape[1]) if self.directions == 2 else None
        finals: list[State | None] = []
        states = zero_padding(inputs, lengths)
        for number, (directions, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            if number:
                states = self.dropout(states)
            outputs = []
            for way, recurrence in enumerate(directions):  # type: ignore[arg-type]
                read = reverse_valid(states, index) if way and index is not None else states
                before = _of_layer(state, number * self.directions + way)
                output, final = recurrence(read, lengths, before, need_state=need_state)
                outputs.append(
                    reverse_valid(output, index) if way and index is not None else output
                )
                finals.append(final)
            states = norm(outputs[0] if len(outputs) == 1 else _joined(outputs))
        if not need_state:
            return states, None
        return states, tuple(torch.stack(parts) for parts in zip(*finals, strict=True))  # type: ignore[arg-type]

    def step(
        self, inputs: Float[Tensor, "batch feature"], state: State | None = None
    ) -> tuple[Float[Tensor, "batch output"], State]:
        check_causal(self)
        output, finals = self.layer_steps(inputs, self.layer_states(inputs, state))
        return output, tuple(torch.stack(parts) for parts in zip(*finals, strict=True))

    def layer_states(self, inputs: Tensor, state: State | None = None) -> list[State | None]:
        """The state to start from, checked, layer by layer; None where it is zero."""
        state = self._start(inputs, state)
        return [_of_layer(state, number) for number in range(len(self.layers) * self.directions)]

    def layer_steps(
        self, inputs: Float[Tensor, "batch feature"], states: Sequence[State | None]
    ) -> tuple[Float[Tensor, "batch output"], list[State]]:
        """One step of each layer in turn: the output, and the state of each layer after it."""
        finals: list[State] = []
        output = inputs
        layers = zip(self.recurrences(), self.norms, states, strict=True)
        for number, (recurrence, norm, state) in enumerate(layers):
            if number:
                output = self.dropout(output)
            output, final = recurrence.step(output, state)
            finals.append(final)
            output = norm(output)
        return output, finals

    def multiply_accumulates(self, length: int) -> float:
        return sum(recurrence.cell.multiply_accumulates for recurrence in self.recurrences())

    def _start(self, inputs: Tensor, state: State | None) -> State | None:
        """The state to start from, checked; None where all of it is zero."""
        batch = len(inputs)
        if state is not None:
            rows = len(self.layers) * self.directions
            check_state(state, [(rows, batch, size) for size in self.state_sizes])
            return state
        if not len(self.initial):
            return None
        rows = len(self.layers) * self.directions
        start = [inputs.new_zeros(rows, batch, size) for size in self.state_sizes]
        for part, learned in zip(self.learned_parts, self.initial, strict=True):
            start[part] = learned[:, None].expand(-1, batch, -1).to(inputs.dtype)
        return tuple(start)


def _joined(outputs: list[Tensor]) -> Tensor:
    """Both directions' outputs side by side, in memory time first as they are."""
    return torch.cat([output.transpose(0, 1) for output in outputs], dim=-1).transpose(0, 1)


def _of_layer(state: State | None, number: int) -> State | None:
    return None if state is None else tuple(part[number] for part in state)
