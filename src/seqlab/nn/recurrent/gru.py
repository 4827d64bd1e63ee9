"""The gated recurrent unit."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqlab.errors import InputError
from seqlab.nn.recurrent.cell import GatedCell, Initialisation, State, dropped


class GRUCell(GatedCell):
    """Gated recurrent unit (Cho et al. 2014, equations 5–8).

    r, z = σ(W x_t + b + U h_{t−1} + b′);  h_t = (1 − z) ⊙ n + z ⊙ h_{t−1}.  The candidate is
    n = tanh(W x_t + b + U (r ⊙ h_{t−1}) + b′) with the reset before the matrix product, as in the
    paper, or n = tanh(W x_t + b + r ⊙ (U h_{t−1} + b′)) with it after, as in `nn.GRU`.

    Args:
        reset: "after" or "before" the matrix product.
        update_bias: added to the update gate's bias at the start: the larger, the longer the
            memory.
        initialisation: of the weights, "orthogonal" or PyTorch's "uniform".

    Raises:
        InputError: another reset.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        reset: Literal["after", "before"] = "after",
        update_bias: float = 0.0,
        initialisation: Initialisation = "orthogonal",
    ) -> None:
        if reset not in ("after", "before"):
            raise InputError(f"reset={reset!r} must be after or before (the matrix product)")
        super().__init__(
            input_size,
            hidden_size,
            blocks=("reset", "update", "candidate"),
            gate_names=("reset", "update"),
        )
        self.reset: Literal["after", "before"] = reset
        self.bias_ih = nn.Parameter(torch.empty(3 * hidden_size))
        self.bias_hh = nn.Parameter(torch.empty(3 * hidden_size))
        self.initialise(initialisation)
        self.raise_bias(self.bias_ih, "update", update_bias)

    def project(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs, self.weight_ih, self.bias_ih)

    def gates(
        self, projected: Tensor, state: State, mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        hidden, sizes = dropped(state[0], mask), [2 * self.hidden_size, self.hidden_size]
        gates, candidate = projected.split(sizes, -1)
        if self.reset == "after":
            product, recurrent = F.linear(hidden, self.weight_hh, self.bias_hh).split(sizes, -1)
            r, z = torch.sigmoid(gates + product).chunk(2, -1)
            n = torch.tanh(candidate + r * recurrent)
        else:
            gate_weight, weight = self.weight_hh.split(sizes)
            gate_bias, bias = self.bias_hh.split(sizes)
            r, z = torch.sigmoid(gates + F.linear(hidden, gate_weight, gate_bias)).chunk(2, -1)
            n = torch.tanh(candidate + F.linear(r * hidden, weight, bias))
        return {"reset": r, "update": z, "candidate": n}

    def step(self, projected: Tensor, state: State, mask: Tensor | None = None) -> State:
        gate = self.gates(projected, state, mask)
        return (gate["candidate"] + gate["update"] * (state[0] - gate["candidate"]),)
