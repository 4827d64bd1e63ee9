"""Symbols scattered among blanks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqlab.data.copy_memory import BLANK
from seqlab.data.seq2seq import SymbolDataset, rearranged
from seqlab.data.synthetic import Draw, Split, valid_positions
from seqlab.data.vocabulary import SPECIAL
from seqlab.errors import InputError, check_at_least


@dataclass(kw_only=True)
class SelectiveCopy(SymbolDataset):
    """The target is the source without its blanks (Gu & Dao 2023, section 3.1).

    Example: `_ 5 _ _ 0 7 _` becomes `5 0 7`.

    Args:
        num_symbols: how many there are; they are named from 0 on.
        num_remembered: how many stand in each source.

    Raises:
        InputError: sources too short for the symbols.
    """

    num_symbols: int = 8
    num_remembered: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("data.num_remembered", self.num_remembered)
        shortest = min(self.min_length, self.train_min_length or self.min_length)
        if shortest < self.num_remembered:
            raise InputError(
                f"data.min_length={shortest} leaves no room for data.num_remembered="
                f"{self.num_remembered} symbols; use at least {self.num_remembered}"
            )

    @property
    def symbols(self) -> tuple[str, ...]:
        return (*super().symbols, BLANK)

    def longest_target(self, length: int) -> int:
        return self.num_remembered

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        rows, width, blank = len(lengths), int(lengths.max()), len(SPECIAL) + self.num_symbols
        inside = valid_positions(lengths, width)
        # The places of the smallest of as many random numbers are a random choice of places.
        chance = np.where(inside, rng.random((rows, width)), 2.0)
        places = np.sort(chance.argsort(axis=1)[:, : self.num_remembered], axis=1)
        tokens = np.where(inside, blank, 0).astype(self.dtype)
        symbols = rng.integers(len(SPECIAL), blank, places.shape, self.dtype)
        np.put_along_axis(tokens, places, symbols, axis=1)
        return rearranged(tokens, lengths, places)
