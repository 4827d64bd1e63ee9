"""In order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqlab.data.seq2seq import SymbolDataset, rearranged
from seqlab.data.synthetic import Draw, Split, valid_positions


@dataclass(kw_only=True)
class Sort(SymbolDataset):
    """The target is the source, smallest symbol first; of equal ones the first comes first.

    Example: `14 3 1 3` becomes `1 3 3 14`.
    """

    def longest_target(self, length: int) -> int:
        return length

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        tokens = self.draw_symbols(rng, lengths)
        inside = valid_positions(lengths, tokens.shape[1])
        keys = np.where(inside, tokens, np.iinfo(np.int32).max).astype(np.int32)
        places = keys.argsort(axis=1, kind="stable")
        # Padding sorts behind all symbols.
        return rearranged(tokens, lengths, np.where(inside, places, -1))
