"""The Lorenz system: three series, forecast together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from seqlab.data.generated_series import GeneratedSeries
from seqlab.data.series import SeriesStore
from seqlab.errors import check_at_least

# Size of the solver's step, and steps before the first value that is kept.
STEP = 0.01
BURN_IN = 1000


@dataclass(kw_only=True)
class Lorenz(GeneratedSeries):
    """dx/dt = 10(y − x), dy/dt = x(28 − z) − y, dz/dt = xy − 8z/3 (Lorenz 1963).

    The three coordinates are the channels. There is no noise, so the best possible error is 0.

    Args:
        substeps: steps of 0.01 time units from one value to the next.
    """

    substeps: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("data.substeps", self.substeps)

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
        state = np.array([[1.0], [1.0], [25.0]]) + rng.normal(0, 5, (3, self.num_series))
        values = np.empty((self.num_series, self.length, 3), np.float32)
        for step in range(BURN_IN + self.length * self.substeps):
            number, rest = divmod(step - BURN_IN, self.substeps)
            if number >= 0 and rest == 0:
                values[:, number] = state.T
            k1 = _slope(state)
            k2 = _slope(state + STEP / 2 * k1)
            k3 = _slope(state + STEP / 2 * k2)
            k4 = _slope(state + STEP * k3)
            state = state + STEP / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return SeriesStore.from_array(values)


def _slope(state: np.ndarray) -> np.ndarray:
    x, y, z = state
    return np.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])
