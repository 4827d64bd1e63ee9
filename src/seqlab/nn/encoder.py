"""What every encoder promises, and the stack of recurrent layers that most of them are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqlab.errors import InputError, check_at_least, check_probability
from seqlab.nn.masking import reversal_index, reverse_valid
from seqlab.nn.recurrence import Recurrence, State

class Encoder(nn.Module, ABC):
    """Reads padded sequences: `(inputs, lengths) → states, final state`.

    States at valid positions depend neither on padding, nor on batch mates, nor on the longest
    sequence of the batch. At padded positions they are unspecified.

    Attributes:
        output_size: features of each state, both directions together.
        directions: 1 or 2.
    """

    output_size: int
    directions: int

    @abstractmethod
    def forward(
        self,
        inputs: Float[Tensor, "batch time feature"],
        lengths: Int[Tensor, " batch"],
        state: State | None = None,
        *,
        need_state: bool = True,
    ) -> tuple[Float[Tensor, "batch time output"], State | None]:
        """Encodes the sequences.

        Args:
            inputs: features, padded.
            lengths: valid positions of each sequence.
            state: the state before the first position, each part (layers · directions, batch, size),
                layer by layer with the forward direction first; the encoder's own if None.
            need_state: false spares computing the final state, and returns None for it.
        """


class RecurrentEncoder(Encoder):
    """Recurrent layers on top of each other, in one or two directions.

    All sequences run padded, which is faster than packing on a CPU; the backward direction reads
    the reversed valid part of each sequence.

    Args:
        input_size: features of the inputs.
        layer: makes one layer of one direction: `layer(input_size, hidden_size)`.
        hidden_size: features of each direction's states.
        num_layers: how many layers.
        bidirectional: reads backward too.
        dropout: probability of zeroing a feature between layers.
        layer_norm: normalises each layer's outputs (Ba et al. 2016).
        initial_state: "zero", or "learned" as parameters.

    Raises:
        InputError: a size below 1, or a dropout outside [0, 1).
    """

    def __init__(
        self,
        input_size: int,
        *,
        layer: Callable[[int, int], Recurrence],
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        layer_norm: bool = False,
        initial_state: Literal["zero", "learned"] = "zero",
    ) -> None:
        super().__init__()
        check_at_least("hidden_size", hidden_size)
        check_at_least("num_layers", num_layers)
        check_probability("dropout", dropout)
        if initial_state not in ("zero", "learned"):
            raise InputError(f"initial_state={initial_state!r} must be zero or learned")
        self.directions = 2 if bidirectional else 1
        self.hidden_size = hidden_size
        self.output_size = self.directions * hidden_size
        sizes = [input_size] + [self.output_size] * (num_layers - 1)
        self.layers = nn.ModuleList(
            nn.ModuleList(layer(size, hidden_size) for _ in range(self.directions))
            for size in sizes
        )
        self.dropout = nn.Dropout(dropout)
        self.norms = nn.ModuleList(
            nn.LayerNorm(self.output_size) if layer_norm else nn.Identity() for _ in sizes
        )
        first: Recurrence = self.layers[0][0]  # type: ignore[index, assignment]
        self.initial = nn.ParameterList(
            nn.Parameter(torch.zeros(num_layers * self.directions, size))
            for size in (first.state_sizes if initial_state == "learned" else ())
        )

    def forward(
        self,
        inputs: Float[Tensor, "batch time feature"],
        lengths: Int[Tensor, " batch"],
        state: State | None = None,
        *,
        need_state: bool = True,
    ) -> tuple[Float[Tensor, "batch time output"], State | None]:
        if state is None and len(self.initial):
            state = tuple(
                part[:, None].expand(-1, len(lengths), -1).to(inputs.dtype)
                for part in self.initial
            )
        index = reversal_index(lengths, inputs.shape[1]) if self.directions == 2 else None
        finals: list[State | None] = []
        states = inputs
        for number, (directions, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            if number:
                states = self.dropout(states)
            outputs = []
            for way, recurrence in enumerate(directions):  # type: ignore[arg-type]
                read = reverse_valid(states, index) if way and index is not None else states
                place = number * self.directions + way
                before = None if state is None else tuple(part[place] for part in state)
                output, final = recurrence(read, lengths, before, need_state=need_state)
                outputs.append(
                    reverse_valid(output, index) if way and index is not None else output
                )
                finals.append(final)
            states = norm(outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1))
        if not need_state:
            return states, None
        return states, tuple(torch.stack(parts) for parts in zip(*finals, strict=True))  # type: ignore[arg-type]
