"""What all generators of series share: how many, how long, and the seed."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from seqlab.data.series import SeriesStore
from seqlab.data.series_dataset import SeriesDataset
from seqlab.errors import check_at_least


@dataclass(kw_only=True)
class GeneratedSeries(SeriesDataset):
    """Series made by a rule: a function of the settings and the seed alone.

    Args:
        num_series: how many series.
        length: values in each.
        seed: seeds the generation.
    """

    num_series: int = 100
    length: int = 400
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("data.num_series", self.num_series)
        check_at_least("data.length", self.length)
        check_at_least("data.seed", self.seed, 0)

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> SeriesStore:
        """Draws all series at once."""

    def make_store(self) -> SeriesStore:
        return self.draw(np.random.default_rng(self.seed))


def as_store(values: np.ndarray) -> SeriesStore:
    """Stores (series, time) values of one channel."""
    return SeriesStore.from_array(np.ascontiguousarray(values, np.float32)[..., None])
