"""minGRU and minLSTM: gates that see the input only, so that a parallel scan can run them."""

from __future__ import annotations

from abc import abstractmethod

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from seqlab.nn.precision import at_least_single
from seqlab.nn.recurrent.cell import Cell, Initialisation, State, check_initialisation


class MinimalCell(Cell):
    """h_t = a_t ⊙ h_{t−1} + b_t ⊙ g(V x_t + c), with a_t and b_t computed from x_t alone.

    g(v) = v + ½ for v ≥ 0 and σ(v) below, so that states are positive and have a logarithm
    (Feng et al. 2024, appendix B.2).

    Args:
        input_size: features of the inputs.
        hidden_size: features of the state.
        gate_names: what the weights compute before the candidate, one block of rows each.
        initialisation: Xavier-uniform weights and biases 0 ("orthogonal", as cells with a recurrent
            matrix call it), or PyTorch's "uniform" within ±1/√hidden_size for all.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        gate_names: tuple[str, ...],
        initialisation: Initialisation,
    ) -> None:
        super().__init__(input_size, hidden_size, gate_names=gate_names)
        check_initialisation(initialisation)
        self.input = nn.Linear(input_size, (len(gate_names) + 1) * hidden_size)
        if initialisation == "uniform":
            for weight in self.input.parameters():
                nn.init.uniform_(weight, -(hidden_size**-0.5), hidden_size**-0.5)
        else:
            for block in self.input.weight.split(hidden_size):
                nn.init.xavier_uniform_(block)
            nn.init.zeros_(self.input.bias)

    @abstractmethod
    def gates(
        self, projected: Tensor, state: State, mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Gates and candidate by name, and "keep" and "add", the a_t and b_t of the equation."""

    def project(self, inputs: Tensor) -> Tensor:
        # Half precision has too few digits for long products of gates.
        return at_least_single(self.input(inputs))

    def step(self, projected: Tensor, state: State, mask: Tensor | None = None) -> State:
        gate = self.gates(projected, state, mask)
        hidden = gate["keep"] * state[0] + gate["add"] * gate["candidate"]
        return (hidden.to(self.input.weight.dtype),)


class MinGRUCell(MinimalCell):
    """h_t = (1 − z) ⊙ h_{t−1} + z ⊙ g(V x_t + c),  z = σ(W x_t + b) (Feng et al. 2024, sec. 3.1).

    Args:
        forget_bias: taken off the update gate's bias at the start: the larger, the longer the
            memory.
        initialisation: of the weights, "orthogonal" (Xavier-uniform here) or "uniform".
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
            input_size, hidden_size, gate_names=("update",), initialisation=initialisation
        )
        with torch.no_grad():
            self.input.bias[:hidden_size] -= forget_bias

    def gates(
        self, projected: Tensor, state: State, mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        z, v = projected.chunk(2, -1)
        z = torch.sigmoid(z)
        return {"update": z, "candidate": positive(v), "keep": 1 - z, "add": z}


class MinLSTMCell(MinimalCell):
    """h_t = f′ ⊙ h_{t−1} + i′ ⊙ g(V x_t + c) (Feng et al. 2024, section 3.2).

    f, i = σ(W x_t + b), each with its own W and b;  f′ = f / (f + i), i′ = i / (f + i).

    Args:
        forget_bias: added to the forget gate's bias at the start.
        initialisation: of the weights, "orthogonal" (Xavier-uniform here) or "uniform".
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
            input_size, hidden_size, gate_names=("forget", "input"), initialisation=initialisation
        )
        with torch.no_grad():
            self.input.bias[:hidden_size] += forget_bias

    def gates(
        self, projected: Tensor, state: State, mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        f, i, v = projected.chunk(3, -1)
        keep = torch.sigmoid(F.logsigmoid(f) - F.logsigmoid(i))
        return {
            "forget": torch.sigmoid(f),
            "input": torch.sigmoid(i),
            "candidate": positive(v),
            "keep": keep,
            "add": 1 - keep,
        }


def positive(values: Float[Tensor, "*rest"]) -> Float[Tensor, "*rest"]:
    """g(v) = v + ½ for v ≥ 0, σ(v) below: continuous and above 0."""
    return values.clamp(min=0) + torch.sigmoid(-F.relu(-values))
