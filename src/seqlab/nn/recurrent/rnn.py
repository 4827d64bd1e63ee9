"""The simple recurrent network."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqlab.errors import InputError
from seqlab.nn.recurrent.cell import GatedCell, Initialisation, State, dropped


class RNNCell(GatedCell):
    """h_t = φ(W x_t + b + U h_{t−1} + b′) (Elman 1990).

    Args:
        nonlinearity: φ, "tanh" or "relu".
        initialisation: of the weights, "orthogonal" or PyTorch's "uniform".

    Raises:
        InputError: an unknown name of either.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        initialisation: Initialisation = "orthogonal",
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise InputError(f"nonlinearity={nonlinearity!r} must be tanh or relu")
        super().__init__(input_size, hidden_size, blocks=("hidden",))
        self.bias_ih = nn.Parameter(torch.empty(hidden_size))
        self.bias_hh = nn.Parameter(torch.empty(hidden_size))
        self.initialise(initialisation)
        self.nonlinearity: Literal["tanh", "relu"] = nonlinearity

    def project(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs, self.weight_ih, self.bias_ih)

    def gates(
        self, projected: Tensor, state: State, mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        product = F.linear(dropped(state[0], mask), self.weight_hh, self.bias_hh)
        apply = torch.tanh if self.nonlinearity == "tanh" else torch.relu
        return {"hidden": apply(projected + product)}

    def step(self, projected: Tensor, state: State, mask: Tensor | None = None) -> State:
        return (self.gates(projected, state, mask)["hidden"],)
