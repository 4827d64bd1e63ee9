"""The linear recurrent unit: a diagonal complex recurrence between two matrix products."""

from __future__ import annotations

from math import pi

import torch
import torch.nn.functional as F
from jaxtyping import Complex, Float, Int
from torch import Tensor, nn

from seqlab.errors import InputError, check_at_least
from seqlab.nn.parallel_scan import linear_scan
from seqlab.nn.recurrence import Recurrence, State, last_valid


class LRU(Recurrence):
    """A block around the linear recurrent unit (Orvieto et al. 2023, section 3 and appendix A).

    s_t = λ ⊙ s_{t−1} + γ ⊙ (B v_t),  y_t = Re(C s_t) + D ⊙ v_t,  output u_t + GLU(GELU(y_t)), with
    λ = exp(−exp(ν) + i exp(θ)), γ starting at √(1 − |λ|²), and v_t = LayerNorm(u_t), where u_t is
    x_t, projected if it is of another size. |λ| < 1 whatever the parameters.

    The state holds the real parts of s_t, then the imaginary ones.

    Args:
        state_size: complex numbers in the state; `hidden_size` if None.
        min_radius: the smallest |λ| at the start.
        max_radius: the largest |λ| at the start: the nearer to 1, the longer the memory.
        max_phase: the largest angle of λ at the start.

    Raises:
        InputError: a state size below 1, or radii that are not 0 ≤ min < max < 1.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        state_size: int | None = None,
        min_radius: float = 0.9,
        max_radius: float = 0.999,
        max_phase: float = 2 * pi,
    ) -> None:
        size = hidden_size if state_size is None else state_size
        check_at_least("state_size", size)
        if not 0 <= min_radius < max_radius < 1:
            raise InputError(
                f"min_radius={min_radius} and max_radius={max_radius} must be 0 ≤ min < max < 1: "
                "a recurrence with larger eigenvalues explodes"
            )
        super().__init__(input_size, hidden_size, (2 * size,))
        self.enter = (
            nn.Linear(input_size, hidden_size) if input_size != hidden_size else nn.Identity()
        )
        self.norm = nn.LayerNorm(hidden_size)
        # |λ|² uniform between the squared radii (appendix A, lemma 3.2).
        squared = torch.rand(size) * (max_radius**2 - min_radius**2) + min_radius**2
        self.log_rate = nn.Parameter(torch.log(-0.5 * torch.log(squared)))  # ν
        self.log_phase = nn.Parameter(torch.log(torch.rand(size) * max_phase + 1e-4))  # θ
        self.log_scale = nn.Parameter(0.5 * torch.log1p(-squared))  # log γ
        # Real and imaginary parts below each other, and side by side.
        self.into = nn.Parameter(torch.randn(2 * size, hidden_size) * (2 * hidden_size) ** -0.5)
        self.out_of = nn.Parameter(torch.randn(hidden_size, 2 * size) * size**-0.5)
        self.skip = nn.Parameter(torch.randn(hidden_size))  # D
        self.gate = nn.Linear(hidden_size, 2 * hidden_size)

    @property
    def eigenvalues(self) -> Complex[Tensor, " state"]:
        """λ."""
        return torch.polar(torch.exp(-torch.exp(self.log_rate)), torch.exp(self.log_phase))

    def forward(
        self,
        inputs: Float[Tensor, "batch time feature"],
        lengths: Int[Tensor, " batch"],
        state: State | None = None,
        *,
        need_state: bool = True,
    ) -> tuple[Float[Tensor, "batch time hidden"], State | None]:
        entered = self.enter(inputs)
        normed = self.norm(entered)
        values = self._complex(F.linear(normed, self.into)) * torch.exp(self.log_scale)
        decay = self.eigenvalues.expand(1, inputs.shape[1], -1)
        states = linear_scan(decay, values, None if state is None else self._complex(state[0]))
        flat = torch.cat([states.real, states.imag], dim=-1)
        outputs = self._leave(flat, normed, entered)
        return outputs, (last_valid(flat, lengths),) if need_state else None

    def step(
        self, inputs: Float[Tensor, "batch feature"], state: State | None = None
    ) -> tuple[Float[Tensor, "batch hidden"], State]:
        entered = self.enter(inputs)
        normed = self.norm(entered)
        states = self._complex(F.linear(normed, self.into)) * torch.exp(self.log_scale)
        if state is not None:
            states = self.eigenvalues * self._complex(state[0]) + states
        flat = torch.cat([states.real, states.imag], dim=-1)
        return self._leave(flat, normed, entered), (flat,)

    def _leave(self, states: Tensor, normed: Tensor, entered: Tensor) -> Tensor:
        read = F.linear(states, self.out_of) + self.skip * normed
        return entered + F.glu(self.gate(F.gelu(read)), dim=-1)

    def _complex(self, flat: Tensor) -> Tensor:
        """Real parts and imaginary parts side by side → complex numbers."""
        # There is no complex number of half precision to count on.
        short = flat.dtype in (torch.bfloat16, torch.float16)
        return torch.complex(*(flat.float() if short else flat).chunk(2, -1))
