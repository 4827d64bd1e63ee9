"""Long short-term memory."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqlab.nn.recurrent.cell import GatedCell, Initialisation, State, dropped


class LSTMCell(GatedCell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate of Gers et al. 2000).

    i, f, o = σ(W x_t + b + U h_{t−1} + b′) and g = tanh(W x_t + b + U h_{t−1} + b′), each with its
    own W, b, U, b′;  c_t = f ⊙ c_{t−1} + i ⊙ g;  h_t = o ⊙ tanh(c_t).

    Args:
        forget_bias: added to the forget gate's bias at the start (Jozefowicz et al. 2015).
        initialisation: of the weights, "orthogonal" or PyTorch's "uniform".
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        forget_bias: float = 1.0,
        initialisation: Initialisation = "orthogonal",
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            blocks=("input", "forget", "candidate", "output"),
            gate_names=("input", "forget", "output"),
            parts=2,
        )
        self.bias_ih = nn.Parameter(torch.empty(4 * hidden_size))
        self.bias_hh = nn.Parameter(torch.empty(4 * hidden_size))
        self.initialise(initialisation)
        self.raise_bias(self.bias_ih, "forget", forget_bias)

    def project(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs, self.weight_ih, self.bias_ih)

    def gates(
        self, projected: Tensor, state: State, mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        product = F.linear(dropped(state[0], mask), self.weight_hh, self.bias_hh)
        i, f, g, o = (projected + product).chunk(4, -1)
        return {
            "input": torch.sigmoid(i),
            "forget": torch.sigmoid(f),
            "candidate": torch.tanh(g),
            "output": torch.sigmoid(o),
        }

    def step(self, projected: Tensor, state: State, mask: Tensor | None = None) -> State:
        gate = self.gates(projected, state, mask)
        cell = gate["forget"] * state[1] + gate["input"] * gate["candidate"]
        return gate["output"] * torch.tanh(cell), cell
