"""The steps of an RNN, GRU or LSTM after their matrix products, and their gradients.

A loop that needs both runs through buffers of all its steps, taken apart beforehand: at the usual
sizes it costs a CPU as much to point at one step of a tensor as to compute with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqlab.nn.recurrent.cell import Cell, State
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.lstm import LSTMCell
from seqlab.nn.recurrent.rnn import RNNCell

_sigmoid_slope = torch.ops.aten.sigmoid_backward.grad_input  # (x, σ) → x σ (1 − σ)
_tanh_slope = torch.ops.aten.tanh_backward.grad_input  # (x, τ) → x (1 − τ²)

Steps = tuple[Tensor, ...]
"""A tensor's steps."""


class Parameters(NamedTuple):
    """A layer's parameters, one block of buffers for each of `LoopCell.blocks`."""

    input_weight: Tensor
    recurrent_weight: Tensor
    bias: Tensor


class Forward(ABC):
    """The steps of a layer.

    Attributes:
        products: (batch, blocks · hidden) of each step, to be filled before it.
        saved: what the gradient needs beside the states.
    """

    products: Steps
    saved: State

    @abstractmethod
    def step(self, number: int, before: Tensor, after: Tensor) -> None:
        """Computes the hidden state (batch, hidden) `after` a step from that `before`."""


class Backward(ABC):
    """The gradients of a layer's steps, from the last to the first.

    Attributes:
        all_products: (steps, batch, blocks · hidden) gradient of the products, once all are done.
        products: its steps.
        cell: gradient of the cell state before the step that was done last, for an LSTM.
    """

    all_products: Tensor
    products: Steps
    cell: Tensor | None = None

    @abstractmethod
    def step(self, number: int, after: Tensor, before: Tensor) -> None:
        """Does one step.

        Args:
            number: of the step.
            after: (batch, hidden) gradient of the hidden state after it.
            before: that of the state before; gains what does not pass through the products.
        """


class LoopCell(ABC):
    """The hand-written steps of one kind of cell.

    Attributes:
        blocks: of `hidden` features in a step's product.
        parts: tensors in the state.
    """

    blocks: int
    parts: int

    @abstractmethod
    def parameters(self, cell: Any) -> Parameters:
        """The cell's parameters, in the blocks of the product."""

    @abstractmethod
    def forward(self, steps: int, hidden: Tensor, cell: Tensor | None) -> Forward:
        """Makes room for so many steps from a state, each part (batch, hidden)."""

    @abstractmethod
    def backward(self, saved: State, before: Tensor, states: Tensor) -> Backward:
        """Prepares the gradients.

        Args:
            saved: by `Forward`.
            before: (steps, batch, hidden) hidden states before each step.
            states: after each step.
        """


class RNNLoop(LoopCell):
    """h' = tanh(x + u)."""

    blocks = 1
    parts = 1

    def parameters(self, cell: Any) -> Parameters:
        return _summed(cell)

    def forward(self, steps: int, hidden: Tensor, cell: Tensor | None) -> Forward:
        return _RNNForward(steps, hidden)

    def backward(self, saved: State, before: Tensor, states: Tensor) -> Backward:
        return _RNNBackward(states)


class _RNNForward(Forward):
    def __init__(self, steps: int, hidden: Tensor) -> None:
        self.products = hidden.new_empty(steps, *hidden.shape).unbind(0)
        self.saved = ()

    def step(self, number: int, before: Tensor, after: Tensor) -> None:
        torch.tanh(self.products[number], out=after)


class _RNNBackward(Backward):
    def __init__(self, states: Tensor) -> None:
        self.all_products = torch.addcmul(torch.ones_like(states), states, states, value=-1)
        self.products = self.all_products.unbind(0)

    def step(self, number: int, after: Tensor, before: Tensor) -> None:
        self.products[number].mul_(after)


class GRULoop(LoopCell):
    """r, z = σ(x + u); n = tanh(x + r ⊙ u); h' = n + z ⊙ (h − n).

    The new value needs x and u apart: they are two blocks of the product, the weights of the one
    zero for the recurrent part, of the other for the inputs.
    """

    blocks = 4
    parts = 1

    def parameters(self, cell: Any) -> Parameters:
        weight, bias, size = cell.weight_ih, cell.bias_ih, cell.hidden_size
        both, new = cell.weight_hh.split([2 * size, size])
        both_bias, new_bias = cell.bias_hh.split([2 * size, size])
        return Parameters(
            torch.cat([weight, weight.new_zeros(size, weight.shape[1])]),
            torch.cat([both, torch.zeros_like(new), new]),
            torch.cat([bias[: 2 * size] + both_bias, bias[2 * size :], new_bias]),
        )

    def forward(self, steps: int, hidden: Tensor, cell: Tensor | None) -> Forward:
        return _GRUForward(steps, hidden)

    def backward(self, saved: State, before: Tensor, states: Tensor) -> Backward:
        return _GRUBackward(saved, before)


class _GRUForward(Forward):
    def __init__(self, steps: int, hidden: Tensor) -> None:
        batch, size = hidden.shape
        activations = hidden.new_empty(steps, batch, 4 * size)
        news = hidden.new_empty(steps, batch, size)
        self.products = activations.unbind(0)
        self.gates = activations[..., : 2 * size].unbind(0)
        self.reset, self.update, self.inputs, self.recalled = _parts(activations)
        self.news = news.unbind(0)
        self.saved = (activations, news)

    def step(self, number: int, before: Tensor, after: Tensor) -> None:
        self.gates[number].sigmoid_()
        new = self.news[number]
        torch.addcmul(self.inputs[number], self.reset[number], self.recalled[number], out=new)
        torch.lerp(new.tanh_(), before, self.update[number], out=after)


class _GRUBackward(Backward):
    def __init__(self, saved: State, before: Tensor) -> None:
        activations, news = saved
        reset, update, _, recalled = activations.chunk(4, -1)
        steps, batch, size = news.shape
        # All of these are to be multiplied by the gradient of the state after the step.
        slopes = news.new_empty(steps, batch, 4, size)
        torch.ops.aten.tanh_backward.grad_input(1 - update, news, grad_input=slopes[:, :, 2])
        torch.mul(slopes[:, :, 2], reset, out=slopes[:, :, 3])
        _sigmoid_slope(slopes[:, :, 2] * recalled, reset, grad_input=slopes[:, :, 0])
        _sigmoid_slope(before - news, update, grad_input=slopes[:, :, 1])
        self.all_products = slopes.flatten(2)
        self.products = self.all_products.unbind(0)
        self.slopes = slopes.unbind(0)
        self.update = update.unbind(0)

    def step(self, number: int, after: Tensor, before: Tensor) -> None:
        self.slopes[number].mul_(after[:, None])
        before.addcmul_(after, self.update[number])


class LSTMLoop(LoopCell):
    """i, f, o = σ(x + u); g = tanh(x + u); c' = f ⊙ c + i ⊙ g; h' = o ⊙ tanh(c')."""

    blocks = 4
    parts = 2

    def parameters(self, cell: Any) -> Parameters:
        return _summed(cell)

    def forward(self, steps: int, hidden: Tensor, cell: Tensor | None) -> Forward:
        assert cell is not None  # an LSTM's state has one
        return _LSTMForward(steps, cell)

    def backward(self, saved: State, before: Tensor, states: Tensor) -> Backward:
        return _LSTMBackward(saved)


class _LSTMForward(Forward):
    def __init__(self, steps: int, cell: Tensor) -> None:
        batch, size = cell.shape
        activations = cell.new_empty(steps, batch, 4 * size)
        cells = cell.new_empty(steps + 1, batch, size)
        cells[0] = cell
        bounded = cell.new_empty(steps, batch, size)
        self.products = activations.unbind(0)
        self.gates = activations[..., : 2 * size].unbind(0)
        self.write, self.forget, self.new, self.out = _parts(activations)
        self.cells, self.bounded = cells.unbind(0), bounded.unbind(0)
        self.saved = (activations, cells, bounded)

    def step(self, number: int, before: Tensor, after: Tensor) -> None:
        self.gates[number].sigmoid_()
        new, out = self.new[number].tanh_(), self.out[number].sigmoid_()
        cell, bounded = self.cells[number + 1], self.bounded[number]
        torch.mul(self.forget[number], self.cells[number], out=cell)
        torch.tanh(cell.addcmul_(self.write[number], new), out=bounded)
        torch.mul(out, bounded, out=after)


class _LSTMBackward(Backward):
    def __init__(self, saved: State) -> None:
        activations, cells, bounded = saved
        write, forget, new, out = activations.chunk(4, -1)
        steps, batch, size = bounded.shape
        # To be multiplied by the gradient of the cell state, the last by that of the hidden one.
        slopes = bounded.new_empty(steps, batch, 4, size)
        _sigmoid_slope(new, write, grad_input=slopes[:, :, 0])
        _sigmoid_slope(cells[:-1], forget, grad_input=slopes[:, :, 1])
        _tanh_slope(write, new, grad_input=slopes[:, :, 2])
        _sigmoid_slope(bounded, out, grad_input=slopes[:, :, 3])
        self.all_products = slopes.flatten(2)
        self.products = self.all_products.unbind(0)
        self.by_cell = slopes[:, :, :3].unbind(0)
        self.by_hidden = slopes[:, :, 3].unbind(0)
        self.through = torch.ops.aten.tanh_backward(out, bounded).unbind(0)
        self.forget = forget.unbind(0)
        self.cell = self.carried = torch.zeros_like(bounded[0])
        self.wide = self.carried[:, None]

    def step(self, number: int, after: Tensor, before: Tensor) -> None:
        self.carried.addcmul_(after, self.through[number])
        self.by_cell[number].mul_(self.wide)
        self.by_hidden[number].mul_(after)
        self.carried.mul_(self.forget[number])


def _summed(cell: Any) -> Parameters:
    return Parameters(cell.weight_ih, cell.weight_hh, cell.bias_ih + cell.bias_hh)


def _parts(activations: Tensor) -> tuple[Steps, ...]:
    """The steps of each of four blocks."""
    return tuple(block.unbind(0) for block in activations.chunk(4, -1))


_RNN, _GRU, _LSTM = RNNLoop(), GRULoop(), LSTMLoop()


def loop_cell(cell: Cell) -> LoopCell | None:
    """The hand-written steps of a cell; None where there are none."""
    if type(cell) is RNNCell and cell.nonlinearity == "tanh":
        return _RNN
    if type(cell) is GRUCell and cell.reset == "after":
        return _GRU
    return _LSTM if type(cell) is LSTMCell else None
