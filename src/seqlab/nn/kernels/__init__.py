"""Fast and equal implementations of what is defined elsewhere, and the table of them.

Each file is one. Nothing but `seqlab.nn.kernel_table` imports this folder; without it everything
works, slower. Gradients of gradients are not available where a kernel is differentiated by hand.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from seqlab.nn.attention.additive_score import additive_scores, key_factors
from seqlab.nn.decoding.decoder import AttentionDecoder
from seqlab.nn.forward_backward import log_partition, unary_marginals
from seqlab.nn.kernel_table import Kernel
from seqlab.nn.kernels import (
    additive_score,
    attention_loop,
    cpu_rnn,
    forward_backward,
    fused,
    fused_step,
    linear_unit,
    minimal,
    reversal,
)
from seqlab.nn.masking import reverse_valid
from seqlab.nn.recurrent.gru import GRUCell
from seqlab.nn.recurrent.lru import LRUCell
from seqlab.nn.recurrent.lstm import LSTMCell
from seqlab.nn.recurrent.minimal import MinGRUCell, MinLSTMCell
from seqlab.nn.recurrent.rnn import RNNCell

KERNELS: Mapping[Hashable, tuple[Kernel, ...]] = {
    RNNCell: (Kernel(cpu_rnn.run, cpu_rnn.applies), Kernel(fused.run_rnn)),
    GRUCell: (Kernel(fused.run_gru, fused.applies_to_gru),),
    LSTMCell: (Kernel(fused.run_lstm),),
    MinGRUCell: (Kernel(minimal.run_min_gru),),
    MinLSTMCell: (Kernel(minimal.run_min_lstm),),
    LRUCell: (Kernel(linear_unit.run),),
    # One step, from the inputs before they are projected.
    (RNNCell, "step"): (Kernel(fused_step.run_rnn, fused_step.applies),),
    (GRUCell, "step"): (Kernel(fused_step.run_gru, fused_step.applies_to_gru),),
    (LSTMCell, "step"): (
        Kernel(fused_step.run_lstm_wide, fused_step.applies_wide),
        Kernel(fused_step.run_lstm, fused_step.applies),
    ),
    AttentionDecoder: (Kernel(attention_loop.run, attention_loop.applies),),
    additive_scores: (Kernel(additive_score.run, additive_score.applies),),
    key_factors: (Kernel(additive_score.exponentials),),
    reverse_valid: (Kernel(reversal.run),),
    log_partition: (Kernel(forward_backward.run_log_partition),),
    unary_marginals: (Kernel(forward_backward.run_unary_marginals),),
}
