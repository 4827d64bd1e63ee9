"""Series that switch between regimes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from seqlab.data.generated_series import GeneratedSeries, as_store
from seqlab.data.series import SeriesStore
from seqlab.errors import check_at_least, check_probability

# Of the two regimes: mean, coefficient and standard deviation of the noise.
MEANS = np.array([0.0, 5.0])
COEFFICIENTS = np.array([0.9, -0.5])
NOISES = np.array([0.2, 0.6])


@dataclass(kw_only=True)
class Regimes(GeneratedSeries):
    """A Markov chain picks one of two AR(1) processes at each step (Hamilton 1989).

    y_t − μ_s = φ_s (y_{t−1} − μ_s) + σ_s ε_t: a calm regime around 0 that persists from value to
    value, and a restless one around 5 that swings to and fro.

    Args:
        switching: probability of changing the regime at a step.
    """

    switching: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        check_probability("data.switching", self.switching)
        check_at_least("data.switching", self.switching, 1e-6)

    @property
    def metric(self) -> Literal["mae"]:
        return "mae"

    @property
    def season(self) -> int:
        return 1

    @property
    def best_score(self) -> None:
        return None

    def draw(self, rng: np.random.Generator) -> SeriesStore:
        shape = (self.length, self.num_series)
        changes = rng.random(shape) < self.switching
        changes[0] = rng.random(self.num_series) < 0.5
        regime = changes.cumsum(axis=0) % 2
        mean, coefficient = MEANS[regime], COEFFICIENTS[regime]
        values = NOISES[regime] * rng.normal(size=shape) + mean
        for step in range(1, self.length):
            values[step] += coefficient[step] * (values[step - 1] - mean[step])
        return as_store(values.T)
