"""One recurrent layer in one direction: the contract, and PyTorch's fused RNN, LSTM and GRU."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from seqlab.errors import InputError
from seqlab.nn.rnn_pass import rnn_pass

State = tuple[Tensor, ...]
"""A recurrent state: one tensor, or hidden and cell for an LSTM; each part (batch, size).

An encoder's state holds those of all its layers, each part (layers · directions, batch, size).
"""


class Recurrence(nn.Module, ABC):
    """One layer, read from left to right.

    Attributes:
        input_size: features of the inputs.
        hidden_size: features of the outputs.
        state_sizes: features of each part of the state.
    """

    def __init__(self, input_size: int, hidden_size: int, state_sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.state_sizes = state_sizes

    @abstractmethod
    def forward(
        self,
        inputs: Float[Tensor, "batch time feature"],
        lengths: Int[Tensor, " batch"],
        state: State | None = None,
        *,
        need_state: bool = True,
    ) -> tuple[Float[Tensor, "batch time hidden"], State | None]:
        """Runs over the whole sequences.

        Args:
            inputs: features, padded behind each sequence.
            lengths: valid positions of each sequence.
            state: the state before the first position, each part (batch, size); zeros if None.
            need_state: false spares computing the final state.

        Returns:
            outputs, unspecified where padded, and the state after each last valid position.
        """

    @abstractmethod
    def step(
        self, inputs: Float[Tensor, "batch feature"], state: State | None = None
    ) -> tuple[Float[Tensor, "batch hidden"], State]:
        """One position: output and state after it; stepping equals the whole pass."""

    @property
    def multiply_accumulates(self) -> int:
        """Multiply–accumulates of the matrix products a position: each weight is used once."""
        return sum(weight.numel() for weight in self.parameters() if weight.dim() > 1)

    def zero_state(self, inputs: Shaped[Tensor, "batch ..."]) -> State:
        """Zeros for as many sequences, on the device and of the dtype of `inputs`."""
        return tuple(inputs.new_zeros(len(inputs), size) for size in self.state_sizes)


class FusedRNN(Recurrence):
    """`nn.RNN`: h_t = φ(W x_t + b + U h_{t−1}) (Elman 1990).

    Args:
        nonlinearity: φ, "tanh" or "relu".
        initialisation: "orthogonal" recurrent weights (Saxe et al. 2014), Xavier-uniform input
            weights and biases 0; or PyTorch's "uniform" within ±1/√hidden_size for all.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        initialisation: Literal["orthogonal", "uniform"] = "orthogonal",
    ) -> None:
        super().__init__(input_size, hidden_size, (hidden_size,))
        if initialisation not in ("orthogonal", "uniform"):
            raise InputError(f"initialisation={initialisation!r} must be orthogonal or uniform")
        self.nonlinearity: Literal["tanh", "relu"] = nonlinearity
        self.rnn = nn.RNN(input_size, hidden_size, nonlinearity=nonlinearity, batch_first=True)
        if initialisation == "orthogonal":
            _initialise(self.rnn)

    def forward(
        self,
        inputs: Float[Tensor, "batch time feature"],
        lengths: Int[Tensor, " batch"],
        state: State | None = None,
        *,
        need_state: bool = True,
    ) -> tuple[Float[Tensor, "batch time hidden"], State | None]:
        if inputs.device.type == "cpu" and not torch.compiler.is_compiling():
            outputs = self._run_by_hand(inputs, state)
        else:
            outputs, _ = self.rnn(inputs, None if state is None else _layered(state[0]))
        return outputs, (last_valid(outputs, lengths),) if need_state else None

    def step(
        self, inputs: Float[Tensor, "batch feature"], state: State | None = None
    ) -> tuple[Float[Tensor, "batch hidden"], State]:
        _, last = self.rnn(inputs[:, None], None if state is None else _layered(state[0]))
        hidden = last[0]
        return hidden, (hidden,)

    def _run_by_hand(self, inputs: Tensor, state: State | None) -> Tensor:
        """What `nn.RNN` computes; on a CPU it has no fused kernel, and loses to `rnn_pass`."""
        input_weight, weight, *biases = self.rnn.all_weights[0]
        hidden = self.zero_state(inputs)[0] if state is None else state[0]
        # Time first, so that each step reads and writes one stretch of memory.
        outputs = rnn_pass(
            inputs.transpose(0, 1),
            hidden,
            input_weight=input_weight,
            weight=weight,
            bias=biases[0] + biases[1],
            nonlinearity=self.nonlinearity,
        )
        return outputs.transpose(0, 1)


class FusedGRU(Recurrence):
    """`nn.GRU` (Cho et al. 2014), with the reset gate after the matrix product.

    Recurrent weights start orthogonal gate by gate, input weights Xavier-uniform, and biases 0
    except the update gate's.

    Args:
        update_bias: the update gate's bias at the start: the larger, the longer the memory.
    """

    def __init__(self, input_size: int, hidden_size: int, *, update_bias: float = 0.0) -> None:
        super().__init__(input_size, hidden_size, (hidden_size,))
        self.rnn = nn.GRU(input_size, hidden_size, batch_first=True)
        _initialise(self.rnn)
        # PyTorch keeps the gates in the order reset, update, candidate.
        nn.init.constant_(self.rnn.all_weights[0][2][hidden_size : 2 * hidden_size], update_bias)

    def forward(
        self,
        inputs: Float[Tensor, "batch time feature"],
        lengths: Int[Tensor, " batch"],
        state: State | None = None,
        *,
        need_state: bool = True,
    ) -> tuple[Float[Tensor, "batch time hidden"], State | None]:
        outputs, _ = self.rnn(inputs, None if state is None else _layered(state[0]))
        return outputs, (last_valid(outputs, lengths),) if need_state else None

    def step(
        self, inputs: Float[Tensor, "batch feature"], state: State | None = None
    ) -> tuple[Float[Tensor, "batch hidden"], State]:
        _, last = self.rnn(inputs[:, None], None if state is None else _layered(state[0]))
        hidden = last[0]
        return hidden, (hidden,)


class FusedLSTM(Recurrence):
    """`nn.LSTM` (Hochreiter & Schmidhuber 1997; forget gate of Gers et al. 2000).

    Recurrent weights start orthogonal gate by gate, input weights Xavier-uniform, and biases 0
    except the forget gate's (Jozefowicz et al. 2015).

    Args:
        forget_bias: the forget gate's bias at the start.
    """

    def __init__(self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0) -> None:
        super().__init__(input_size, hidden_size, (hidden_size, hidden_size))
        self.rnn = nn.LSTM(input_size, hidden_size, batch_first=True)
        _initialise(self.rnn)
        # PyTorch keeps the gates in the order input, forget, cell, output.
        nn.init.constant_(self.rnn.all_weights[0][2][hidden_size : 2 * hidden_size], forget_bias)

    def forward(
        self,
        inputs: Float[Tensor, "batch time feature"],
        lengths: Int[Tensor, " batch"],
        state: State | None = None,
        *,
        need_state: bool = True,
    ) -> tuple[Float[Tensor, "batch time hidden"], State | None]:
        with self._precision(inputs):
            inputs, before = self._entering(inputs, state)
            if need_state and not _unpadded(inputs, lengths):
                return self._run_and_freeze(inputs, lengths, before)
            outputs, (hidden, cell) = self.rnn(inputs, before)
            return outputs, (hidden[0], cell[0]) if need_state else None

    def step(
        self, inputs: Float[Tensor, "batch feature"], state: State | None = None
    ) -> tuple[Float[Tensor, "batch hidden"], State]:
        with self._precision(inputs):
            inputs, before = self._entering(inputs, state)
            _, (hidden, cell) = self.rnn(inputs[:, None], before)
        output = hidden[0]
        return output, (output, cell[0])

    def _precision(self, inputs: Tensor) -> AbstractContextManager[object]:
        """Full precision under a processor's autocast: most have no LSTM in half precision."""
        if inputs.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            return torch.autocast("cpu", enabled=False)
        return nullcontext()

    def _entering(
        self, inputs: Tensor, state: State | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """Inputs and state as `nn.LSTM` takes them; where nothing is cast, of the weights' type."""
        if not torch.is_autocast_enabled(inputs.device.type):
            dtype = self.rnn.all_weights[0][0].dtype
            inputs = inputs.to(dtype)
            state = None if state is None else tuple(part.to(dtype) for part in state)
        return inputs, None if state is None else (_layered(state[0]), _layered(state[1]))

    def _run_and_freeze(
        self, inputs: Tensor, lengths: Tensor, before: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, State]:
        """Runs with the cell state frozen over the padding, so that the last one is the final.

        The fused kernels return the cell state after the last position only. An input that is 1
        where padded saturates the forget gate at exactly 1 and the input gate at exactly 0 there.
        """
        batch, time, _ = inputs.shape
        hidden = self.hidden_size
        if before is None:
            before = (inputs.new_zeros(1, batch, hidden), inputs.new_zeros(1, batch, hidden))
        steps = torch.arange(time, device=lengths.device)
        padded = (steps >= lengths[:, None]).to(inputs.dtype)[..., None]
        weight, *others = self.rnn.all_weights[0]
        gate = weight.new_zeros(4, hidden, 1)
        gate[0], gate[1] = -SATURATION, SATURATION
        outputs, _, cell = torch.lstm(
            torch.cat([inputs, padded], dim=-1),
            before,
            [torch.cat([weight, gate.flatten(0, 1)], dim=1), *others],
            True,  # has_biases
            1,  # num_layers
            0.0,  # dropout
            self.training,
            False,  # bidirectional
            True,  # batch_first
        )
        return outputs, (last_valid(outputs, lengths), cell[0])


# exp(−1e4) is 0 in every precision, so that the gates are exactly 0 and 1.
SATURATION = 1e4


def _initialise(rnn: nn.RNNBase) -> None:
    input_weight, recurrent_weight, *biases = rnn.all_weights[0]
    initialise_gates(input_weight, recurrent_weight, rnn.hidden_size)
    for bias in biases:
        nn.init.zeros_(bias)


def initialise_gates(
    input_weight: Float[Tensor, "gates_hidden feature"],
    recurrent_weight: Float[Tensor, "gates_hidden hidden"],
    hidden_size: int,
) -> None:
    """Xavier-uniform input weights and orthogonal recurrent ones, each gate by itself."""
    for gate in input_weight.split(hidden_size):
        nn.init.xavier_uniform_(gate)
    for gate in recurrent_weight.split(hidden_size):
        nn.init.orthogonal_(gate)


def last_valid(
    states: Float[Tensor, "batch time hidden"], lengths: Int[Tensor, " batch"]
) -> Float[Tensor, "batch hidden"]:
    """The state at each sequence's last valid position."""
    return states[torch.arange(len(lengths), device=lengths.device), lengths - 1]


def _unpadded(inputs: Tensor, lengths: Tensor) -> bool:
    """No sequence is padded; on another device than a CPU to ask costs more than it saves."""
    asked = inputs.device.type == "cpu" and not torch.compiler.is_compiling()
    return asked and int(lengths.min()) == inputs.shape[1]


def _layered(part: Tensor) -> Tensor:
    """(batch, hidden) → (1, batch, hidden), as PyTorch's layers take it."""
    return part[None].contiguous()
