"""Is the sum of the tokens even or odd?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqlab.data.classification import ClassificationDataset
from seqlab.data.spec import Spec
from seqlab.data.synthetic import Draw, Split, token_dtype, valid_positions
from seqlab.errors import check_at_least


@dataclass(kw_only=True)
class TokenSumParity(ClassificationDataset):
    """The label is the sum of the token ids modulo 2.

    Example: `3 11 7 19 2` sums to 42, which is "even"; `3 11 7 19 1` sums to 41, "odd".

    A reader must learn which ids are odd and count these modulo 2. Every position decides the
    answer, so that none is singled out as evidence.

    Args:
        vocabulary_size: number of token ids, padding included.
    """

    vocabulary_size: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("data.vocabulary_size", self.vocabulary_size, 3)

    @property
    def label_names(self) -> tuple[str, ...]:
        return ("even", "odd")

    @property
    def spec(self) -> Spec:
        return self.describe_tokens([str(token) for token in range(1, self.vocabulary_size)])

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        valid = valid_positions(lengths)
        dtype = token_dtype(self.vocabulary_size)
        tokens = rng.integers(1, self.vocabulary_size, valid.shape, dtype)
        tokens *= valid
        # The last bit of a sum is the exclusive or of the last bits; nothing overflows.
        labels = np.bitwise_xor.reduce(tokens & 1, axis=1).astype(np.uint8)
        return Draw(tokens, labels)
