"""PyTorch's own layers, run on each sequence alone and unpadded: what ours must equal."""

from functools import partial

import torch
from torch import nn

from seqlab.nn.recurrent.encoder import RecurrentEncoder
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.lstm import LSTMCell
from seqlab.nn.recurrent.rnn import RNNCell

CELLS = {
    "rnn": RNNCell,
    "relu_rnn": partial(RNNCell, nonlinearity="relu"),
    "gru": GRUCell,
    "lstm": LSTMCell,
}
KINDS = {
    "rnn": nn.RNN,
    "relu_rnn": partial(nn.RNN, nonlinearity="relu"),
    "gru": nn.GRU,
    "lstm": nn.LSTM,
}
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}


def make_encoder(cell, dtype=torch.float64, **options):
    """A small encoder whose biases and learned states are not at their starting values."""
    encoder = RecurrentEncoder(3, cell=CELLS[cell], **{"hidden_size": 4, **options}).to(dtype)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if "bias" in name or "initial" in name:
                parameter.add_(torch.randn_like(parameter) / 2)
    return encoder


def torch_layer(cell, encoder):
    """PyTorch's stack of layers with the encoder's weights."""
    layer = KINDS[cell](
        encoder.input_size,
        encoder.hidden_size,
        num_layers=len(encoder.layers),
        bidirectional=encoder.directions == 2,
        batch_first=True,
    ).to(next(encoder.parameters()))
    for number, directions in enumerate(encoder.layers):
        for ending, recurrence in zip(("", "_reverse"), directions, strict=False):
            for name, weight in recurrence.cell.named_parameters():
                target = getattr(layer, f"{name}_l{number}{ending}")
                target.data.copy_(weight.data)
    return layer


def run_alone(layer, sequence, state=None):
    """States (time, output) and the parts of the final state, each (rows, size)."""
    if state is not None:
        state = tuple(part[:, None].contiguous() for part in state)
        state = state if isinstance(layer, nn.LSTM) else state[0]
    states, final = layer(sequence[None], state)
    parts = final if isinstance(final, tuple) else (final,)
    return states[0], tuple(part[:, 0] for part in parts)


def padded_inputs(lengths, features=3, extra=0, dtype=torch.float64):
    """Random inputs with random junk behind each sequence."""
    return torch.randn(len(lengths), max(lengths) + extra, features, dtype=dtype)
