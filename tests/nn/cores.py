"""Every core as an encoder, small: what the laws below are held against."""

from functools import partial

import torch

from seqlab.nn.cell_variants import LayerNormGRUCell, LayerNormLSTMCell, PeepholeLSTMCell
from seqlab.nn.cells import GRUCell, LSTMCell, RNNCell
from seqlab.nn.encoder import RecurrentEncoder
from seqlab.nn.lru import LRU
from seqlab.nn.minimal import MinGRU, MinLSTM
from seqlab.nn.recurrence import FusedGRU, FusedLSTM, FusedRNN
from seqlab.nn.scan import CellRecurrence
from seqlab.nn.tcn import TCNEncoder
from seqlab.nn.transformer import TransformerEncoder

CELLS = {
    "rnn_cell": RNNCell,
    "relu_cell": partial(RNNCell, nonlinearity="relu"),
    "lstm_cell": LSTMCell,
    "gru_cell": GRUCell,
    "gru_cell_before": partial(GRUCell, reset="before"),
    "ln_lstm": LayerNormLSTMCell,
    "ln_gru": LayerNormGRUCell,
    "peephole_lstm": PeepholeLSTMCell,
    "coupled_lstm": partial(PeepholeLSTMCell, coupled=True),
}
PARALLEL = {"min_gru": MinGRU, "min_lstm": MinLSTM, "lru": LRU}
LAYERS = {
    "rnn": FusedRNN,
    "gru": FusedGRU,
    "lstm": FusedLSTM,
    **{name: partial(CellRecurrence, cell=cell) for name, cell in CELLS.items()},
    "zoneout": partial(CellRecurrence, cell=LSTMCell, zoneout=[0.1, 0.3]),
    **PARALLEL,
}
ENCODERS = {
    **{
        name: partial(RecurrentEncoder, layer=layer, num_layers=2, layer_norm=name == "gru")
        for name, layer in LAYERS.items()
    },
    "transformer": TransformerEncoder,
    "rotary": partial(TransformerEncoder, positions="rotary"),
    "tcn": partial(TCNEncoder, num_layers=3, kernel_size=2),
}


def make(name, *, bidirectional=False, dtype=torch.float64, hidden_size=8, seed=0, **options):
    """An encoder of 3 features, evaluating, with every parameter off its starting value."""
    torch.manual_seed(seed)
    encoder = ENCODERS[name](3, hidden_size=hidden_size, bidirectional=bidirectional, **options)
    with torch.no_grad():
        for key, parameter in encoder.named_parameters():
            if not key.endswith(("log_rate", "log_phase", "scale")):
                parameter.add_(0.1 * torch.randn_like(parameter))
    return encoder.to(dtype).eval()
