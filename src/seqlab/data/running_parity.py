"""Has there been an odd number of ones so far?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqlab.data.spec import Spec
from seqlab.data.synthetic import Draw, Split, valid_positions
from seqlab.data.tagging import TaggingDataset, tag_dtype


@dataclass(kw_only=True)
class RunningParity(TaggingDataset):
    """The tag of each bit is the parity of the bits up to it.

    Example: `0 1 1 0 1` is tagged `even odd even even odd`.

    One bit of state suffices, while attention alone must count over the whole past.
    """

    min_length: int = 2
    max_length: int = 64

    @property
    def tag_names(self) -> tuple[str, ...]:
        return ("even", "odd")

    @property
    def spec(self) -> Spec:
        return self.describe_tokens(("0", "1"))

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        width = int(lengths.max())
        bits = rng.integers(0, 2, (len(lengths), width), np.uint8)
        parity = np.bitwise_xor.accumulate(bits, axis=1).astype(tag_dtype(2))
        return Draw((bits + 1) * valid_positions(lengths, width), parity)
