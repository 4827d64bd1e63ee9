"""Is the number of ones even or odd?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqlab.data.classification import ClassificationDataset
from seqlab.data.spec import Spec
from seqlab.data.synthetic import Draw, Split, valid_positions


@dataclass(kw_only=True)
class Parity(ClassificationDataset):
    """The label is the number of ones modulo 2 ("parity check" of Delétang et al. 2023).

    Example: `1 0 1 1` holds three ones, which is "odd"; `1 0 0 1` is "even".

    Ids are 1 for the bit 0 and 2 for the bit 1. A two-state automaton decides the language; no
    bounded part of the sequence tells anything. Every position decides the answer, so that none
    is singled out as evidence.
    """

    @property
    def label_names(self) -> tuple[str, ...]:
        return ("even", "odd")

    @property
    def spec(self) -> Spec:
        return self.describe_tokens(["0", "1"])

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        valid = valid_positions(lengths)
        bits = rng.integers(0, 2, valid.shape, np.uint8)
        bits &= valid
        labels = np.bitwise_xor.reduce(bits, axis=1)
        return Draw(bits + valid, labels)
