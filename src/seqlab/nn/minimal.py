"""minGRU and minLSTM: gates that see the input only, so that a parallel scan runs them."""

from __future__ import annotations

from abc import abstractmethod
from math import log

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqlab.nn.parallel_scan import gated_log_scan
from seqlab.nn.recurrence import Recurrence, State, last_valid


class MinimalRecurrence(Recurrence):
    """h_t = a_t ⊙ h_{t−1} + b_t ⊙ g(V x_t + c), with a_t and b_t computed from x_t alone.

    g(v) = v + ½ for v ≥ 0 and σ(v) below, so that states are positive and have a logarithm
    (Feng et al. 2024, appendix B.2). Input weights start Xavier-uniform, biases 0.

    Args:
        blocks: names of what the weights compute; the last is the candidate.
        gates: those that lie between 0 and 1 and let something through.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        blocks: tuple[str, ...],
        gates: tuple[str, ...],
    ) -> None:
        super().__init__(input_size, hidden_size, (hidden_size,))
        self.blocks = blocks
        self.gates = gates
        self.input = nn.Linear(input_size, len(blocks) * hidden_size)
        for block in self.input.weight.split(hidden_size):
            nn.init.xavier_uniform_(block)
        nn.init.zeros_(self.input.bias)

    @abstractmethod
    def activate(self, inputs: Float[Tensor, "*rest feature"]) -> dict[str, Tensor]:
        """Gates and candidate by name, and "keep" and "add", the a_t and b_t of the equation."""

    @abstractmethod
    def logarithms(
        self, projected: Float[Tensor, "*rest projected"]
    ) -> tuple[Float[Tensor, "*rest hidden"], Float[Tensor, "*rest hidden"]]:
        """From the projected inputs: log a_t, and the logarithm of all that is added."""

    def forward(
        self,
        inputs: Float[Tensor, "batch time feature"],
        lengths: Int[Tensor, " batch"],
        state: State | None = None,
        *,
        need_state: bool = True,
    ) -> tuple[Float[Tensor, "batch time hidden"], State | None]:
        projected = self._projected(inputs)
        outputs = gated_log_scan(projected, self.logarithms)
        if state is not None:
            # What is left of the start is added as it is: it may be zero or, learned, negative.
            log_decay, _ = self.logarithms(projected)
            outputs = outputs + state[0][:, None] * log_decay.cumsum(dim=1).exp()
        return outputs, (last_valid(outputs, lengths),) if need_state else None

    def step(
        self, inputs: Float[Tensor, "batch feature"], state: State | None = None
    ) -> tuple[Float[Tensor, "batch hidden"], State]:
        gate = self.activate(inputs)
        hidden = gate["add"] * gate["candidate"]
        if state is not None:
            hidden = gate["keep"] * state[0] + hidden
        return hidden, (hidden,)

    def _projected(self, inputs: Tensor) -> Tensor:
        projected = self.input(inputs)
        # Half precision has too few digits for logarithms.
        short = projected.dtype in (torch.bfloat16, torch.float16)
        return projected.float() if short else projected


class MinGRU(MinimalRecurrence):
    """h_t = (1 − z) ⊙ h_{t−1} + z ⊙ g(V x_t + c),  z = σ(W x_t + b) (Feng et al. 2024, sec. 3.1).

    Args:
        forget_bias: minus the update gate's bias at the start: the larger, the longer the memory.
    """

    def __init__(self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0) -> None:
        super().__init__(input_size, hidden_size, blocks=("update", "candidate"), gates=("update",))
        nn.init.constant_(self.input.bias[:hidden_size], -forget_bias)

    def activate(self, inputs: Tensor) -> dict[str, Tensor]:
        z, v = self._projected(inputs).chunk(2, -1)
        z = torch.sigmoid(z)
        return {"update": z, "candidate": positive(v), "keep": 1 - z, "add": z}

    def logarithms(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        z, v = projected.chunk(2, -1)
        log_keep = -F.softplus(z)
        return log_keep, z + log_keep + log_positive(v)


class MinLSTM(MinimalRecurrence):
    """h_t = f′ ⊙ h_{t−1} + i′ ⊙ g(V x_t + c) (Feng et al. 2024, section 3.2).

    f, i = σ(W x_t + b), each with its own W and b;  f′ = f / (f + i), i′ = i / (f + i).

    Args:
        forget_bias: the forget gate's bias at the start.
    """

    def __init__(self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0) -> None:
        super().__init__(
            input_size,
            hidden_size,
            blocks=("forget", "input", "candidate"),
            gates=("forget", "input"),
        )
        nn.init.constant_(self.input.bias[:hidden_size], forget_bias)

    def activate(self, inputs: Tensor) -> dict[str, Tensor]:
        f, i, v = self._projected(inputs).chunk(3, -1)
        keep = torch.sigmoid(F.logsigmoid(f) - F.logsigmoid(i))
        return {
            "forget": torch.sigmoid(f),
            "input": torch.sigmoid(i),
            "candidate": positive(v),
            "keep": keep,
            "add": 1 - keep,
        }

    def logarithms(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        f, i, v = projected.chunk(3, -1)
        odds = F.softplus(-f) - F.softplus(-i)
        log_keep = -F.softplus(odds)
        return log_keep, odds + log_keep + log_positive(v)


def positive(values: Float[Tensor, "*rest"]) -> Float[Tensor, "*rest"]:
    """g(v) = v + ½ for v ≥ 0, σ(v) below: continuous and above 0."""
    return values.clamp(min=0) + torch.sigmoid(-F.relu(-values))


def log_positive(values: Float[Tensor, "*rest"]) -> Float[Tensor, "*rest"]:
    """The logarithm of `positive`, each half switched off, to log ½, where the other one counts."""
    return torch.log(values.clamp(min=0) + 0.5) - F.softplus(F.relu(-values)) + log(2)
