"""Twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqlab.data.seq2seq import SymbolDataset, rearranged
from seqlab.data.synthetic import Draw, Split


@dataclass(kw_only=True)
class Duplicate(SymbolDataset):
    """The target is the source, and the source once more.

    Example: `3 14 1` becomes `3 14 1 3 14 1`.
    """

    def longest_target(self, length: int) -> int:
        return 2 * length

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        tokens = self.draw_symbols(rng, lengths)
        steps = np.arange(2 * tokens.shape[1])
        places = np.where(steps < 2 * lengths[:, None], steps % lengths[:, None], -1)
        return rearranged(tokens, lengths, places)
