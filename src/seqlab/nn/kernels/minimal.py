"""minGRU and minLSTM over a whole sequence at once, in log space (Feng et al. 2024, appendix B)."""

from __future__ import annotations

from math import log

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from seqlab.nn.kernels.parallel_scan import Gates, gated_log_scan
from seqlab.nn.masking import last_valid
from seqlab.nn.recurrent.cell import State
from seqlab.nn.recurrent.minimal import MinGRUCell, MinimalCell, MinLSTMCell


def run_min_gru(
    cell: MinGRUCell, inputs: Tensor, lengths: Tensor, state: State | None, need_state: bool
) -> tuple[Tensor, State | None]:
    """Of minGRU."""
    return _run(cell, inputs, lengths, state, need_state, min_gru_logarithms)


def run_min_lstm(
    cell: MinLSTMCell, inputs: Tensor, lengths: Tensor, state: State | None, need_state: bool
) -> tuple[Tensor, State | None]:
    """Of minLSTM."""
    return _run(cell, inputs, lengths, state, need_state, min_lstm_logarithms)


def _run(  # noqa: PLR0917 — a kernel's arguments, and the gates
    cell: MinimalCell,
    inputs: Tensor,
    lengths: Tensor,
    state: State | None,
    need_state: bool,
    logarithms: Gates,
) -> tuple[Tensor, State | None]:
    projected = cell.project(inputs)
    outputs = gated_log_scan(projected, logarithms)
    if state is not None:
        # What is left of the start is added as it is: it may be zero or, learned, negative.
        log_decay, _ = logarithms(projected)
        outputs = outputs + state[0][:, None] * log_decay.cumsum(dim=1).exp()
    outputs = outputs.to(cell.input.weight.dtype)
    return outputs, (last_valid(outputs, lengths),) if need_state else None


def min_gru_logarithms(
    projected: Float[Tensor, "*rest projected"],
) -> tuple[Float[Tensor, "*rest hidden"], Float[Tensor, "*rest hidden"]]:
    """Logarithms of a_t, and of all that is added."""
    z, v = projected.chunk(2, -1)
    log_keep = -F.softplus(z)
    return log_keep, z + log_keep + log_positive(v)


def min_lstm_logarithms(
    projected: Float[Tensor, "*rest projected"],
) -> tuple[Float[Tensor, "*rest hidden"], Float[Tensor, "*rest hidden"]]:
    """Logarithms of a_t, and of all that is added."""
    f, i, v = projected.chunk(3, -1)
    odds = F.softplus(-f) - F.softplus(-i)
    log_keep = -F.softplus(odds)
    return log_keep, odds + log_keep + log_positive(v)


def log_positive(values: Float[Tensor, "*rest"]) -> Float[Tensor, "*rest"]:
    """The logarithm of `positive`, each half switched off, to log ½, where the other one counts."""
    return torch.log(values.clamp(min=0) + 0.5) - F.softplus(F.relu(-values)) + log(2)
