"""Where on a cycle do these steps end?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqlab.data.classification import ClassificationDataset
from seqlab.data.spec import Spec
from seqlab.data.synthetic import Draw, Split, valid_positions
from seqlab.errors import InputError, check_at_least


@dataclass(kw_only=True)
class CycleNavigation(ClassificationDataset):
    """The label is the position after a walk on a cycle that starts at 0 (Delétang et al. 2023).

    Example: on a cycle of 5, `+ + = - - -` ends at 0 + 1 + 1 + 0 − 1 − 1 − 1 = −1, which is "4".

    Ids are 1 to stay (`=`), 2 to go forward (`+`) and 3 to go back (`-`). Every step but `=`
    decides the answer, so that none is singled out as evidence.

    Args:
        positions: number of positions on the cycle.
    """

    positions: int = 5

    def __post_init__(self) -> None:
        check_at_least("data.positions", self.positions, 2)
        super().__post_init__()
        if self.positions > 256:
            raise InputError(f"data.positions={self.positions} must be at most 256")

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(str(position) for position in range(self.positions))

    @property
    def spec(self) -> Spec:
        return self.describe_tokens(["=", "+", "-"])

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        valid = valid_positions(lengths)
        tokens = rng.integers(1, 4, valid.shape, np.uint8)
        tokens *= valid
        walked = (tokens == 2).sum(1) - (tokens == 3).sum(1)
        return Draw(tokens, (walked % self.positions).astype(np.uint8))
