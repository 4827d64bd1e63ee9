"""Symbols, a long blank, and then: what were they?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqlab.data.seq2seq import SymbolDataset, rearranged
from seqlab.data.synthetic import Draw, Split
from seqlab.data.vocabulary import SPECIAL
from seqlab.errors import InputError, check_at_least

BLANK, RECALL = "_", "?"


@dataclass(kw_only=True)
class CopyMemory(SymbolDataset):
    """The target is the first symbols of the source; blanks and a mark follow them there.

    The classical task (Hochreiter & Schmidhuber 1997; Arjovsky et al. 2016) with the recall as a
    sequence of its own.

    Example: with three symbols to remember `5 0 7 _ _ _ ?` becomes `5 0 7`.

    Args:
        num_symbols: how many there are; they are named from 0 on.
        num_remembered: how many stand in each source.

    Raises:
        InputError: sources too short for the symbols and the mark.
    """

    num_symbols: int = 8
    num_remembered: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("data.num_remembered", self.num_remembered)
        shortest = min(self.min_length, self.train_min_length or self.min_length)
        if shortest <= self.num_remembered:
            raise InputError(
                f"data.min_length={shortest} leaves no room for data.num_remembered="
                f"{self.num_remembered} symbols and the mark behind them; use at least "
                f"{self.num_remembered + 1}"
            )

    @property
    def symbols(self) -> tuple[str, ...]:
        return (*super().symbols, BLANK, RECALL)

    def longest_target(self, length: int) -> int:
        return self.num_remembered

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        rows, first = len(lengths), len(SPECIAL)
        mark = first + self.num_symbols + 1
        steps = np.arange(lengths.max())
        tokens = np.where(steps < lengths[:, None] - 1, mark - 1, 0).astype(self.dtype)
        shape = (rows, self.num_remembered)
        tokens[:, : self.num_remembered] = rng.integers(first, mark - 1, shape, self.dtype)
        tokens[np.arange(rows), lengths - 1] = mark
        places = np.broadcast_to(np.arange(self.num_remembered), shape)
        return rearranged(tokens, lengths, places)
