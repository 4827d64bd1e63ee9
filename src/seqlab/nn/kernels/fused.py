"""PyTorch's fused layers for the RNN, GRU and LSTM cells."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from seqlab.nn.masking import last_valid, valid_mask
from seqlab.nn.recurrent.cell import State
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.lstm import LSTMCell
from seqlab.nn.recurrent.rnn import RNNCell

FusedCell = RNNCell | GRUCell | LSTMCell

# exp(−1e4) is 0 in every precision, so that the gates are exactly 0 and 1.
SATURATION = 1e4


def applies_to_gru(
    cell: GRUCell, inputs: Tensor, lengths: Tensor, state: State | None, need_state: bool
) -> bool:
    """PyTorch's GRU has the reset after the matrix product."""
    return cell.reset == "after"


def run_rnn(
    cell: RNNCell, inputs: Tensor, lengths: Tensor, state: State | None, need_state: bool
) -> tuple[Tensor, State | None]:
    """`torch.rnn_tanh` or `torch.rnn_relu`."""
    layer = torch.rnn_tanh if cell.nonlinearity == "tanh" else torch.rnn_relu
    (before,) = _layered(cell, inputs, state)
    outputs, _ = layer(inputs, before, _weights(cell), *_SETTINGS, cell.training, *_WAY)
    return outputs, (last_valid(outputs, lengths),) if need_state else None


def run_gru(
    cell: GRUCell, inputs: Tensor, lengths: Tensor, state: State | None, need_state: bool
) -> tuple[Tensor, State | None]:
    """`torch.gru`."""
    (before,) = _layered(cell, inputs, state)
    outputs, _ = torch.gru(inputs, before, _weights(cell), *_SETTINGS, cell.training, *_WAY)
    return outputs, (last_valid(outputs, lengths),) if need_state else None


def run_lstm(
    cell: LSTMCell, inputs: Tensor, lengths: Tensor, state: State | None, need_state: bool
) -> tuple[Tensor, State | None]:
    """`torch.lstm`.

    It returns the cell state after the last position only. Where a sequence is padded and its final
    state is asked for, an input that is 1 where padded freezes the cell state: it saturates the
    forget gate at exactly 1 and the input gate at exactly 0.
    """
    device = inputs.device.type
    weights = _weights(cell)
    # Most processors have no LSTM in half precision: under their autocast it runs in the weights'.
    full = device == "cpu" and torch.is_autocast_enabled(device)
    with torch.autocast(device, enabled=False) if full else nullcontext():
        if not torch.is_autocast_enabled(device):
            inputs = inputs.to(weights[0].dtype)
        before = _layered(cell, inputs, state)
        freezes = need_state and not _unpadded(inputs, lengths)
        if freezes:
            padded = ~valid_mask(lengths, inputs.shape[1])
            inputs = torch.cat([inputs, padded.to(inputs.dtype)[..., None]], dim=-1)
            gate = weights[0].new_zeros(4, cell.hidden_size, 1)
            gate[0], gate[1] = -SATURATION, SATURATION
            weights[0] = torch.cat([weights[0], gate.flatten(0, 1)], dim=1)
        outputs, _, last = torch.lstm(inputs, before, weights, *_SETTINGS, cell.training, *_WAY)
    return outputs, (last_valid(outputs, lengths), last[0]) if need_state else None


# With biases, one layer, no dropout; one direction, batch first.
_SETTINGS = (True, 1, 0.0)
_WAY = (False, True)


def _weights(cell: FusedCell) -> list[Tensor]:
    weights = [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]
    if weights[0].is_cuda:
        compact(weights)
    return list(weights)


def compact(weights: Sequence[nn.Parameter]) -> None:
    """Moves the weights into one stretch of memory, in this order, where cuDNN wants them.

    It would otherwise copy them there at each call, and warn.
    """
    if len({weight.untyped_storage().data_ptr() for weight in weights}) == 1:
        return
    # The first call may be a validation's, and training must go on with these tensors.
    with torch.inference_mode(False), torch.no_grad():
        whole = torch.cat([weight.data.flatten() for weight in weights])
        parts = whole.split([weight.numel() for weight in weights])
        for weight, part in zip(weights, parts, strict=True):
            weight.data = part.view_as(weight)


def _unpadded(inputs: Tensor, lengths: Tensor) -> bool:
    """No sequence is padded; on another device than a CPU to ask costs more than it saves."""
    return inputs.device.type == "cpu" and int(lengths.min()) == inputs.shape[1]


def _layered(cell: FusedCell, inputs: Tensor, state: State | None) -> list[Tensor]:
    """The state before the first step, each part (1, batch, hidden) as PyTorch's layers take it."""
    state = cell.zero_state(inputs) if state is None else state
    return [part[None].to(inputs.dtype).contiguous() for part in state]
