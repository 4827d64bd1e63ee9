"""The cells written out: each a step function `(x_t, state) → state`, run by `seqlab.nn.scan`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from seqlab.errors import InputError
from seqlab.nn.lstm_pass import lstm_pass
from seqlab.nn.recurrence import State, initialise_gates


class Cell(nn.Module, ABC):
    """One step of one layer. To add a cell, write `project`, `activate` and `step`.

    The input's share of all gates is computed for the whole sequence in one matrix product
    (`project`), so that a step multiplies the hidden state only. The first part of the state is
    the output.

    Args:
        input_size: features of the inputs.
        hidden_size: features of the outputs, and of each part of the state.
        blocks: names of what the weights compute, one block of `hidden_size` rows each.
        gates: those that lie between 0 and 1 and let something through.
        parts: parts of the state.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        blocks: tuple[str, ...],
        gates: tuple[str, ...] = (),
        parts: int = 1,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.blocks = blocks
        self.gates = gates
        self.state_sizes = (hidden_size,) * parts
        self.input_weight = nn.Parameter(torch.empty(len(blocks) * hidden_size, input_size))
        self.recurrent_weight = nn.Parameter(torch.empty(len(blocks) * hidden_size, hidden_size))
        initialise_gates(self.input_weight, self.recurrent_weight, hidden_size)

    @abstractmethod
    def project(
        self, inputs: Float[Tensor, "*rest feature"]
    ) -> Float[Tensor, "*rest blocks_hidden"]:
        """The input's share of all blocks, biases included."""

    @abstractmethod
    def activate(
        self,
        projected: Float[Tensor, "*rest blocks_hidden"],
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
        projected: Float[Tensor, "batch blocks_hidden"],
        state: State,
        mask: Float[Tensor, "batch hidden"] | None = None,
    ) -> State:
        """The state after this step; arguments as for `activate`."""


class FastCell(Cell):
    """A cell that also has a hand-written pass over whole sequences, equal to its steps."""

    @abstractmethod
    def run(
        self, projected: Float[Tensor, "time batch blocks_hidden"], state: State
    ) -> tuple[Float[Tensor, "time batch hidden"], ...]:
        """The states after all steps, part by part."""


class RNNCell(Cell):
    """h_t = φ(W x_t + b + U h_{t−1}) (Elman 1990).

    Args:
        nonlinearity: φ, "tanh" or "relu".
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, nonlinearity: Literal["tanh", "relu"] = "tanh"
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise InputError(f"nonlinearity={nonlinearity!r} must be tanh or relu")
        super().__init__(input_size, hidden_size, blocks=("hidden",))
        self.bias = nn.Parameter(torch.zeros(hidden_size))
        self.nonlinearity: Literal["tanh", "relu"] = nonlinearity

    def project(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs, self.input_weight, self.bias)

    def activate(
        self, projected: Tensor, state: State, mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        product = F.linear(dropped(state[0], mask), self.recurrent_weight)
        apply = torch.tanh if self.nonlinearity == "tanh" else torch.relu
        return {"hidden": apply(projected + product)}

    def step(self, projected: Tensor, state: State, mask: Tensor | None = None) -> State:
        return (self.activate(projected, state, mask)["hidden"],)


class LSTMCell(FastCell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate of Gers et al. 2000).

    i, f, o = σ(W x_t + b + U h_{t−1}) and g = tanh(W x_t + b + U h_{t−1}), each with its own
    W, b, U;  c_t = f ⊙ c_{t−1} + i ⊙ g;  h_t = o ⊙ tanh(c_t).

    Args:
        forget_bias: the forget gate's bias at the start (Jozefowicz et al. 2015).
    """

    def __init__(self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0) -> None:
        super().__init__(
            input_size,
            hidden_size,
            blocks=("input", "forget", "candidate", "output"),
            gates=("input", "forget", "output"),
            parts=2,
        )
        self.bias = nn.Parameter(torch.zeros(4 * hidden_size))
        nn.init.constant_(self.bias[hidden_size : 2 * hidden_size], forget_bias)

    def project(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs, self.input_weight, self.bias)

    def activate(
        self, projected: Tensor, state: State, mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        product = F.linear(dropped(state[0], mask), self.recurrent_weight)
        i, f, g, o = (projected + product).chunk(4, -1)
        return {
            "input": torch.sigmoid(i),
            "forget": torch.sigmoid(f),
            "candidate": torch.tanh(g),
            "output": torch.sigmoid(o),
        }

    def step(self, projected: Tensor, state: State, mask: Tensor | None = None) -> State:
        gate = self.activate(projected, state, mask)
        cell = gate["forget"] * state[1] + gate["input"] * gate["candidate"]
        return gate["output"] * torch.tanh(cell), cell

    def run(self, projected: Tensor, state: State) -> tuple[Tensor, ...]:
        return lstm_pass(projected, state[0], state[1], self.recurrent_weight)


class GRUCell(Cell):
    """Gated recurrent unit (Cho et al. 2014, equations 5–8).

    r, z = σ(W x_t + b + U h_{t−1});  h_t = (1 − z) ⊙ n + z ⊙ h_{t−1}.  The candidate is
    n = tanh(W x_t + b + U (r ⊙ h_{t−1})) with the reset before the matrix product, as in the
    paper, or n = tanh(W x_t + b + r ⊙ (U h_{t−1} + b′)) with it after, as in `nn.GRU`.

    Args:
        reset: "after" or "before" the matrix product.
        update_bias: the update gate's bias at the start: the larger, the longer the memory.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        reset: Literal["after", "before"] = "after",
        update_bias: float = 0.0,
    ) -> None:
        if reset not in ("after", "before"):
            raise InputError(f"reset={reset!r} must be after or before (the matrix product)")
        super().__init__(
            input_size,
            hidden_size,
            blocks=("reset", "update", "candidate"),
            gates=("reset", "update"),
        )
        self.bias = nn.Parameter(torch.zeros(3 * hidden_size))
        nn.init.constant_(self.bias[hidden_size : 2 * hidden_size], update_bias)
        self.recurrent_bias = nn.Parameter(torch.zeros(hidden_size)) if reset == "after" else None

    def project(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs, self.input_weight, self.bias)

    def activate(
        self, projected: Tensor, state: State, mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        hidden, sizes = dropped(state[0], mask), [2 * self.hidden_size, self.hidden_size]
        gates, candidate = projected.split(sizes, -1)
        if self.recurrent_bias is None:
            gate_weight, weight = self.recurrent_weight.split(sizes)
            r, z = torch.sigmoid(gates + F.linear(hidden, gate_weight)).chunk(2, -1)
            n = torch.tanh(candidate + F.linear(r * hidden, weight))
        else:
            product, recurrent = F.linear(hidden, self.recurrent_weight).split(sizes, -1)
            r, z = torch.sigmoid(gates + product).chunk(2, -1)
            n = torch.tanh(candidate + r * (recurrent + self.recurrent_bias))
        return {"reset": r, "update": z, "candidate": n}

    def step(self, projected: Tensor, state: State, mask: Tensor | None = None) -> State:
        gate = self.activate(projected, state, mask)
        return (gate["candidate"] + gate["update"] * (state[0] - gate["candidate"]),)


def dropped(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """What variational dropout leaves of the hidden state."""
    return hidden if mask is None else hidden * mask
