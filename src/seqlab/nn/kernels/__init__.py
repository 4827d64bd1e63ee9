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
    RNNCell: (
        Kernel(cpu_rnn.applies, cpu_rnn.run),
        Kernel(fused.applies, fused.run_rnn),
    ),
    GRUCell: (Kernel(fused.applies_to_gru, fused.run_gru),),
    LSTMCell: (Kernel(fused.applies, fused.run_lstm),),
    MinGRUCell: (Kernel(minimal.applies, minimal.run_min_gru),),
    MinLSTMCell: (Kernel(minimal.applies, minimal.run_min_lstm),),
    LRUCell: (Kernel(linear_unit.applies, linear_unit.run),),
    reverse_valid: (Kernel(reversal.applies, reversal.run),),
    log_partition: (Kernel(forward_backward.applies, forward_backward.run_log_partition),),
    unary_marginals: (Kernel(forward_backward.applies, forward_backward.run_unary_marginals),),
    # One step, from the inputs before they are projected.
    (RNNCell, "step"): (Kernel(fused_step.applies, fused_step.run_rnn),),
    (GRUCell, "step"): (Kernel(fused_step.applies_to_gru, fused_step.run_gru),),
    (LSTMCell, "step"): (
        Kernel(fused_step.applies_wide, fused_step.run_lstm_wide),
        Kernel(fused_step.applies, fused_step.run_lstm),
    ),
    additive_scores: (Kernel(additive_score.applies, additive_score.run),),
    key_factors: (Kernel(additive_score.wants_factors, additive_score.exponentials),),
    AttentionDecoder: (Kernel(attention_loop.applies, attention_loop.run),),
}
