"""Mixtures of sines in noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from seqlab.data.generated_series import GeneratedSeries, as_store
from seqlab.data.series import SeriesStore
from seqlab.errors import InputError, check_at_least


@dataclass(kw_only=True)
class Sines(GeneratedSeries):
    """y_t = Σ_k a_k sin(2πt/P_k + φ_k) + ε_t, with ε_t normal.

    Amplitudes a_k ~ U(0.5, 1.5) and phases φ_k are each series' own, the periods P_k are common.
    The best possible mean absolute error is that of the noise, σ√(2/π).

    Example: with periods 24 and 17.3, a beat that repeats after no whole number of days.

    Args:
        periods: the sines' periods; the seasonal naive forecast repeats the first, rounded.
        noise: standard deviation σ of the noise.
    """

    periods: Sequence[float] = (24.0, 17.3, 41.7)
    noise: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("data.noise", self.noise, 0)
        if not self.periods or min(self.periods) < 2:
            raise InputError(f"data.periods={list(self.periods)} must be numbers of at least 2")

    @property
    def metric(self) -> Literal["mae"]:
        return "mae"

    @property
    def season(self) -> int:
        return round(self.periods[0])

    @property
    def best_score(self) -> float:
        return self.noise * math.sqrt(2 / math.pi)

    def draw(self, rng: np.random.Generator) -> SeriesStore:
        values = rng.normal(0, self.noise, (self.num_series, self.length))
        time = np.arange(self.length)
        for period in self.periods:
            amplitude = rng.uniform(0.5, 1.5, (self.num_series, 1))
            phase = rng.uniform(0, 2 * np.pi, (self.num_series, 1))
            values += amplitude * np.sin(2 * np.pi * time / period + phase)
        return as_store(values)
