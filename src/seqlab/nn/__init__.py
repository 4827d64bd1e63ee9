"""Layers: tensors in, tensors out. Knows no task and no configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seqlab.lazy import lazy

if TYPE_CHECKING:
    from seqlab.nn.attention import (
        AdditiveAttention,
        DotAttention,
        GeneralAttention,
        MultiheadAttention,
        ScaledDotAttention,
    )
    from seqlab.nn.attention.attention import Attention
    from seqlab.nn.crf import CRF
    from seqlab.nn.decoding.beam import BeamOptions
    from seqlab.nn.decoding.constraints import Constraints
    from seqlab.nn.decoding.decoder import AttentionDecoder
    from seqlab.nn.decoding.sampling import SamplingOptions
    from seqlab.nn.distributions import Forecast
    from seqlab.nn.encoder import Encoder
    from seqlab.nn.masking import reverse_valid, valid_mask
    from seqlab.nn.pooling import Pooling
    from seqlab.nn.recurrent.cell import Cell, GatedCell, State
    from seqlab.nn.recurrent.encoder import RecurrentEncoder
    from seqlab.nn.recurrent.gru import GRUCell
    from seqlab.nn.recurrent.layer import RecurrentLayer
    from seqlab.nn.recurrent.lru import LRUCell
    from seqlab.nn.recurrent.lstm import LSTMCell
    from seqlab.nn.recurrent.minimal import MinGRUCell, MinLSTMCell
    from seqlab.nn.recurrent.rnn import RNNCell
    from seqlab.nn.recurrent.variants import LayerNormGRUCell, LayerNormLSTMCell, PeepholeLSTMCell
    from seqlab.nn.scaling import Normaliser
    from seqlab.nn.tcn import TCNEncoder
    from seqlab.nn.transformer import TransformerEncoder

__all__ = [
    "CRF",
    "AdditiveAttention",
    "Attention",
    "AttentionDecoder",
    "BeamOptions",
    "Cell",
    "Constraints",
    "DotAttention",
    "Encoder",
    "Forecast",
    "GRUCell",
    "GatedCell",
    "GeneralAttention",
    "LRUCell",
    "LSTMCell",
    "LayerNormGRUCell",
    "LayerNormLSTMCell",
    "MinGRUCell",
    "MinLSTMCell",
    "MultiheadAttention",
    "Normaliser",
    "PeepholeLSTMCell",
    "Pooling",
    "RNNCell",
    "RecurrentEncoder",
    "RecurrentLayer",
    "SamplingOptions",
    "ScaledDotAttention",
    "State",
    "TCNEncoder",
    "TransformerEncoder",
    "reverse_valid",
    "valid_mask",
]
__getattr__ = lazy(__name__)
