"""One step of an RNN, GRU or LSTM and its gradient, written out for loops that need both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from seqlab.nn.recurrence import State

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


class StepGradients(NamedTuple):
    """Gradients of one step.

    Attributes:
        inputs: of the input products, (batch, gates · hidden).
        recurrent: of the recurrent products; the same tensor where they are simply added.
        hidden: of the hidden state before, but for what passes through the recurrent product;
            None for nothing.
        cell: of the cell state before, for an LSTM.
    """

    inputs: Tensor
    recurrent: Tensor
    hidden: Tensor | None = None
    cell: Tensor | None = None


class Gates(ABC):
    """The arithmetic of one step after its two matrix products, as PyTorch's layers define it.

    Attributes:
        number: how many gates the products hold.
        parts: tensors in the state.
        separate: whether the recurrent product is needed by itself; if not, both come summed.
    """

    number: int
    parts: int
    separate: bool = False

    @abstractmethod
    def step(self, inputs: Tensor, recurrent: Tensor | None, state: State) -> tuple[State, State]:
        """Steps.

        Args:
            inputs: (batch, gates · hidden) input products with their bias, to which the recurrent
                ones are added already unless they are `separate`; may be overwritten.
            recurrent: (batch, gates · hidden) recurrent products with their bias, if `separate`.
            state: before the step, each part (batch, hidden).

        Returns:
            the state after the step, and what `backward` needs beside the states.
        """

    @abstractmethod
    def backward(self, gradient: State, state: State, kept: State) -> StepGradients:
        """The gradient of a step.

        Args:
            gradient: of the state after the step.
            state: before the step.
            kept: what `step` returned beside the new state.
        """


class RNNGates(Gates):
    """h' = tanh(x + u)."""

    number = 1
    parts = 1

    def step(self, inputs: Tensor, recurrent: Tensor | None, state: State) -> tuple[State, State]:
        hidden = inputs.tanh()
        return (hidden,), (hidden,)

    def backward(self, gradient: State, state: State, kept: State) -> StepGradients:
        products = torch.ops.aten.tanh_backward(gradient[0], kept[0])
        return StepGradients(products, products)


class GRUGates(Gates):
    """r, z = σ(x + u); n = tanh(x + r ⊙ u); h' = n + z ⊙ (h − n)."""

    number = 3
    parts = 1
    separate = True

    def step(self, inputs: Tensor, recurrent: Tensor | None, state: State) -> tuple[State, State]:
        assert recurrent is not None  # `separate` says so
        size = state[0].shape[-1]
        both = inputs[..., : 2 * size].add(recurrent[..., : 2 * size]).sigmoid_()
        reset, update = both.chunk(2, -1)
        recurrent_new = recurrent[..., 2 * size :]
        new = torch.addcmul(inputs[..., 2 * size :], reset, recurrent_new).tanh_()
        return (torch.lerp(new, state[0], update),), (both, new, recurrent_new)

    def backward(self, gradient: State, state: State, kept: State) -> StepGradients:
        both, new, recurrent_new = kept
        size = new.shape[-1]
        reset, update = both.chunk(2, -1)
        through = gradient[0] * update
        inputs = torch.empty(*new.shape[:-1], 3 * size, dtype=new.dtype, device=new.device)
        to_new = inputs[..., 2 * size :]
        _tanh_backward(gradient[0] - through, new, grad_input=to_new)
        raw = torch.cat([to_new * recurrent_new, gradient[0] * (state[0] - new)], -1)
        _sigmoid_backward(raw, both, grad_input=inputs[..., : 2 * size])
        recurrent = inputs.clone()
        recurrent[..., 2 * size :].mul_(reset)
        return StepGradients(inputs, recurrent, through)


class LSTMGates(Gates):
    """i, f, o = σ(x + u); g = tanh(x + u); c' = f ⊙ c + i ⊙ g; h' = o ⊙ tanh(c')."""

    number = 4
    parts = 2

    def step(self, inputs: Tensor, recurrent: Tensor | None, state: State) -> tuple[State, State]:
        size = state[0].shape[-1]
        inputs[..., : 2 * size].sigmoid_()
        inputs[..., 2 * size : 3 * size].tanh_()
        inputs[..., 3 * size :].sigmoid_()
        write, forget, new, out = inputs.chunk(4, -1)
        cell = torch.addcmul(forget * state[1], write, new)
        bounded = cell.tanh()
        return (out * bounded, cell), (inputs, bounded)

    def backward(self, gradient: State, state: State, kept: State) -> StepGradients:
        activations, bounded = kept
        size = bounded.shape[-1]
        write, forget, new, out = activations.chunk(4, -1)
        cell = gradient[1] + torch.ops.aten.tanh_backward(gradient[0] * out, bounded)
        products = torch.empty_like(activations)
        raw = torch.cat([cell * new, cell * state[1]], -1)
        _sigmoid_backward(raw, activations[..., : 2 * size], grad_input=products[..., : 2 * size])
        _tanh_backward(cell * write, new, grad_input=products[..., 2 * size : 3 * size])
        _sigmoid_backward(gradient[0] * bounded, out, grad_input=products[..., 3 * size :])
        return StepGradients(products, products, None, cell * forget)


GATES: dict[str, Gates] = {"rnn": RNNGates(), "gru": GRUGates(), "lstm": LSTMGates()}
