"""A split's examples as whole tensors, from which batches are cut."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from seqlab.data.batch import IGNORED, Batch, loss_weights


class StoredSplit(Protocol):
    """A split from which batches can be cut: `Examples`, or the `Windows` of series."""

    @property
    def lengths(self) -> Tensor: ...

    def __len__(self) -> int: ...

    def batch(self, indices: Tensor, share: float = 1.0) -> Batch: ...

    def loss_weights(self, indices: Tensor) -> Tensor: ...

    def fingerprint(self) -> str: ...


@dataclass
class Examples:
    """A split's sequences as whole tensors, in the smallest dtype that holds them.

    Shapes are those of `Batch`, with all sequences padded to one width.

    Attributes:
        per_token: there is one target for each position of the inputs.
    """

    inputs: Tensor
    lengths: Tensor
    targets: Tensor
    evidence: Tensor | None = None
    target_lengths: Tensor | None = None
    alignment: Tensor | None = None
    per_token: bool = False

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, indices: Tensor, share: float = 1.0) -> Batch:
        """Gathers the sequences at `indices`, cut at the longest of them."""
        lengths = self.lengths[indices].long()
        width = int(lengths.max())
        inputs = self.inputs[:, :width][indices]
        target_lengths = alignment = None
        if self.per_token:
            targets = self.targets[:, :width][indices].long()
            targets.masked_fill_(torch.arange(width) >= lengths[:, None], IGNORED)
        elif self.target_lengths is not None:
            target_lengths = self.target_lengths[indices].long()
            target_width = int(target_lengths.max())
            targets = self.targets[:, :target_width][indices].long()
            if self.alignment is not None:
                alignment = self.alignment[:, :target_width][indices].long()
        else:
            targets = _widened(self.targets[indices])
        return Batch(
            inputs=inputs if inputs.is_floating_point() else inputs.long(),
            lengths=lengths,
            targets=targets,
            evidence=None if self.evidence is None else self.evidence[:, :width][indices],
            target_lengths=target_lengths,
            alignment=alignment,
            share=share,
            indices=indices,
        )

    def loss_weights(self, indices: Tensor) -> Tensor:
        """(indices,) how much each example counts in a mean loss; see `batch.loss_weights`."""
        return loss_weights(self.targets[indices])

    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that two splits share only if they ask the same."""
        asked = (self.inputs, self.lengths, self.targets, self.target_lengths)
        return fingerprint(part for part in asked if part is not None)


def fingerprint(tensors: Iterable[Tensor]) -> str:
    """A hash of tensors: their dtypes, shapes and values."""
    digest = hashlib.blake2b(digest_size=8)
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _widened(targets: Tensor) -> Tensor:
    return targets if targets.is_floating_point() else targets.long()
