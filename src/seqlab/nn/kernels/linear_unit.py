"""The linear recurrent unit over a whole sequence at once."""

from __future__ import annotations

import torch
from torch import Tensor

from seqlab.nn.kernels.parallel_scan import linear_scan
from seqlab.nn.masking import last_valid
from seqlab.nn.recurrent.cell import State
from seqlab.nn.recurrent.lru import LRUCell, as_complex


def run(
    cell: LRUCell, inputs: Tensor, lengths: Tensor, state: State | None, need_state: bool
) -> tuple[Tensor, State | None]:
    """The states by a parallel scan."""
    entered, normed, values = cell.read_in(inputs)
    decay = cell.eigenvalues.expand(1, inputs.shape[1], -1)
    states = linear_scan(decay, as_complex(values), None if state is None else as_complex(state[1]))
    flat = torch.cat([states.real, states.imag], dim=-1)
    outputs = cell.read_out(flat, entered, normed)
    if not need_state:
        return outputs, None
    return outputs, (last_valid(outputs, lengths), last_valid(flat, lengths))
