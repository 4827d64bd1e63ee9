"""Recurrences: each cell's equation once, the layer that runs it over time, and the encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seqlab.lazy import lazy

if TYPE_CHECKING:
    from seqlab.nn.recurrent.cell import Cell, GatedCell, State
    from seqlab.nn.recurrent.encoder import RecurrentEncoder
    from seqlab.nn.recurrent.gru import GRUCell
    from seqlab.nn.recurrent.layer import RecurrentLayer
    from seqlab.nn.recurrent.lru import LRUCell
    from seqlab.nn.recurrent.lstm import LSTMCell
    from seqlab.nn.recurrent.minimal import MinGRUCell, MinLSTMCell
    from seqlab.nn.recurrent.rnn import RNNCell
    from seqlab.nn.recurrent.variants import LayerNormGRUCell, LayerNormLSTMCell, PeepholeLSTMCell

__all__ = [
    "Cell",
    "GRUCell",
    "GatedCell",
    "LRUCell",
    "LSTMCell",
    "LayerNormGRUCell",
    "LayerNormLSTMCell",
    "MinGRUCell",
    "MinLSTMCell",
    "PeepholeLSTMCell",
    "RNNCell",
    "RecurrentEncoder",
    "RecurrentLayer",
    "State",
]
__getattr__ = lazy(__name__)
