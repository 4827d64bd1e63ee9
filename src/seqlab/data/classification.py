"""What all generators with one class a sequence share: names, shares and quotas."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from seqlab.data.spec import Spec
from seqlab.data.synthetic import SyntheticDataset
from seqlab.errors import InputError


@dataclass(kw_only=True)
class ClassificationDataset(SyntheticDataset):
    """A synthetic dataset with one class a sequence.

    Args:
        balance: share of each class, in the order of the spec's labels, or for two classes the
            share of the second; null for equal shares. Every split holds these shares exactly.
    """

    balance: float | Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.shares  # raises where the balance does not fit

    @property
    @abstractmethod
    def label_names(self) -> tuple[str, ...]:
        """A printable name for each class."""

    @property
    def shares(self) -> np.ndarray:
        """The share of each class, (classes,)."""
        classes = len(self.label_names)
        if self.balance is None:
            return np.full(classes, 1 / classes)
        if isinstance(self.balance, (int, float)):
            shares = np.array([1 - self.balance, self.balance])
        else:
            try:
                shares = np.array(tuple(self.balance), dtype=float)
            except (TypeError, ValueError):
                shares = np.zeros(0)
        if len(shares) != classes or (shares < 0).any() or abs(shares.sum() - 1) > 1e-6:
            raise InputError(
                f"data.balance={self.balance} must be {classes} shares that sum to 1"
                + (", or the share of the second class between 0 and 1" if classes == 2 else "")
            )
        return shares

    def quotas(self, size: int) -> np.ndarray:
        """Class counts: the shares rounded so that they sum to `size`."""
        edges = np.rint(np.cumsum(self.shares) * size).astype(int)
        return np.diff(edges, prepend=0)

    def describe(
        self,
        *,
        kind: Literal["tokens", "values"],
        input_size: int,
        optimum: float | None,
        input_names: tuple[str, ...] = (),
    ) -> Spec:
        """The spec of a classification with these inputs; the rest follows from the classes."""
        return Spec(
            task="classification",
            kind=kind,
            input_size=input_size,
            output_size=len(self.label_names),
            metric="accuracy",
            trivial=float(self.shares.max()),
            optimum=optimum,
            input_names=input_names,
            label_names=self.label_names,
        )

    def describe_tokens(self, names: Sequence[str], optimum: float | None = 1.0) -> Spec:
        """The spec for sequences of tokens with these names, from id 1 on."""
        return self.describe(
            kind="tokens",
            input_size=len(names) + 1,
            optimum=optimum,
            input_names=("·", *names),
        )
