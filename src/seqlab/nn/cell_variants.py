"""Variants of the written-out cells: peepholes, coupled gates, layer normalisation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqlab.nn.cells import Cell, dropped
from seqlab.nn.recurrence import State


class PeepholeLSTMCell(Cell):
    """An LSTM whose gates see the cell state (Gers & Schmidhuber 2000; Greff et al. 2017, sec. 2).

    i = σ(W x_t + b + U h_{t−1} + p_i ⊙ c_{t−1}), f likewise, o = σ(… + p_o ⊙ c_t), the rest as in
    `LSTMCell`.

    Args:
        coupled: f = 1 − i, without weights of its own (Greff et al. 2017, section 3, "CIFG").
        forget_bias: the forget gate's bias at the start; where coupled, minus the input gate's.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        coupled: bool = False,
        forget_bias: float = 1.0,
    ) -> None:
        gates = ("input", "output") if coupled else ("input", "forget", "output")
        super().__init__(
            input_size,
            hidden_size,
            blocks=(*gates[:-1], "candidate", "output"),
            gates=gates,
            parts=2,
        )
        self.coupled = coupled
        self.bias = nn.Parameter(torch.zeros(len(self.blocks) * hidden_size))
        self.peepholes = nn.Parameter(torch.zeros(len(gates), hidden_size))
        first = self.blocks.index("input" if coupled else "forget") * hidden_size
        nn.init.constant_(
            self.bias[first : first + hidden_size], -forget_bias if coupled else forget_bias
        )

    def project(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs, self.input_weight, self.bias)

    def activate(
        self, projected: Tensor, state: State, mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        product = F.linear(dropped(state[0], mask), self.recurrent_weight)
        *entry, g, o = (projected + product).chunk(len(self.blocks), -1)
        *into, out = self.peepholes
        gates = [torch.sigmoid(x + p * state[1]) for x, p in zip(entry, into, strict=True)]
        i, f = (gates[0], 1 - gates[0]) if self.coupled else gates
        g = torch.tanh(g)
        cell = f * state[1] + i * g
        o = torch.sigmoid(o + out * cell)
        return {"input": i, "forget": f, "candidate": g, "output": o, "cell": cell}

    def step(self, projected: Tensor, state: State, mask: Tensor | None = None) -> State:
        gate = self.activate(projected, state, mask)
        return gate["output"] * torch.tanh(gate["cell"]), gate["cell"]


class LayerNormLSTMCell(Cell):
    """An LSTM with normalised gates (Ba et al. 2016, equations 20–22).

    What goes into the four gates is LN(W x_t) + LN(U h_{t−1}) + b, and h_t = o ⊙ tanh(LN(c_t)).

    Args:
        forget_bias: the forget gate's bias at the start.
    """

    def __init__(self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0) -> None:
        super().__init__(
            input_size,
            hidden_size,
            blocks=("input", "forget", "candidate", "output"),
            gates=("input", "forget", "output"),
            parts=2,
        )
        self.input_norm = nn.LayerNorm(4 * hidden_size)  # its bias is b
        self.recurrent_norm = nn.LayerNorm(4 * hidden_size, bias=False)
        self.cell_norm = nn.LayerNorm(hidden_size)
        nn.init.constant_(self.input_norm.bias[hidden_size : 2 * hidden_size], forget_bias)

    def project(self, inputs: Tensor) -> Tensor:
        return self.input_norm(F.linear(inputs, self.input_weight))

    def activate(
        self, projected: Tensor, state: State, mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        product = F.linear(dropped(state[0], mask), self.recurrent_weight)
        i, f, g, o = (projected + self.recurrent_norm(product)).chunk(4, -1)
        return {
            "input": torch.sigmoid(i),
            "forget": torch.sigmoid(f),
            "candidate": torch.tanh(g),
            "output": torch.sigmoid(o),
        }

    def step(self, projected: Tensor, state: State, mask: Tensor | None = None) -> State:
        gate = self.activate(projected, state, mask)
        cell = gate["forget"] * state[1] + gate["input"] * gate["candidate"]
        return gate["output"] * torch.tanh(self.cell_norm(cell)), cell


class LayerNormGRUCell(Cell):
    """A GRU with normalised gates (Ba et al. 2016, equations 26–28), the reset after the product.

    r, z = σ(LN(W x_t) + LN(U h_{t−1}) + b);  n = tanh(LN(W x_t) + b + r ⊙ LN(U h_{t−1}));
    h_t = (1 − z) ⊙ n + z ⊙ h_{t−1}.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(
            input_size,
            hidden_size,
            blocks=("reset", "update", "candidate"),
            gates=("reset", "update"),
        )
        self.sizes = [2 * hidden_size, hidden_size]
        self.input_norms = nn.ModuleList(nn.LayerNorm(size) for size in self.sizes)
        self.recurrent_norms = nn.ModuleList(nn.LayerNorm(s, bias=False) for s in self.sizes)

    def project(self, inputs: Tensor) -> Tensor:
        return self._normalised(F.linear(inputs, self.input_weight), self.input_norms)

    def activate(
        self, projected: Tensor, state: State, mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        product = F.linear(dropped(state[0], mask), self.recurrent_weight)
        gates, candidate = projected.split(self.sizes, -1)
        recurrent_gates, recurrent = self._normalised(product, self.recurrent_norms).split(
            self.sizes, -1
        )
        r, z = torch.sigmoid(gates + recurrent_gates).chunk(2, -1)
        return {"reset": r, "update": z, "candidate": torch.tanh(candidate + r * recurrent)}

    def step(self, projected: Tensor, state: State, mask: Tensor | None = None) -> State:
        gate = self.activate(projected, state, mask)
        return (gate["candidate"] + gate["update"] * (state[0] - gate["candidate"]),)

    def _normalised(self, product: Tensor, norms: nn.ModuleList) -> Tensor:
        parts = product.split(self.sizes, -1)
        return torch.cat([norm(part) for norm, part in zip(norms, parts, strict=True)], -1)
