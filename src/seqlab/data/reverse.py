"""Backwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqlab.data.seq2seq import SymbolDataset, rearranged
from seqlab.data.synthetic import Draw, Split


@dataclass(kw_only=True)
class Reverse(SymbolDataset):
    """The target is the source from its end to its beginning.

    Example: `3 14 1` becomes `1 14 3`.
    """

    def longest_target(self, length: int) -> int:
        return length

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        tokens = self.draw_symbols(rng, lengths)
        # Behind the beginning of the source the places go on below 0, where nothing is.
        places = lengths[:, None] - 1 - np.arange(tokens.shape[1])
        return rearranged(tokens, lengths, np.maximum(places, -1))
