"""The linear recurrent unit: a diagonal complex recurrence between two matrix products."""

from __future__ import annotations

from math import pi

import torch
import torch.nn.functional as F
from jaxtyping import Complex, Float
from torch import Tensor, nn

from seqlab.errors import InputError, check_at_least
from seqlab.nn.precision import at_least_single
from seqlab.nn.recurrent.cell import Cell, State


class LRUCell(Cell):
    """A block around the linear recurrent unit (Orvieto et al. 2023, section 3 and appendix A).

    s_t = λ ⊙ s_{t−1} + γ ⊙ (B v_t),  y_t = Re(C s_t) + D ⊙ v_t,  output u_t + GLU(GELU(y_t)), with
    λ = exp(−exp(ν) + i exp(θ)), γ starting at √(1 − |λ|²), and v_t = LayerNorm(u_t), where u_t is
    x_t, projected if it is of another size. |λ| < 1 whatever the parameters.

    The state is the output, which no step reads, and the real parts of s_t, then the imaginary
    ones. Weights start as in the paper.

    Args:
        state_size: complex numbers in s_t; `hidden_size` if None.
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
        super().__init__(
            input_size, hidden_size, state_sizes=(hidden_size, 2 * size), reads_output=False
        )
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
        rate, phase = (torch.exp(at_least_single(x)) for x in (self.log_rate, self.log_phase))
        return torch.polar(torch.exp(-rate), phase)

    def read_in(
        self, inputs: Float[Tensor, "*rest feature"]
    ) -> tuple[
        Float[Tensor, "*rest hidden"], Float[Tensor, "*rest hidden"], Float[Tensor, "*rest state"]
    ]:
        """u, v, and γ ⊙ (B v), the last in real and imaginary parts."""
        entered = self.enter(inputs)
        normed = self.norm(entered)
        scale = torch.exp(at_least_single(self.log_scale)).repeat(2)
        return entered, normed, at_least_single(F.linear(normed, self.into)) * scale

    def read_out(
        self,
        states: Float[Tensor, "*rest state"],
        entered: Float[Tensor, "*rest hidden"],
        normed: Float[Tensor, "*rest hidden"],
    ) -> Float[Tensor, "*rest hidden"]:
        """The output, from s in real and imaginary parts, u and v."""
        read = F.linear(states.to(self.out_of.dtype), self.out_of) + self.skip * normed
        return entered + F.glu(self.gate(F.gelu(read)), dim=-1)

    def project(self, inputs: Tensor) -> Tensor:
        return torch.cat(self.read_in(inputs), dim=-1)

    def gates(
        self, projected: Tensor, state: State, mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        sizes = (self.hidden_size, self.hidden_size, self.state_sizes[1])
        entered, normed, values = projected.split(sizes, dim=-1)
        new = self.eigenvalues * as_complex(state[1]) + as_complex(values)
        states = torch.cat([new.real, new.imag], dim=-1)
        dtype = self.out_of.dtype
        return {
            "output": self.read_out(states, entered.to(dtype), normed.to(dtype)),
            "state": states,
        }

    def step(self, projected: Tensor, state: State, mask: Tensor | None = None) -> State:
        new = self.gates(projected, state, mask)
        return new["output"], new["state"]


def as_complex(flat: Float[Tensor, "*rest flat"]) -> Complex[Tensor, "*rest state"]:
    """Real parts and imaginary parts side by side → complex numbers."""
    return torch.complex(*at_least_single(flat).chunk(2, -1))
