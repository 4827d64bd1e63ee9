"""Sums, digit by digit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqlab.data.seq2seq import Seq2SeqDataset, ended, packed
from seqlab.data.synthetic import Draw, Split
from seqlab.data.vocabulary import SPECIAL
from seqlab.errors import InputError

DIGITS = tuple("0123456789")
PLUS = len(SPECIAL) + len(DIGITS)


@dataclass(kw_only=True)
class Addition(Seq2SeqDataset):
    """Two numbers and a plus become their sum, most significant digit first.

    A digit of the sum comes from the two digits of its place, as far as there are; a leading carry
    comes from the first digit of each number that is as long as the longer one.

    Example: `9 5 + 1 7` becomes `1 1 2`.

    Raises:
        InputError: sources too short for two numbers.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.min_length, self.train_min_length or self.min_length) < 3:
            raise InputError(
                f"data.min_length={self.min_length} is too short for a sum; use at least 3"
            )

    @property
    def symbols(self) -> tuple[str, ...]:
        return (*DIGITS, "+")

    def longest_target(self, length: int) -> int:
        return length - 1

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        rows, width = len(lengths), int(lengths.max())
        first = rng.integers(1, lengths - 1)  # digits of the first number
        second = lengths - 1 - first
        digits = rng.integers(0, 10, (rows, width))
        steps = np.arange(width)
        # A number starts with 0 only if it is 0.
        for start, size in ((np.zeros_like(first), first), (first + 1, second)):
            lead = rng.integers(1, 10, rows)
            row = np.arange(rows)
            digits[row, start] = np.where(size > 1, lead, digits[row, start])
        tokens = np.where(steps < lengths[:, None], digits + len(SPECIAL), 0)
        tokens[np.arange(rows), first] = PLUS
        total, carry = np.zeros((rows, width), np.int64), np.zeros(rows, np.int64)
        sources = np.full((rows, width, 2), -1)
        for place in range(width):  # from the right
            for number, (end, size) in enumerate(((first, first), (lengths, second))):
                at = end - 1 - place
                there = place < size
                total[:, place] += np.where(there, digits[np.arange(rows), np.maximum(at, 0)], 0)
                sources[:, place, number] = np.where(there, at, -1)
            total[:, place] += carry
            carry = total[:, place] // 10
            total[:, place] %= 10
        longer = np.maximum(first, second)
        carried = total[np.arange(rows), np.minimum(longer, width - 1)] * (longer < width) > 0
        row = np.flatnonzero(carried)
        sources[row, longer[row]] = sources[row, longer[row] - 1]
        keep = np.arange(width) < (longer + carried)[:, None]
        targets, alignment = packed(
            [total[:, ::-1] + len(SPECIAL), sources[:, ::-1]], keep[:, ::-1], [0, -1]
        )
        return ended(
            tokens.astype(self.dtype), lengths, targets.astype(self.dtype), keep.sum(1), alignment
        )
