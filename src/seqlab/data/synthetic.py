"""What all generators share: sizes, lengths, seeds, disjoint splits and class balance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
import torch

from seqlab.data.examples import Examples
from seqlab.data.spec import Spec
from seqlab.errors import InputError, check_at_least

Split = Literal["train", "val", "test", "test_long"]
SPLITS: tuple[Split, ...] = ("train", "val", "test", "test_long")

# Rows and positions drawn at once: enough that NumPy's calls vanish, few enough for the cache.
CHUNK_ROWS = 1 << 15
CHUNK_POSITIONS = 1 << 20
# Chunks in a row that may bring nothing new before the request is called impossible.
PATIENCE = 50


@dataclass
class Draw:
    """Freshly drawn rows as NumPy arrays, shaped as in `Examples`.

    `lengths` is for a rule that decides itself how long a row gets; rows whose length is out of
    range are dropped.
    """

    inputs: np.ndarray
    targets: np.ndarray
    evidence: np.ndarray | None = None
    lengths: np.ndarray | None = None
    target_lengths: np.ndarray | None = None
    alignment: np.ndarray | None = None


@dataclass(kw_only=True)
class SyntheticDataset(ABC):
    """Sequences made by a rule, so that the best possible score is known.

    A split is a function of the settings and the seed alone. No sequence of one split occurs in
    another: a hash of the tokens decides which split may hold a sequence, so this is true for
    spaces as small as eight sequences too. Real-valued sequences differ with probability 1.

    Args:
        train_size: sequences to train on.
        val_size: sequences to validate on.
        test_size: sequences in each test set.
        min_length: length of the shortest sequence.
        max_length: length of the longest sequence of train, val and test.
        train_min_length: length of the shortest sequence of train, if it is another than
            `min_length`: a reader may need short sequences to learn what it then does with long
            ones.
        train_max_length: length of the longest sequence of train, if it is below `max_length`.
        long_lengths: shortest and longest length of a second test set, reported as `test_long`.
        seed: seeds the generation.

    A leaf whose rule has no sequences of some lengths sets `length_step`: lengths then go up from
    the shortest in such steps. One whose targets are tags sets `per_token`.

    Raises:
        InputError: a size below 1, lengths that leave no choice, or too few distinct sequences.
    """

    length_step: ClassVar[int] = 1
    per_token: ClassVar[bool] = False

    train_size: int = 10_000
    val_size: int = 2_000
    test_size: int = 2_000
    min_length: int = 5
    max_length: int = 20
    train_min_length: int | None = None
    train_max_length: int | None = None
    long_lengths: Sequence[int] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("train_size", "val_size", "test_size", "min_length"):
            check_at_least(f"data.{name}", getattr(self, name))
        check_at_least("data.seed", self.seed, 0)
        if self.min_length > self.max_length:
            raise InputError(
                f"data.min_length={self.min_length} is above data.max_length={self.max_length}; "
                "lower the one or raise the other"
            )
        if self.train_min_length is not None and not 1 <= self.train_min_length <= self.max_length:
            raise InputError(
                f"data.train_min_length={self.train_min_length} must be from 1 to "
                f"data.max_length={self.max_length}; use null for data.min_length"
            )
        shortest = self.train_min_length or self.min_length
        if self.train_max_length is not None and self.train_max_length < shortest:
            raise InputError(
                f"data.train_max_length={self.train_max_length} is below the shortest length of "
                f"train, {shortest}; use null for data.max_length"
            )
        if self.train_max_length is not None and self.train_max_length > self.max_length:
            raise InputError(
                f"data.train_max_length={self.train_max_length} is above data.max_length="
                f"{self.max_length}; raise the latter"
            )
        if self.long_lengths is not None:
            bounds = tuple(self.long_lengths)
            if len(bounds) != 2 or not self.max_length < bounds[0] <= bounds[1]:
                raise InputError(
                    f"data.long_lengths={list(bounds)} must be [shortest, longest], both above "
                    f"data.max_length={self.max_length}; use null for no second test set"
                )

    @property
    @abstractmethod
    def spec(self) -> Spec:
        """Sizes, names, and the trivial and best possible scores."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        """Draws one sequence for each of `lengths` (rows,), padded to `lengths.max()` or wider."""

    @abstractmethod
    def quotas(self, size: int) -> np.ndarray | None:
        """How many of `size` sequences each class gets, (classes,); None for no classes."""

    @property
    def splits(self) -> tuple[Split, ...]:
        return SPLITS if self.long_lengths is not None else SPLITS[:3]

    @cached_property
    def _hash_weights(self) -> np.ndarray:
        """One odd random weight a position: a multilinear hash, which padding zeros leave alone."""
        width = max(self.max_length, *(self.long_lengths or (0,)))
        rng = np.random.default_rng([self.seed, len(SPLITS)])
        return rng.integers(0, 1 << 64, width, dtype=np.uint64) | np.uint64(1)

    def split(self, name: Split) -> Examples:
        """Generates one split.

        Raises:
            InputError: the split does not exist, or its sequences run out.
        """
        if name == "test_long" and self.long_lengths is None:
            raise InputError("there is no test_long without data.long_lengths")
        size = {"train": self.train_size, "val": self.val_size}.get(name, self.test_size)
        low, high = self._length_range(name)
        rng = np.random.default_rng([self.seed, SPLITS.index(name)])
        store = _Store(size, high)
        remaining = self.quotas(size)
        idle = 0
        step, choices = self.length_step, (high - low) // self.length_step + 1
        # Short splits draw short chunks.
        chunk = max(256, min(CHUNK_ROWS, CHUNK_POSITIONS // high, 2 * size))
        while store.filled < size:
            lengths = low + step * rng.integers(0, choices, chunk)
            drawn = self.draw(rng, lengths, name)
            rows = self._rows(drawn, name)
            if drawn.lengths is not None:
                lengths = drawn.lengths
                rows = rows[(lengths[rows] >= low) & (lengths[rows] <= high)]
            if remaining is None:
                rows = rows[: size - store.filled]
            else:
                rows = _fill(drawn, rows, remaining)
            idle = 0 if len(rows) else idle + 1
            if idle > PATIENCE:
                raise InputError(
                    f"only {store.filled} of {size} sequences for {name} can be made with these "
                    f"settings (lengths {low} to {high}); allow longer sequences, a larger "
                    "vocabulary, another balance or a smaller split"
                )
            store.add(drawn, lengths, rows)
        tensors = {name: torch.from_numpy(array) for name, array in store.arrays.items()}
        return Examples(**tensors, per_token=self.per_token)

    def _length_range(self, name: Split) -> tuple[int, int]:
        if name == "test_long" and self.long_lengths is not None:
            shortest, longest = self.long_lengths
            return shortest, longest
        if name == "train":
            low, high = self.train_min_length, self.train_max_length
            return (
                self.min_length if low is None else low,
                self.max_length if high is None else high,
            )
        return self.min_length, self.max_length

    def _rows(self, drawn: Draw, name: Split) -> np.ndarray:
        """The rows that this split may hold."""
        if name == "test_long" or drawn.inputs.dtype.kind == "f":
            return np.arange(len(drawn.inputs))
        weights = self._hash_weights[: drawn.inputs.shape[1]]
        hashed = drawn.inputs[:, : len(weights)].astype(np.uint64) @ weights
        hashed ^= hashed >> np.uint64(32)
        share = (hashed * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
        place = share.astype(np.float64) / (1 << 24)
        if name == "train":
            return np.flatnonzero(place >= 0.2)
        return np.flatnonzero(place < 0.1 if name == "test" else (place >= 0.1) & (place < 0.2))


def _fill(drawn: Draw, rows: np.ndarray, remaining: np.ndarray) -> np.ndarray:
    """Of `rows`, those whose class is still wanted, in drawn order; counts down `remaining`."""
    labels = drawn.targets[rows]
    counts = np.bincount(labels, minlength=len(remaining))
    if (counts <= remaining).all():
        remaining -= counts
        return rows
    kept = [np.flatnonzero(labels == label)[:want] for label, want in enumerate(remaining)]
    remaining -= [len(places) for places in kept]
    return rows[np.sort(np.concatenate(kept))]


class _Store:
    """A split's arrays while they fill up; the first rows allocate them."""

    def __init__(self, size: int, width: int) -> None:
        self.size = size
        self.width = width
        self.filled = 0
        self.arrays: dict[str, np.ndarray] = {}

    def add(self, drawn: Draw, lengths: np.ndarray, rows: np.ndarray) -> None:
        """Copies the chosen rows behind those that are there."""
        end = self.filled + len(rows)
        columns = {
            "inputs": drawn.inputs,
            "lengths": lengths.astype(np.int32),
            "targets": drawn.targets,
            "evidence": drawn.evidence,
            "target_lengths": drawn.target_lengths,
            "alignment": drawn.alignment,
        }
        own_width = ("targets", "alignment") if drawn.target_lengths is not None else ()
        for name, array in columns.items():
            if array is None:
                continue
            # The values of a horizon, (rows, horizon, channel), are equally many for all rows.
            padded = array.ndim > 1 and not (name == "targets" and array.ndim == 3)
            if name in own_width:
                # Targets are as wide as the rule makes them, which may differ from chunk to chunk.
                self._widen(name, array)
            elif name not in self.arrays:
                shape = (self.width, *array.shape[2:]) if padded else array.shape[1:]
                self.arrays[name] = np.zeros((self.size, *shape), array.dtype)
            part = self.arrays[name][self.filled : end]
            if padded:
                part[:, : array.shape[1]] = array[rows, : part.shape[1]]
            else:
                part[:] = array[rows]
        self.filled = end

    def _widen(self, name: str, array: np.ndarray) -> None:
        """Makes room for targets of this width; where there is none, there is no source either."""
        empty = -1 if name == "alignment" else 0
        old = self.arrays.get(name, np.empty((self.size, 0, *array.shape[2:]), array.dtype))
        missing = max(0, array.shape[1] - old.shape[1])
        edges = [(0, 0), (0, missing)] + [(0, 0)] * (array.ndim - 2)
        self.arrays[name] = np.pad(old, edges, constant_values=empty)


def valid_positions(lengths: np.ndarray, width: int | None = None) -> np.ndarray:
    """(rows, width), true at positions before each row's length."""
    return np.arange(lengths.max() if width is None else width) < lengths[:, None]


def token_dtype(vocabulary_size: int) -> np.dtype:
    """The smallest integer dtype that PyTorch can index and that holds every id."""
    return np.dtype(np.uint8 if vocabulary_size <= 256 else np.int32)
