"""Which value came with this key?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from seqlab.data.batch import IGNORED
from seqlab.data.spec import Spec
from seqlab.data.synthetic import Draw, Split, token_dtype, valid_positions
from seqlab.data.tagging import TaggingDataset, tag_dtype
from seqlab.errors import InputError, check_at_least


@dataclass(kw_only=True)
class Recall(TaggingDataset):
    """Multi-query associative recall (Arora et al. 2023, section 3).

    Example: `k3 v1 k7 v4 k7 k3` is tagged `v4 v1` at its last two positions, the queries; all
    others are not scored.

    A sequence of length 3n is n pairs of key and value, then each of the n keys once more in
    another order. The keys of a sequence differ. What a recurrent state must hold grows with n.

    Args:
        num_keys: different keys.
        num_values: different values.

    Raises:
        InputError: lengths that are no multiples of 3, or more pairs than keys.
    """

    length_step: ClassVar[int] = 3

    min_length: int = 6
    max_length: int = 24
    num_keys: int = 32
    num_values: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("data.num_values", self.num_values, 2)
        bounds = [self.min_length, self.max_length, *(self.long_lengths or ())]
        if any(length % 3 for length in bounds):
            raise InputError(
                "data.min_length, data.max_length and data.long_lengths must be multiples of 3: "
                f"a key, a value and a query for each pair; got {', '.join(map(str, bounds))}"
            )
        if max(bounds) > 3 * self.num_keys:
            raise InputError(
                f"{max(bounds) // 3} pairs need as many keys, but data.num_keys={self.num_keys}; "
                "raise it or shorten the sequences"
            )

    @property
    def tag_names(self) -> tuple[str, ...]:
        return tuple(f"v{number}" for number in range(1, self.num_values + 1))

    @property
    def spec(self) -> Spec:
        keys = tuple(f"k{number}" for number in range(1, self.num_keys + 1))
        return self.describe_tokens((*keys, *self.tag_names))

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        rows, width = len(lengths), int(lengths.max())
        pairs = lengths[:, None] // 3
        most = width // 3
        keys = rng.random((rows, self.num_keys)).argsort(axis=1)[:, :most]
        values = rng.integers(0, self.num_values, (rows, most))
        # Queries: the first n of the keys in a random order.
        order = np.where(np.arange(most) < pairs, rng.random((rows, most)), 2.0).argsort(axis=1)
        asked, answers = (np.take_along_axis(part, order, axis=1) for part in (keys, values))

        place = np.arange(width)
        query = place - 2 * pairs
        shown = np.broadcast_to(np.minimum(place // 2, most - 1), (rows, width))
        sought = query.clip(0, most - 1)
        pair = np.where(
            place % 2 == 0,
            np.take_along_axis(keys, shown, axis=1) + 1,
            np.take_along_axis(values, shown, axis=1) + 1 + self.num_keys,
        )
        tokens = np.where(query < 0, pair, np.take_along_axis(asked, sought, axis=1) + 1)
        tags = np.where(query < 0, IGNORED, np.take_along_axis(answers, sought, axis=1))
        inputs = tokens * valid_positions(lengths, width)
        return Draw(
            inputs.astype(token_dtype(self.num_keys + self.num_values + 1)),
            tags.astype(tag_dtype(self.num_values)),
        )
