"""The adding problem: two of many numbers are marked, and their sum is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqlab.data.spec import SeriesSpec, Spec
from seqlab.data.synthetic import Draw, Split, SyntheticDataset, valid_positions
from seqlab.errors import check_at_least


@dataclass(kw_only=True)
class Adding(SyntheticDataset):
    """The sum of two marked values of a U(0, 1) series (Hochreiter & Schmidhuber 1997, sec. 5.4).

    Each step has two features: the value, and a mark that is 1 at one place of the first half and
    one of the second, else 0. Example: values `.3 .9 .5 .2` with marks `0 1 0 1` have target 1.1.

    Whoever always predicts 1 has a mean squared error of 1/6, the variance of the sum.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("data.min_length", self.min_length, 2)

    @property
    def spec(self) -> Spec:
        return Spec(
            task="forecasting",
            kind="values",
            input_size=2,
            output_size=1,
            metric="rmse",
            trivial=(1 / 6) ** 0.5,
            optimum=0.0,
            series=SeriesSpec(horizon=1, autoregressive=False),
        )

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        rows, width = len(lengths), int(lengths.max())
        inputs = np.zeros((rows, width, 2), np.float32)
        values = rng.random((rows, width), np.float32)
        inputs[..., 0] = values * valid_positions(lengths, width)
        each = np.arange(rows)
        half = lengths // 2
        first, second = rng.integers(0, half), rng.integers(half, lengths)
        inputs[each, first, 1] = 1
        inputs[each, second, 1] = 1
        targets = values[each, first] + values[each, second]
        return Draw(inputs, targets[:, None, None], evidence=inputs[..., 1] > 0)

    def quotas(self, size: int) -> None:
        return None
