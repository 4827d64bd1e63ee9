"""What data hands to everybody else: batches, stored examples and the specification."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch
from torch import Tensor

IGNORED = -100
"""The target of a position that is not scored; `cross_entropy` leaves it out by default."""


@dataclass
class Batch:
    """Sequences of like length, padded to the longest of them.

    Attributes:
        inputs: (batch, time) token ids, 0 where padded, or (batch, time, feature) values.
        lengths: (batch,) number of valid positions, at least 1.
        targets: by family; (batch,) class ids for classification, (batch, time) tags for tagging,
            `IGNORED` where padded or not scored, (batch, horizon, channel) values for forecasting,
            NaN where missing.
        evidence: (batch, time), true where the generator knows that a position decides the answer.
        target_lengths: (batch,) tokens of each target sequence, its end token among them; None
            where targets are no sequences of their own.
        alignment: (batch, target time, sources) the positions of the inputs that each target token
            comes from, −1 for none, where the generator knows them.
        share: this device's share of the global batch times the number of devices: 1 on one
            device. The loss is scaled by it, so that the mean of the devices' gradients is the
            gradient of the whole batch even when they hold unequal numbers of sequences.
        context: what surrounds the window of a series; None for other families.
        indices: (batch,) which of the split's examples these are; None for a batch made by hand.
    """

    inputs: Tensor
    lengths: Tensor
    targets: Tensor
    evidence: Tensor | None = None
    target_lengths: Tensor | None = None
    alignment: Tensor | None = None
    share: float = 1.0
    context: SeriesContext | None = None
    indices: Tensor | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        return _moved(self, device, non_blocking)


@dataclass
class SeriesContext:
    """What a forecaster is told about a window of a series beside its history.

    Attributes:
        series: (batch,) which series the window is cut from.
        age: (batch,) number of the series' values before the forecast, in or before the window.
        first: (batch, channel) the series' first observed value.
        naive_error: (batch, channel) mean absolute in-sample error of the seasonal naive forecast
            before the split, which scales MASE; 0 where the series is constant.
        naive_square: (batch, channel) its mean square, which scales RMSSE.
        deviation: (batch, channel) standard deviation of the series before the split.
        future: (batch, horizon, covariate) covariates known for the future.
        static: (batch, covariate) what never changes about the series.
    """

    series: Tensor
    age: Tensor
    first: Tensor
    naive_error: Tensor
    naive_square: Tensor
    deviation: Tensor
    future: Tensor | None = None
    static: Tensor | None = None

    def to(self, device: torch.device | str, non_blocking: bool = False) -> SeriesContext:
        return _moved(self, device, non_blocking)


T = TypeVar("T", Batch, SeriesContext)


def _moved(record: T, device: torch.device | str, non_blocking: bool) -> T:
    """Moves each of the record's tensors to the device."""
    moved = {
        field.name: value.to(device, non_blocking=non_blocking)
        for field in fields(record)
        if isinstance(value := getattr(record, field.name), (Tensor, SeriesContext))
    }
    return replace(record, **moved)


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


@dataclass(frozen=True, kw_only=True)
class SeriesSpec:
    """What a forecaster needs to know of the series.

    Attributes:
        horizon: steps to forecast.
        period: steps of a season, for the seasonal naive forecast and MASE; 1 for none.
        autoregressive: the inputs' first features are the past of what is to be forecast; false
            where a whole sequence has one target (sequence regression).
        past_size: covariates known for the past only, next among the features.
        known_size: covariates known for the future too, last among the features.
        static_size: covariates of the series that never change.
        num_series: how many series there are.
        missing: some values are missing, which stands as NaN in inputs and targets.
        covariate_location: mean of each past, then known, then static covariate in training.
        covariate_scale: their standard deviations, 1 where constant.
        smallest: the smallest value of any series.
        smallest_at: its series and time, to name it in errors.
        no_count: the first value that is no whole number from 0 on, with its series and time, to
            name it in errors; empty where all are counts.
        names: a printable name for each series.
    """

    horizon: int
    period: int = 1
    autoregressive: bool = True
    past_size: int = 0
    known_size: int = 0
    static_size: int = 0
    num_series: int = 1
    missing: bool = False
    covariate_location: tuple[float, ...] = ()
    covariate_scale: tuple[float, ...] = ()
    smallest: float = float("-inf")
    smallest_at: str = ""
    no_count: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What the data tells everybody else; no configuration repeats it.

    Attributes:
        task: the family that the data asks for.
        kind: "tokens" (ids, 0 is padding) or "values" (real-valued features).
        input_size: size of the vocabulary, padding included, or number of features.
        output_size: number of classes, tags or target tokens, or of series forecast together.
        metric: the headline metric.
        trivial: what a predictor that ignores the input gets on the test set.
        optimum: the best that any predictor can get there; None where nobody knows.
        input_names: a printable name for each token id.
        label_names: a printable name for each class or tag.
        longest_target: tokens of the longest target sequence, the end token not counted; None
            where targets are no sequences of their own.
        scheme: how tags spell spans: "bio", "bioes" or "iob1"; None where they spell none.
        series: more about the series to forecast; None for other families.
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
    longest_target: int | None = None
    scheme: str | None = None
    series: SeriesSpec | None = None
