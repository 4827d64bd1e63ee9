"""Variants of the LSTM and the GRU: peepholes, coupled gates, layer normalisation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqlab.nn.recurrent.cell import GatedCell, Initialisation, State, dropped


class PeepholeLSTMCell(GatedCell):
    """An LSTM whose gates see the cell state (Gers & Schmidhuber 2000; Greff et al. 2017, sec. 2).

    i = σ(W x_t + b + U h_{t−1} + p_i ⊙ c_{t−1}), f likewise, o = σ(… + p_o ⊙ c_t), the rest as in
    `LSTMCell`.

    Args:
        coupled: f = 1 − i, without weights of its own (Greff et al. 2017, section 3, "CIFG").
        forget_bias: added to the forget gate's bias at the start; where coupled, taken off the
            input gate's.
        initialisation: of the weights, "orthogonal" or PyTorch's "uniform"; peepholes start at 0.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        coupled: bool = False,
        forget_bias: float = 1.0,
        initialisation: Initialisation = "orthogonal",
    ) -> None:
        gates = ("input", "output") if coupled else ("input", "forget", "output")
        super().__init__(
            input_size,
            hidden_size,
            blocks=(*gates[:-1], "candidate", "output"),
            gate_names=gates,
            parts=2,
        )
        self.coupled = coupled
        self.bias_ih = nn.Parameter(torch.empty(len(self.blocks) * hidden_size))
        self.initialise(initialisation)
        if coupled:
            self.raise_bias(self.bias_ih, "input", -forget_bias)
        else:
            self.raise_bias(self.bias_ih, "forget", forget_bias)
        self.peepholes = nn.Parameter(torch.zeros(len(gates), hidden_size))

    def project(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs, self.weight_ih, self.bias_ih)

    def gates(
        self, projected: Tensor, state: State, mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        product = F.linear(dropped(state[0], mask), self.weight_hh)
        *entry, g, o = (projected + product).chunk(len(self.blocks), -1)
        *into, out = self.peepholes
        gates = [torch.sigmoid(x + p * state[1]) for x, p in zip(entry, into, strict=True)]
        i, f = (gates[0], 1 - gates[0]) if self.coupled else gates
        g = torch.tanh(g)
        cell = f * state[1] + i * g
        o = torch.sigmoid(o + out * cell)
        return {"input": i, "forget": f, "candidate": g, "output": o, "cell": cell}

    def step(self, projected: Tensor, state: State, mask: Tensor | None = None) -> State:
        gate = self.gates(projected, state, mask)
        return gate["output"] * torch.tanh(gate["cell"]), gate["cell"]


class LayerNormLSTMCell(GatedCell):
    """An LSTM with normalised gates (Ba et al. 2016, equations 20–22).

    What goes into the four gates is LN(W x_t) + LN(U h_{t−1}) + b, and h_t = o ⊙ tanh(LN(c_t)).

    Args:
        forget_bias: added to the forget gate's bias at the start.
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
        self.initialise(initialisation)
        self.input_norm = nn.LayerNorm(4 * hidden_size)  # its bias is b
        self.recurrent_norm = nn.LayerNorm(4 * hidden_size, bias=False)
        self.cell_norm = nn.LayerNorm(hidden_size)
        self.raise_bias(self.input_norm.bias, "forget", forget_bias)

    def project(self, inputs: Tensor) -> Tensor:
        return self.input_norm(F.linear(inputs, self.weight_ih))

    def gates(
        self, projected: Tensor, state: State, mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        product = F.linear(dropped(state[0], mask), self.weight_hh)
        i, f, g, o = (projected + self.recurrent_norm(product)).chunk(4, -1)
        return {
            "input": torch.sigmoid(i),
            "forget": torch.sigmoid(f),
            "candidate": torch.tanh(g),
            "output": torch.sigmoid(o),
        }

    def step(self, projected: Tensor, state: State, mask: Tensor | None = None) -> State:
        gate = self.gates(projected, state, mask)
        cell = gate["forget"] * state[1] + gate["input"] * gate["candidate"]
        return gate["output"] * torch.tanh(self.cell_norm(cell)), cell


class LayerNormGRUCell(GatedCell):
    """A GRU with normalised gates (Ba et al. 2016, equations 26–28), the reset after the product.

    r, z = σ(LN(W x_t) + LN(U h_{t−1}) + b);  n = tanh(LN(W x_t) + b + r ⊙ LN(U h_{t−1}));
    h_t = (1 − z) ⊙ n + z ⊙ h_{t−1}.

    Args:
        initialisation: of the weights, "orthogonal" or PyTorch's "uniform".
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialisation: Initialisation = "orthogonal",
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            blocks=("reset", "update", "candidate"),
            gate_names=("reset", "update"),
        )
        self.initialise(initialisation)
        self.sizes = [2 * hidden_size, hidden_size]
        self.input_norms = nn.ModuleList(nn.LayerNorm(size) for size in self.sizes)
        self.recurrent_norms = nn.ModuleList(nn.LayerNorm(s, bias=False) for s in self.sizes)

    def project(self, inputs: Tensor) -> Tensor:
        return self._normalised(F.linear(inputs, self.weight_ih), self.input_norms)

    def gates(
        self, projected: Tensor, state: State, mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        product = F.linear(dropped(state[0], mask), self.weight_hh)
        gates, candidate = projected.split(self.sizes, -1)
        recurrent_gates, recurrent = self._normalised(product, self.recurrent_norms).split(
            self.sizes, -1
        )
        r, z = torch.sigmoid(gates + recurrent_gates).chunk(2, -1)
        return {"reset": r, "update": z, "candidate": torch.tanh(candidate + r * recurrent)}

    def step(self, projected: Tensor, state: State, mask: Tensor | None = None) -> State:
        gate = self.gates(projected, state, mask)
        return (gate["candidate"] + gate["update"] * (state[0] - gate["candidate"]),)

    def _normalised(self, product: Tensor, norms: nn.ModuleList) -> Tensor:
        parts = product.split(self.sizes, -1)
        return torch.cat([norm(part) for norm, part in zip(norms, parts, strict=True)], -1)
