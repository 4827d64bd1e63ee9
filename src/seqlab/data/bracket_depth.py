"""How deep is each bracket, or which kind of bracket does it close?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from seqlab.data.batch import IGNORED
from seqlab.data.spec import Spec
from seqlab.data.synthetic import Draw, Split, valid_positions
from seqlab.data.tagging import TaggingDataset, tag_dtype
from seqlab.errors import InputError, check_at_least

OPENERS, CLOSERS = "([{<", ")]}>"


@dataclass(kw_only=True)
class BracketDepth(TaggingDataset):
    """Dyck words: balanced brackets of several kinds.

    Example, target "depth": `( [ ] { } )` is tagged `1 2 2 2 2 1`: each bracket with the number of
    pairs around it, its own included.

    Example, target "partner": all closing brackets look alike, `( [ / { / /`, and are tagged with
    the kind of the bracket that they close, `[ { (`. The openers are not scored. This takes a
    stack, where the depth takes a counter.

    Each step opens or closes with equal probability, as far as the maximal depth and the rest of
    the length allow. Lengths are even.

    Args:
        kinds: kinds of brackets, 1 to 4.
        max_depth: the deepest nesting.
        target: "depth" or "partner".

    Raises:
        InputError: a setting out of range, or odd lengths only.
    """

    length_step: ClassVar[int] = 2

    min_length: int = 2
    max_length: int = 30
    kinds: int = 3
    max_depth: int = 6
    target: Literal["depth", "partner"] = "depth"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("data.max_depth", self.max_depth)
        if not 1 <= self.kinds <= len(OPENERS):
            raise InputError(f"data.kinds={self.kinds} must be from 1 to {len(OPENERS)}")
        if self.target not in ("depth", "partner"):
            raise InputError(f"data.target={self.target!r} must be depth or partner")
        shortest = [self.min_length, *(self.long_lengths or [])[:1]]
        if any(length % 2 for length in shortest):
            raise InputError(
                f"data.min_length={self.min_length} and the first of data.long_lengths must be "
                "even, as balanced brackets are"
            )

    @property
    def tag_names(self) -> tuple[str, ...]:
        if self.target == "partner":
            return tuple(OPENERS[: self.kinds])
        return tuple(str(depth) for depth in range(1, self.max_depth + 1))

    @property
    def spec(self) -> Spec:
        closers = "/" if self.target == "partner" else CLOSERS[: self.kinds]
        return self.describe_tokens((*OPENERS[: self.kinds], *closers))

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        rows, width = len(lengths), int(lengths.max())
        kinds = rng.integers(0, self.kinds, (rows, width), np.uint8)
        coins = rng.random((rows, width)) < 0.5
        stack = np.zeros((rows, self.max_depth + 1), np.uint8)
        depth = np.zeros(rows, np.intp)
        opens, depths = np.zeros((rows, width), bool), np.zeros((rows, width), np.intp)
        every = np.arange(rows)
        for step in range(width):
            rest = lengths - step
            opening = (depth == 0) | (coins[:, step] & (depth < self.max_depth) & (depth < rest))
            opening &= rest > 0
            depth += opening
            depths[:, step] = depth
            opens[:, step] = opening
            stack[every[opening], depth[opening]] = kinds[opening, step]
            kinds[~opening, step] = stack[every[~opening], depth[~opening]]
            depth -= ~opening & (rest > 0)
        valid = valid_positions(lengths, width)
        partner = self.target == "partner"
        closer = self.kinds + 1 + (0 if partner else kinds)
        inputs = np.where(opens, kinds + 1, closer).astype(np.uint8) * valid
        tags = np.where(opens, IGNORED, kinds) if partner else depths - 1
        return Draw(inputs, tags.astype(tag_dtype(len(self.tag_names))))
