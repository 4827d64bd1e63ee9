"""What data hands to everybody else: batches, stored examples and the specification."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass
class Batch:
    """Sequences of like length, padded to the longest of them.

    Attributes:
        inputs: (batch, time) token ids, 0 where padded, or (batch, time, feature) values.
        lengths: (batch,) number of valid positions, at least 1.
        targets: by family; (batch,) class ids for classification.
        evidence: (batch, time), true where the generator knows that a position decides the answer.
        share: this device's share of the global batch times the number of devices: 1 on one
            device. The loss is scaled by it, so that the mean of the devices' gradients is the
            gradient of the whole batch even when they hold unequal numbers of sequences.
    """

    inputs: Tensor
    lengths: Tensor
    targets: Tensor
    evidence: Tensor | None = None
    share: float = 1.0

    def __len__(self) -> int:
        return len(self.lengths)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        moved = {
            field.name: value.to(device, non_blocking=non_blocking)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return replace(self, **moved)


@dataclass
class Examples:
    """A split's sequences as whole tensors, in the smallest dtype that holds them.

    Shapes are those of `Batch`, with all sequences padded to one width.
    """

    inputs: Tensor
    lengths: Tensor
    targets: Tensor
    evidence: Tensor | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, indices: Tensor, share: float = 1.0) -> Batch:
        """Gathers the sequences at `indices`, cut at the longest of them."""
        lengths = self.lengths[indices].long()
        width = int(lengths.max())
        inputs = self.inputs[:, :width][indices]
        return Batch(
            inputs=inputs if inputs.is_floating_point() else inputs.long(),
            lengths=lengths,
            targets=_widened(self.targets[indices]),
            evidence=None if self.evidence is None else self.evidence[:, :width][indices],
            share=share,
        )


def _widened(targets: Tensor) -> Tensor:
    return targets if targets.is_floating_point() else targets.long()


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What the data tells everybody else; no configuration repeats it.

    Attributes:
        task: the family that the data asks for.
        kind: "tokens" (ids, 0 is padding) or "values" (real-valued features).
        input_size: size of the vocabulary, padding included, or number of features.
        output_size: number of classes, tags or target tokens.
        metric: the headline metric; larger is better for all but errors.
        trivial: what a predictor that ignores the input gets on the test set.
        optimum: the best that any predictor can get there; None where nobody knows.
        input_names: a printable name for each token id.
        label_names: a printable name for each class or tag.
    """

    task: str
    kind: str
    input_size: int
    output_size: int
    metric: str
    trivial: float | None
    optimum: float | None
    input_names: tuple[str, ...] = ()
    label_names: tuple[str, ...] = ()
