"""Intermittent demand: counts that are mostly zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from seqlab.data.generated_series import GeneratedSeries, as_store
from seqlab.data.series import SeriesStore
from seqlab.errors import InputError


@dataclass(kw_only=True)
class Intermittent(GeneratedSeries):
    """y_t = B_t (1 + Poisson(λ)), with B_t 1 with probability p and else 0.

    p ~ U(0.1, `busiest`) and λ ~ U(0.5, `largest`) are each series' own, and all steps are
    independent: the best forecast of the mean is p(1 + λ), and the best possible mean squared
    error the mean over series of p(λ + (1 + λ)²) − p²(1 + λ)².

    Args:
        busiest: largest probability of a demand.
        largest: largest λ.
    """

    busiest: float = 0.5
    largest: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.1 < self.busiest <= 1 or self.largest <= 0.5:
            raise InputError(
                f"data.busiest={self.busiest} must be above 0.1 and at most 1, and "
                f"data.largest={self.largest} above 0.5"
            )

    @property
    def metric(self) -> Literal["mse"]:
        return "mse"

    @property
    def season(self) -> int:
        return 1

    @property
    def best_score(self) -> float:
        probability, rate = self._parameters(np.random.default_rng(self.seed))
        second = probability * (rate + (1 + rate) ** 2)
        return float((second - (probability * (1 + rate)) ** 2).mean())

    def draw(self, rng: np.random.Generator) -> SeriesStore:
        probability, rate = self._parameters(rng)
        shape = (self.num_series, self.length)
        return as_store((rng.random(shape) < probability) * (1 + rng.poisson(rate, shape)))

    def _parameters(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draws each series' p and λ, (series, 1) both, before anything else."""
        probability = rng.uniform(0.1, self.busiest, (self.num_series, 1))
        return probability, rng.uniform(0.5, self.largest, (self.num_series, 1))
