"""Random walks, which nobody can forecast better than by the last value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from seqlab.data.generated_series import GeneratedSeries, as_store
from seqlab.data.series import SeriesStore
from seqlab.errors import check_at_least


@dataclass(kw_only=True)
class RandomWalk(GeneratedSeries):
    """y_t = y_{t−1} + ε_t, with ε_t normal.

    The last value is the best forecast; its mean squared error h steps ahead is σ²h.

    Args:
        noise: standard deviation σ of a step.
    """

    noise: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("data.noise", self.noise, 1e-6)

    @property
    def metric(self) -> Literal["mse"]:
        return "mse"

    @property
    def season(self) -> int:
        return 1

    @property
    def best_score(self) -> float:
        return self.noise**2 * (self.horizon + 1) / 2

    def draw(self, rng: np.random.Generator) -> SeriesStore:
        return as_store(rng.normal(0, self.noise, (self.num_series, self.length)).cumsum(axis=1))
