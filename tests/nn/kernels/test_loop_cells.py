"""Steps and gradients written out against PyTorch's layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seqlab.nn.kernels.loop_cells import loop_cell
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.lstm import LSTMCell
from seqlab.nn.recurrent.rnn import RNNCell

STEPS, BATCH, INPUT, HIDDEN = 4, 3, 2, 5
LAYERS = {RNNCell: nn.RNN, GRUCell: nn.GRU, LSTMCell: nn.LSTM}


@pytest.mark.parametrize("cell", LAYERS)
def test_steps_and_gradients_are_those_of_the_layer(cell):
    torch.manual_seed(0)
    layer, made = LAYERS[cell](INPUT, HIDDEN).double(), cell(INPUT, HIDDEN).double()
    made.load_state_dict({name[:-3]: weight for name, weight in layer.state_dict().items()})
    gates = loop_cell(made)
    inputs = torch.randn(STEPS, BATCH, INPUT, dtype=torch.float64)
    start = [torch.randn(1, BATCH, HIDDEN, dtype=torch.float64) for _ in range(gates.parts)]
    start = [part.requires_grad_() for part in start]
    outputs, _ = layer(inputs, tuple(start) if gates.parts == 2 else start[0])
    outside = torch.randn_like(outputs)
    outputs.backward(outside)

    parameters = gates.parameters(made)
    assert parameters.recurrent_weight.shape == (gates.blocks * HIDDEN, HIDDEN)
    with torch.no_grad():
        known = inputs @ parameters.input_weight.T + parameters.bias
        hidden = torch.cat([start[0], torch.empty_like(outputs)])
        forward = gates.forward(STEPS, start[0][0], start[1][0] if gates.parts == 2 else None)
        for step in range(STEPS):
            recurrent = hidden[step] @ parameters.recurrent_weight.T
            forward.products[step].copy_(known[step] + recurrent)
            forward.step(step, hidden[step], hidden[step + 1])
        torch.testing.assert_close(hidden[1:], outputs)

        backward = gates.backward(forward.saved, hidden[:-1], hidden[1:])
        gradients = torch.cat([torch.zeros_like(start[0]), outside])
        for step in reversed(range(STEPS)):
            backward.step(step, gradients[step + 1], gradients[step])
            gradients[step] += backward.products[step] @ parameters.recurrent_weight
        torch.testing.assert_close(gradients[0], start[0].grad[0])
        if gates.parts == 2:
            torch.testing.assert_close(backward.cell, start[1].grad[0])
    # Through the blocks back to PyTorch's own parameters.
    products = backward.all_products.flatten(0, 1)
    rebuilt = torch.autograd.grad(
        parameters,
        tuple(made.parameters()),
        (
            products.T @ inputs.flatten(0, 1),
            products.T @ hidden[:-1].flatten(0, 1),
            products.sum(0),
        ),
    )
    for (name, _), gradient in zip(made.named_parameters(), rebuilt, strict=True):
        torch.testing.assert_close(gradient, getattr(layer, f"{name}_l0").grad)


class Derived(LSTMCell):
    """May compute anything else."""


@pytest.mark.parametrize(
    "cell",
    [
        RNNCell(2, 3, nonlinearity="relu"),
        GRUCell(2, 3, reset="before"),
        Derived(2, 3),
    ],
)
def test_other_cells_have_no_hand_written_steps(cell):
    assert loop_cell(cell) is None
