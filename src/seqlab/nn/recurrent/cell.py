"""The contract of a recurrent cell: one equation and its parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from seqlab.errors import InputError

State = tuple[Tensor, ...]
"""A recurrent state, in parts: an LSTM has two. Each part is (batch, size).

An encoder's state holds those of all its layers, each part (layers · directions, batch, size).
"""

Initialisation = Literal["orthogonal", "uniform"]


class Cell(nn.Module, ABC):
    """One step of one recurrent layer: the equation and its parameters.

    This is the definition. Whatever runs a cell over time (`RecurrentLayer`, a decoder, a kernel)
    must give what repeated steps give. To add a cell, write `project`, `gates` and `step`, and a
    YAML in `conf/cell`.

    The first part of the state is the output: it has `hidden_size` features, an encoder returns
    it, and a decoder reads it out and attends from it. The other parts can be of any size. A
    layer can start from any state: from zeros, or from what a decoder's bridge computes.

    The input's share of all gates is computed for the whole sequence in one matrix product
    (`project`), so that a step multiplies the hidden state only.

    Args:
        input_size: features of the inputs.
        hidden_size: features of the output.
        state_sizes: features of each part of the state; `(hidden_size,)` if None.
        gate_names: the gates that lie between 0 and 1 and let something through.
        reads_output: the step reads the first part of the state before it. False where the output
            is computed from the other parts alone.

    Raises:
        InputError: the first part of the state does not have `hidden_size` features.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        state_sizes: tuple[int, ...] | None = None,
        gate_names: tuple[str, ...] = (),
        reads_output: bool = True,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.state_sizes: tuple[int, ...] = (hidden_size,) if state_sizes is None else state_sizes
        self.gate_names = gate_names
        self.reads_output = reads_output
        if self.state_sizes[0] != hidden_size:
            raise InputError(
                f"state_sizes={self.state_sizes} must begin with hidden_size={hidden_size}, as the "
                "first part of a cell's state is its output"
            )

    @abstractmethod
    def project(self, inputs: Float[Tensor, "*rest feature"]) -> Float[Tensor, "*rest projected"]:
        """The input's share of a step, biases included: all that needs no state."""

    @abstractmethod
    def gates(
        self,
        projected: Float[Tensor, "*rest projected"],
        state: State,
        mask: Float[Tensor, "*rest hidden"] | None = None,
    ) -> dict[str, Tensor]:
        """Gates and candidate by name, each (*rest, hidden).

        Args:
            projected: from `project`.
            state: the state before this step.
            mask: what variational dropout leaves of the hidden state where a matrix multiplies it.
        """

    @abstractmethod
    def step(
        self,
        projected: Float[Tensor, "*rest projected"],
        state: State,
        mask: Float[Tensor, "*rest hidden"] | None = None,
    ) -> State:
        """The state after this step; arguments as for `gates`."""

    @property
    def multiply_accumulates(self) -> int:
        """Multiply–accumulates of the matrix products a step: each weight is used once."""
        return sum(weight.numel() for weight in self.parameters() if weight.dim() > 1)

    def zero_state(self, inputs: Shaped[Tensor, "batch ..."]) -> State:
        """Zeros for as many sequences, on the device and of the dtype of `inputs`."""
        return tuple(inputs.new_zeros(len(inputs), size) for size in self.state_sizes)


class GatedCell(Cell, ABC):
    """A cell with a matrix for the inputs and one for the hidden state.

    Each has a block of `hidden_size` rows for everything that it computes. Names and layout of
    the weights are those of `torch.nn.RNN`, `GRU` and `LSTM`, so that PyTorch's kernels can run
    such a cell.

    Args:
        input_size: features of the inputs.
        hidden_size: features of the output, and of each part of the state.
        blocks: names of what the weights compute, in the order of their rows.
        gate_names: those that lie between 0 and 1 and let something through.
        parts: parts of the state.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        blocks: tuple[str, ...],
        gate_names: tuple[str, ...] = (),
        parts: int = 1,
    ) -> None:
        super().__init__(
            input_size, hidden_size, state_sizes=(hidden_size,) * parts, gate_names=gate_names
        )
        self.blocks = blocks
        rows = len(blocks) * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size))

    def initialise(self, initialisation: Initialisation) -> None:
        """Starts the weights, and the biases that there are.

        Args:
            initialisation: "orthogonal" recurrent weights (Saxe et al. 2014) and Xavier-uniform
                input weights, each block by itself, and biases 0; or "uniform" within
                ±1/√hidden_size for all, as PyTorch does.

        Raises:
            InputError: an unknown name.
        """
        check_initialisation(initialisation)
        bound = self.hidden_size**-0.5
        own = list(self.parameters(recurse=False))
        for weight in own:
            nn.init.uniform_(weight, -bound, bound)
        if initialisation == "uniform":
            return
        for block in self.weight_ih.split(self.hidden_size):
            nn.init.xavier_uniform_(block)
        for block in self.weight_hh.split(self.hidden_size):
            nn.init.orthogonal_(block)
        for weight in own:
            if weight.dim() == 1:
                nn.init.zeros_(weight)

    def raise_bias(self, bias: Tensor, block: str, by: float) -> None:
        """Adds to the bias of one block."""
        first = self.blocks.index(block) * self.hidden_size
        with torch.no_grad():
            bias[first : first + self.hidden_size] += by


def check_initialisation(initialisation: str) -> None:
    """Raises InputError for an unknown name."""
    if initialisation not in ("orthogonal", "uniform"):
        raise InputError(f"initialisation={initialisation!r} must be orthogonal or uniform")


def dropped(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """What variational dropout leaves of the hidden state."""
    return hidden if mask is None else hidden * mask
