"""Daily sales: a trend, two seasons, and holidays that are known beforehand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from seqlab.data.generated_series import GeneratedSeries
from seqlab.data.series import SeriesStore
from seqlab.errors import check_at_least, check_probability


@dataclass(kw_only=True)
class Seasonal(GeneratedSeries):
    """y_t = l + s·t + w_{t mod 7} + a sin(2πt/P + φ) + h·holiday_t + ε_t.

    Level l, slope s, the week's profile w, the long season's amplitude and phase and the holidays'
    effect h are each series' own; the calendar of holidays is common to all. Whether a day is a
    holiday is a covariate known for the future, the holidays' effect h a static one.
    The best possible mean absolute error is that of the noise, σ√(2/π).

    Args:
        long_period: days P of the long season.
        holidays: share of days that are holidays.
        noise: standard deviation σ of the noise.
    """

    long_period: int = 91
    holidays: float = 0.05
    noise: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("data.long_period", self.long_period, 2)
        check_at_least("data.noise", self.noise, 0)
        check_probability("data.holidays", self.holidays)

    @property
    def metric(self) -> Literal["mae"]:
        return "mae"

    @property
    def season(self) -> int:
        return 7

    @property
    def best_score(self) -> float:
        return self.noise * math.sqrt(2 / math.pi)

    def draw(self, rng: np.random.Generator) -> SeriesStore:
        count, time = self.num_series, np.arange(self.length + self.horizon)
        level = rng.uniform(50, 100, (count, 1))
        slope = rng.normal(0, 0.05, (count, 1))
        week = rng.normal(0, 4, (count, 7))
        amplitude = rng.uniform(2, 10, (count, 1))
        phase = rng.uniform(0, 2 * np.pi, (count, 1))
        effect = rng.uniform(10, 30, (count, 1))
        holiday = (rng.random(len(time)) < self.holidays).astype(float)
        values = level + slope * time + week[:, time % 7] + effect * holiday
        values += amplitude * np.sin(2 * np.pi * time / self.long_period + phase)
        values += rng.normal(0, self.noise, values.shape)
        calendar = np.broadcast_to(holiday[:, None], (count, len(time), 1))
        return SeriesStore.from_array(
            np.ascontiguousarray(values[:, : self.length, None], np.float32),
            known=calendar.astype(np.float32),
            static=effect.astype(np.float32),
        )
