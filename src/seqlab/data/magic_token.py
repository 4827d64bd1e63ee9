"""Is the magic token in the sequence?"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

from seqlab.data.classification import ClassificationDataset
from seqlab.data.spec import Spec
from seqlab.data.synthetic import Draw, Split, token_dtype, valid_positions
from seqlab.errors import InputError, check_at_least


@dataclass(kw_only=True)
class MagicToken(ClassificationDataset):
    """Label 1 exactly when the magic token is present.

    Example: with magic token 7, `3 11 7 19 2` is "present" and `3 11 8 19 2` is "absent".

    With `strict=False` the sequences are made as many notebooks make them: all tokens drawn from
    the whole vocabulary and, for label 1, one position overwritten. A negative then holds the
    token by chance with probability 1 − (1 − 1/(V−1))^T, and no predictor can be perfect. The
    best one weighs how often the token occurs: k occurrences among T positions are
    k·(V−1)/T times as likely under label 1.

    Args:
        vocabulary_size: number of token ids, padding included.
        magic_token: the id to look for.
        strict: negatives never hold the magic token.
    """

    vocabulary_size: int = 20
    magic_token: int = 7
    strict: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("data.vocabulary_size", self.vocabulary_size, 3)
        if not 1 <= self.magic_token < self.vocabulary_size:
            raise InputError(
                f"data.magic_token={self.magic_token} must be an id from 1 to "
                f"{self.vocabulary_size - 1} (data.vocabulary_size - 1; 0 is padding)"
            )

    @property
    def label_names(self) -> tuple[str, ...]:
        return ("absent", "present")

    @property
    def spec(self) -> Spec:
        names = [str(token) for token in range(1, self.vocabulary_size)]
        return self.describe_tokens(names, 1.0 if self.strict else self._bayes_accuracy())

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        rows, width = len(lengths), int(lengths.max())
        dtype = token_dtype(self.vocabulary_size)
        if self.strict:
            # Ids 1 … V−2, with those from the magic one on moved up: the magic one never occurs.
            tokens = rng.integers(1, self.vocabulary_size - 1, (rows, width), dtype)
            tokens += tokens >= self.magic_token
        else:
            tokens = rng.integers(1, self.vocabulary_size, (rows, width), dtype)
        positive = np.flatnonzero(rng.random(rows) < 0.5)
        tokens[positive, rng.integers(0, lengths[positive])] = self.magic_token
        tokens *= valid_positions(lengths, width)
        labels = np.zeros(rows, np.uint8)
        labels[positive] = 1
        return Draw(tokens, labels, evidence=tokens == self.magic_token)

    def _bayes_accuracy(self) -> float:
        """Expected accuracy of the best predictor, which knows the generator."""
        symbols = self.vocabulary_size - 1
        positive = float(self.shares[1])
        chance = 1 / symbols
        total = 0.0
        lengths = range(self.min_length, self.max_length + 1)
        for length in lengths:
            for count in range(length + 1):
                rest = length - 1
                others = _binomial(rest, count - 1, chance) if count else 0.0
                total += max(positive * others, (1 - positive) * _binomial(length, count, chance))
        return total / len(lengths)


def _binomial(trials: int, successes: int, chance: float) -> float:
    return comb(trials, successes) * chance**successes * (1 - chance) ** (trials - successes)
