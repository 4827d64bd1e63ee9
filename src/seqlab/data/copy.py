"""The same again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqlab.data.seq2seq import SymbolDataset, rearranged
from seqlab.data.synthetic import Draw, Split, valid_positions


@dataclass(kw_only=True)
class Copy(SymbolDataset):
    """The target is the source.

    Example: `3 14 1` becomes `3 14 1`.
    """

    def longest_target(self, length: int) -> int:
        return length

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        tokens = self.draw_symbols(rng, lengths)
        places = np.arange(tokens.shape[1])
        return rearranged(
            tokens, lengths, np.where(valid_positions(lengths, tokens.shape[1]), places, -1)
        )
