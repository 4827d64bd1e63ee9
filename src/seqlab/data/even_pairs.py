"""Do the two kinds of unequal neighbours together occur an even number of times?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqlab.data.classification import ClassificationDataset
from seqlab.data.spec import Spec
from seqlab.data.synthetic import Draw, Split, valid_positions


@dataclass(kw_only=True)
class EvenPairs(ClassificationDataset):
    """Label "even" exactly when `ab` and `ba` together occur an even number of times.

    Example: `a a b b a` holds one `ab` and one `ba`, which is "even"; `a a b` holds one, "odd".

    Each unequal pair of neighbours changes the letter, so that the number is even exactly when
    the first and the last letter agree (Delétang et al. 2023): these two are the evidence.
    """

    @property
    def label_names(self) -> tuple[str, ...]:
        return ("even", "odd")

    @property
    def spec(self) -> Spec:
        return self.describe_tokens(["a", "b"])

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        valid = valid_positions(lengths)
        letters = rng.integers(1, 3, valid.shape, np.uint8)
        letters *= valid
        rows, last = np.arange(len(lengths)), lengths - 1
        labels = (letters[:, 0] != letters[rows, last]).astype(np.uint8)
        evidence = np.zeros(valid.shape, bool)
        evidence[:, 0] = True
        evidence[rows, last] = True
        return Draw(letters, labels, evidence)
