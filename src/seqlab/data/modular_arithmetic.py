"""What does this sum of products come to, modulo 5?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from seqlab.data.classification import ClassificationDataset
from seqlab.data.spec import Spec
from seqlab.data.synthetic import Draw, Split, valid_positions
from seqlab.errors import InputError, check_at_least

OPERATORS = ("+", "-", "*")


@dataclass(kw_only=True)
class ModularArithmetic(ClassificationDataset):
    """The label is the value of an expression without brackets, modulo 5.

    Example: `1 + 2 * 4 - 3` is 1 + 8 − 3 = 6, which is "1" modulo 5.

    "Modular arithmetic (simple)" of Delétang et al. 2023: digits below the modulus and the
    operators + − ·, products before sums. Digits and operators take turns, so that there are
    expressions of odd lengths only, and the bounds of the lengths must be odd. Ids are the digits
    plus 1, then the operators. The classes are balanced although a product is 0 more often than
    anything else. Nearly every position decides the answer, so that none is singled out as
    evidence.

    Args:
        modulus: digits are below it, and so is the value.
        min_length: length of the shortest expression, odd.
        max_length: length of the longest expression of train, val and test, odd.

    Raises:
        InputError: an even bound.
    """

    length_step: ClassVar[int] = 2

    modulus: int = 5
    min_length: int = 3
    max_length: int = 19

    def __post_init__(self) -> None:
        check_at_least("data.modulus", self.modulus, 2)
        super().__post_init__()
        if self.modulus > 100:
            raise InputError(f"data.modulus={self.modulus} must be at most 100")
        bounds = {"data.min_length": self.min_length, "data.max_length": self.max_length}
        if self.train_min_length is not None:
            bounds["data.train_min_length"] = self.train_min_length
        for number, length in enumerate(self.long_lengths or ()):
            bounds[f"data.long_lengths[{number}]"] = length
        for name, length in bounds.items():
            if length % 2 == 0:
                raise InputError(
                    f"{name}={length} must be odd, because digits and operators take turns; "
                    f"use {length - 1} or {length + 1}"
                )

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(str(value) for value in range(self.modulus))

    @property
    def spec(self) -> Spec:
        return self.describe_tokens([*self.label_names, *OPERATORS])

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        valid = valid_positions(lengths)
        rows, width = valid.shape
        digits = rng.integers(0, self.modulus, (rows, (width + 1) // 2), np.uint8)
        operators = rng.integers(0, len(OPERATORS), (rows, width // 2), np.uint8)
        # A finished expression is multiplied by 1 from there on, which leaves it alone.
        finished = ~valid[:, 2::2]
        values = self._evaluate(
            np.where(np.pad(finished, ((0, 0), (1, 0))), 1, digits),
            np.where(finished, OPERATORS.index("*"), operators),
        )
        tokens = np.empty((rows, width), np.uint8)
        tokens[:, 0::2] = digits + 1
        tokens[:, 1::2] = operators + self.modulus + 1
        tokens *= valid
        return Draw(tokens, values)

    def _evaluate(self, digits: np.ndarray, operators: np.ndarray) -> np.ndarray:
        """The values of the rows' expressions: all at once, from left to right.

        `total` is the sum of the products that are done, `product` the signed one in progress.
        """
        total = np.zeros(len(digits), np.int16)
        product = digits[:, 0].astype(np.int16)
        for digit, operator in zip(digits.T[1:], operators.T, strict=True):
            multiplies = operator == OPERATORS.index("*")
            signed = np.where(operator == OPERATORS.index("-"), -1, 1) * digit
            total = np.where(multiplies, total, (total + product) % self.modulus)
            product = np.where(multiplies, product * digit % self.modulus, signed)
        return ((total + product) % self.modulus).astype(np.uint8)
