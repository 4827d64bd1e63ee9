"""Monthly international airline passengers, 1949 to 1960."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from seqlab.data.series import Series, SeriesStore
from seqlab.data.series_dataset import SeriesDataset

# Thousands of passengers a month (Box & Jenkins 1976, series G), a year a row.
PASSENGERS = (
    (112, 118, 132, 129, 121, 135, 148, 148, 136, 119, 104, 118),
    (115, 126, 141, 135, 125, 149, 170, 170, 158, 133, 114, 140),
    (145, 150, 178, 163, 172, 178, 199, 199, 184, 162, 146, 166),
    (171, 180, 193, 181, 183, 218, 230, 242, 209, 191, 172, 194),
    (196, 196, 236, 235, 229, 243, 264, 272, 237, 211, 180, 201),
    (204, 188, 235, 227, 234, 264, 302, 293, 259, 229, 203, 229),
    (242, 233, 267, 269, 270, 315, 364, 347, 312, 274, 237, 278),
    (284, 277, 317, 313, 318, 374, 413, 405, 355, 306, 271, 306),
    (315, 301, 356, 348, 355, 422, 465, 467, 404, 347, 305, 336),
    (340, 318, 362, 348, 363, 435, 491, 505, 404, 359, 310, 337),
    (360, 342, 406, 396, 420, 472, 548, 559, 463, 407, 362, 405),
    (417, 391, 419, 461, 472, 535, 622, 606, 508, 461, 390, 432),
)


@dataclass(kw_only=True)
class AirPassengers(SeriesDataset):
    """The 144 values as one series; by default the last year is the test, the one before val.

    Trend and season grow together, so that the logarithm of the series is closer to their sum.
    """

    window: int = 36
    val_steps: int = 12
    test_steps: int = 12

    @property
    def metric(self) -> Literal["mase"]:
        return "mase"

    @property
    def season(self) -> int:
        return 12

    @property
    def best_score(self) -> None:
        return None

    def make_store(self) -> SeriesStore:
        months = np.arange("1949-01", "1961-01", dtype="datetime64[M]")
        values = np.array(PASSENGERS).flatten()
        return SeriesStore.from_series([Series(values=values, name="passengers", times=months)])
