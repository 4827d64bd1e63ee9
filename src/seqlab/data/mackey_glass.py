"""The Mackey-Glass equation: chaos with a delay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from seqlab.data.generated_series import GeneratedSeries, as_store
from seqlab.data.series import SeriesStore
from seqlab.errors import check_at_least

# Steps of the solver in a unit of time, and units of time before the first value that is kept.
SUBSTEPS = 10
BURN_IN = 300


@dataclass(kw_only=True)
class MackeyGlass(GeneratedSeries):
    """dx/dt = 0.2 x(t−τ) / (1 + x(t−τ)^10) − 0.1 x (Mackey & Glass 1977).

    Sampled once a unit of time; each series starts from another constant history. Chaotic for τ
    above 16.8. There is no noise, so the best possible error is 0.

    Args:
        delay: τ.
    """

    delay: int = 17

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("data.delay", self.delay)

    @property
    def metric(self) -> Literal["mae"]:
        return "mae"

    @property
    def season(self) -> int:
        return 1

    @property
    def best_score(self) -> float:
        return 0.0

    def draw(self, rng: np.random.Generator) -> SeriesStore:
        lag = self.delay * SUBSTEPS
        steps = (BURN_IN + self.length) * SUBSTEPS
        states = np.empty((lag + 1 + steps, self.num_series))
        states[: lag + 1] = rng.uniform(0.5, 1.5, self.num_series)
        size = 1 / SUBSTEPS
        for now in range(lag, lag + steps):
            # Fourth-order Runge-Kutta; the delayed term is interpolated at the half step.
            before, after = states[now - lag], states[now - lag + 1]
            drives = [_drive(before), _drive((before + after) / 2), _drive(after)]
            state = states[now]
            k1 = drives[0] - 0.1 * state
            k2 = drives[1] - 0.1 * (state + size / 2 * k1)
            k3 = drives[1] - 0.1 * (state + size / 2 * k2)
            k4 = drives[2] - 0.1 * (state + size * k3)
            states[now + 1] = state + size / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return as_store(states[lag + 1 + BURN_IN * SUBSTEPS :: SUBSTEPS].T)


def _drive(delayed: np.ndarray) -> np.ndarray:
    return 0.2 * delayed / (1 + delayed**10)
