"""What all generators with one tag a token share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch

from seqlab.data.batch import IGNORED
from seqlab.data.spec import Spec
from seqlab.data.synthetic import SyntheticDataset


@dataclass(kw_only=True)
class TaggingDataset(SyntheticDataset):
    """A synthetic dataset with one tag a token, or `IGNORED` where a token is not scored."""

    per_token: ClassVar[bool] = True

    @property
    @abstractmethod
    def tag_names(self) -> tuple[str, ...]:
        """A printable name for each tag."""

    def quotas(self, size: int) -> None:
        return None

    @cached_property
    def _trivial(self) -> float:
        """Accuracy on the test set of its most frequent tag."""
        test = self.split("test")
        inside = torch.arange(test.targets.shape[1]) < test.lengths[:, None]
        tags = test.targets[inside & (test.targets != IGNORED)].numpy()
        return float(np.bincount(tags).max() / len(tags))

    def describe_tokens(self, names: Sequence[str], optimum: float | None = 1.0) -> Spec:
        """The spec for sequences of tokens with these names, from id 1 on, scored by accuracy."""
        return Spec(
            task="tagging",
            kind="tokens",
            input_size=len(names) + 1,
            output_size=len(self.tag_names),
            metric="token_accuracy",
            trivial=self._trivial,
            optimum=optimum,
            input_names=("·", *names),
            label_names=self.tag_names,
        )


def tag_dtype(tags: int) -> np.dtype:
    """The smallest integer dtype that holds every tag and `IGNORED`."""
    return np.dtype(np.int8 if tags <= 128 else np.int16)
