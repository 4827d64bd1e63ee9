"""PyTorch's fused steps for the RNN, GRU and LSTM cells."""

from __future__ import annotations

import torch
from torch import Tensor

from seqlab.nn.recurrent.cell import State
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.lstm import LSTMCell
from seqlab.nn.recurrent.rnn import RNNCell

# Numbers in the inputs from which PyTorch's whole LSTM layer takes one step faster than its cell.
WIDE = 1 << 13


def applies(cell: RNNCell | GRUCell | LSTMCell, inputs: Tensor, state: State) -> bool:
    """Where nothing is cast: these take tensors of one type."""
    return not torch.is_autocast_enabled(inputs.device.type) and all(
        part.dtype == cell.weight_hh.dtype for part in (inputs, *state)
    )


def applies_to_gru(cell: GRUCell, inputs: Tensor, state: State) -> bool:
    """PyTorch's GRU has the reset after the matrix product."""
    return cell.reset == "after" and applies(cell, inputs, state)


def applies_wide(cell: LSTMCell, inputs: Tensor, state: State) -> bool:
    """On a CPU, which has another kernel for whole layers, where no gradient is needed."""
    wide = inputs.device.type == "cpu" and inputs.numel() >= WIDE
    return wide and not torch.is_grad_enabled() and applies(cell, inputs, state)


def run_rnn(cell: RNNCell, inputs: Tensor, state: State) -> State:
    """`torch.rnn_tanh_cell` or `torch.rnn_relu_cell`."""
    step = torch.rnn_tanh_cell if cell.nonlinearity == "tanh" else torch.rnn_relu_cell
    return (step(inputs, state[0], cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh),)


def run_gru(cell: GRUCell, inputs: Tensor, state: State) -> State:
    """`torch.gru_cell`."""
    weights = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
    return (torch.gru_cell(inputs, state[0], *weights),)


def run_lstm(cell: LSTMCell, inputs: Tensor, state: State) -> State:
    """`torch.lstm_cell`."""
    weights = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
    return torch.lstm_cell(inputs, state, *weights)


def run_lstm_wide(cell: LSTMCell, inputs: Tensor, state: State) -> State:
    """`torch.lstm` for one step."""
    weights = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
    before = [part[None].contiguous() for part in state]
    # With biases, one layer, no dropout, not training, one direction, batch first.
    settings = (True, 1, 0.0, False, False, True)
    _, hidden, memory = torch.lstm(inputs[:, None], before, weights, *settings)
    return hidden[0], memory[0]
