"""What all generators with a target sequence share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from seqlab.data.spec import Spec
from seqlab.data.synthetic import Draw, SyntheticDataset, token_dtype, valid_positions
from seqlab.data.vocabulary import END, SPECIAL
from seqlab.errors import check_at_least


@dataclass(kw_only=True)
class Seq2SeqDataset(SyntheticDataset):
    """A synthetic dataset with a target sequence for each source sequence.

    Source and target share one vocabulary: ids 0 to 3 are padding, begin, end and unknown. Targets
    end with the end token. `min_length`, `max_length` and `long_lengths` bound the sources.
    """

    @property
    @abstractmethod
    def symbols(self) -> tuple[str, ...]:
        """A printable name for each symbol, from id 4 on."""

    @abstractmethod
    def longest_target(self, length: int) -> int:
        """How many tokens a target can have, its end not counted, for sources up to a length."""

    def quotas(self, size: int) -> None:
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """A printable name for each id."""
        return (*SPECIAL, *self.symbols)

    @property
    def dtype(self) -> np.dtype:
        """The smallest integer dtype that holds every id."""
        return token_dtype(len(self.names))

    @property
    def spec(self) -> Spec:
        return Spec(
            task="seq2seq",
            kind="tokens",
            input_size=len(self.names),
            output_size=len(self.names),
            metric="exact_match",
            trivial=self._trivial,
            optimum=1.0,
            input_names=self.names,
            label_names=self.names,
            longest_target=self.longest_target(max(self.max_length, *(self.long_lengths or (0,)))),
        )

    @cached_property
    def _trivial(self) -> float:
        """Exact match on the test set of its most frequent target."""
        _, counts = np.unique(self.split("test").targets.numpy(), axis=0, return_counts=True)
        return float(counts.max() / counts.sum())

    def draw_symbols(self, rng: np.random.Generator, lengths: np.ndarray) -> np.ndarray:
        """Symbols drawn evenly and independently, (rows, width) ids, 0 where padded."""
        width = int(lengths.max())
        shape = (len(lengths), width)
        tokens = rng.integers(len(SPECIAL), len(self.names), shape, self.dtype)
        return tokens * valid_positions(lengths, width)


@dataclass(kw_only=True)
class SymbolDataset(Seq2SeqDataset):
    """Sequences of symbols without any meaning but their order of ids.

    Args:
        num_symbols: how many there are; they are named from 0 on.
    """

    num_symbols: int = 26

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("data.num_symbols", self.num_symbols, 2)

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(map(str, range(self.num_symbols)))


def rearranged(tokens: np.ndarray, lengths: np.ndarray, places: np.ndarray) -> Draw:
    """Targets whose every token is the one at a place in the source.

    Args:
        tokens: (rows, width) sources.
        lengths: (rows,) of the sources.
        places: (rows, steps) place in the source of each target token, −1 behind the last.
    """
    targets = np.take_along_axis(tokens, np.maximum(places, 0), axis=1)
    targets = np.where(places >= 0, targets, 0).astype(tokens.dtype)
    target_lengths = (places >= 0).sum(axis=1)
    return ended(tokens, lengths, targets, target_lengths, places[..., None])


def ended(
    tokens: np.ndarray,
    lengths: np.ndarray,
    targets: np.ndarray,
    target_lengths: np.ndarray,
    alignment: np.ndarray,
) -> Draw:
    """Rows with the end token behind each target.

    Args:
        tokens: (rows, width) sources, 0 where padded.
        lengths: (rows,) of the sources.
        targets: (rows, steps), 0 where padded.
        target_lengths: (rows,) without the end.
        alignment: (rows, steps, sources) where each target token comes from, −1 for nowhere.
    """
    targets = np.pad(targets, ((0, 0), (0, 1)))
    targets[np.arange(len(targets)), target_lengths] = END
    # The end comes from no position.
    alignment = np.pad(alignment, ((0, 0), (0, 1), (0, 0)), constant_values=-1)
    return Draw(
        inputs=tokens,
        targets=targets,
        lengths=lengths,
        target_lengths=(target_lengths + 1).astype(np.int32),
        alignment=alignment.astype(np.int16),
    )


def packed(
    values: Sequence[np.ndarray], keep: np.ndarray, empty: Sequence[int]
) -> list[np.ndarray]:
    """Moves what is kept of each row to its beginning, in order.

    Args:
        values: arrays (rows, width, …), moved alike.
        keep: (rows, width), true for what stays.
        empty: for each array what stands behind the last.
    """
    counts = keep.sum(axis=1)
    places = keep.cumsum(axis=1) - 1
    rows, columns = np.nonzero(keep)
    moved = []
    for array, rest in zip(values, empty, strict=True):
        out = np.full((len(array), max(1, counts.max()), *array.shape[2:]), rest, array.dtype)
        out[rows, places[rows, columns]] = array[rows, columns]
        moved.append(out)
    return moved
