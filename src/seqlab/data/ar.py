"""Autoregressive series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from seqlab.data.generated_series import GeneratedSeries, as_store
from seqlab.data.series import SeriesStore
from seqlab.errors import InputError, check_at_least

# Steps before the first value that is kept, after which the start is forgotten.
BURN_IN = 500


@dataclass(kw_only=True)
class Ar(GeneratedSeries):
    """y_t = Σ_i φ_i y_{t−i} + ε_t, with ε_t normal of variance σ².

    The best possible mean squared error is σ² one step ahead and σ² Σ_{j<h} ψ_j² h steps ahead,
    with ψ the impulse response (Hyndman & Athanasopoulos 2021, section 9.8).

    Args:
        coefficients: φ_1, φ_2, …
        noise: standard deviation σ of ε.

    Raises:
        InputError: coefficients that make no stationary series.
    """

    coefficients: Sequence[float] = (1.2, -0.6)
    noise: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("data.noise", self.noise, 1e-6)
        roots = np.roots([1.0, *(-phi for phi in self.coefficients)])
        if not len(roots) or np.abs(roots).max() >= 1:
            raise InputError(
                f"data.coefficients={list(self.coefficients)} make no stationary series: the roots "
                "of z^p - φ_1 z^(p-1) - … must all lie within the unit circle; lower them"
            )

    @property
    def metric(self) -> Literal["mse"]:
        return "mse"

    @property
    def season(self) -> int:
        return 1

    @property
    def best_score(self) -> float:
        order = len(self.coefficients)
        response = [0.0] * (order - 1) + [1.0]
        for _ in range(self.horizon - 1):
            response.append(float(np.dot(self.coefficients, response[: -order - 1 : -1])))
        return float(self.noise**2 * np.cumsum(np.square(response[order - 1 :])).mean())

    def draw(self, rng: np.random.Generator) -> SeriesStore:
        order = len(self.coefficients)
        weights = np.array(tuple(self.coefficients))[::-1]
        # Time first, so that each step reads and writes whole rows.
        values = rng.normal(0, self.noise, (BURN_IN + self.length, self.num_series))
        for step in range(order, len(values)):
            values[step] += weights @ values[step - order : step]
        return as_store(values[BURN_IN:].T)
