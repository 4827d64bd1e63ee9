"""Was the first value positive or negative?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqlab.data.classification import ClassificationDataset
from seqlab.data.spec import Spec
from seqlab.data.synthetic import Draw, Split, valid_positions


@dataclass(kw_only=True)
class FirstSign(ClassificationDataset):
    """The label is the sign of the first of T independent standard normal values.

    Example: `-0.3 1.2 0.7 2.1` is "negative", whatever follows the −0.3.

    A test of memory: a reader that goes from left to right must hold one bit through T − 1 steps
    of noise. All sequences have one length, T = 50, unless the settings say otherwise. A GRU, whose
    gates start half open, forgets within some steps and gets no gradient from T = 50 alone; with
    shorter training sequences among the others (`train_min_length`) it learns to hold on.

    Args:
        min_length: the shortest T.
        max_length: the longest T of train, val and test.
    """

    min_length: int = 50
    max_length: int = 50

    @property
    def label_names(self) -> tuple[str, ...]:
        return ("negative", "positive")

    @property
    def spec(self) -> Spec:
        return self.describe(kind="values", input_size=1, optimum=1.0)

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        valid = valid_positions(lengths)
        values = rng.standard_normal(valid.shape, np.float32)
        values *= valid
        evidence = np.zeros(valid.shape, bool)
        evidence[:, 0] = True
        return Draw(values[..., None], (values[:, 0] > 0).astype(np.uint8), evidence)
