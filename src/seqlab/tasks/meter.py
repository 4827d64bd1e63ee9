"""A stage's metrics, accumulated over an epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from seqlab.data.batch import Batch


class Meter(Metric, ABC):
    """A stage's metrics: accumulates over the epoch on all devices, then computes all at once.

    `update(loss, outputs, batch)` takes what `Task.measure` returned; `compute()` returns a score
    for each name, "loss" among them: the mean over all examples, or over all values where some may
    be missing.
    """

    full_state_update = False
    # The scores are of choices, such as the likeliest class: where a network's outputs are not
    # numbers there is one too, and only the loss shows that it means nothing.
    of_choices = True
    loss_sum: Tensor
    loss_weight: Tensor
    count: Tensor
    example_indices: list[Tensor]
    example_scores: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.keeps_examples = False
        # Of the last `compute`, where they are kept.
        self.examples: ExampleScores | None = None
        self._example_names: tuple[str, ...] = ()
        # What a family keeps of the last `compute` for pictures and tables; empty where it has no
        # such thing. Counts by (true, predicted) class, and by what became of spans:
        self.confusion: Tensor | None = None
        self.span_confusion: Tensor | None = None
        # Exact match, and of how many, by the length of the source:
        self.exact_by_length: dict[int, tuple[float, int]] = {}
        # Errors by step of the horizon, the baselines' as `naive/mae`, and those over all steps:
        self.by_step: dict[str, Tensor] = {}
        self.baselines: dict[str, dict[str, Tensor]] = {}
        self.add_state("loss_sum", torch.zeros((), dtype=torch.float64), "sum")
        self.add_state("loss_weight", torch.zeros((), dtype=torch.float64), "sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), "sum")
        self.add_state("example_indices", [], "cat")
        self.add_state("example_scores", [], "cat")

    def update(self, loss: Tensor, outputs: Any, batch: Batch) -> None:
        """Accumulates one batch."""
        if self.device != loss.device:
            self.to(loss.device)
        self.loss_sum += loss.double() * batch.weight
        self.loss_weight += batch.weight
        self.count += len(batch)
        self.collect(outputs, batch)
        if self.keeps_examples and batch.indices is not None:
            found = self.outcomes(outputs, batch)
            self._example_names = tuple(found)
            pairs = [torch.stack([part.double() for part in pair], 1) for pair in found.values()]
            self.example_indices.append(batch.indices)
            self.example_scores.append(torch.stack(pairs, 1))

    def compute(self) -> dict[str, Tensor]:
        """All scores over what was accumulated."""
        self.examples = None
        if len(self.example_indices):
            indices, scores = map(dim_zero_cat, (self.example_indices, self.example_scores))
            order = indices.argsort()
            self.examples = ExampleScores(self._example_names, indices[order], scores[order])
        loss, scores = self.loss_sum / self.loss_weight, self.scores()
        if self.of_choices and loss.isnan():
            scores = {name: torch.full_like(loss, torch.nan) for name in scores}
        return {"loss": loss, **scores}

    @abstractmethod
    def collect(self, outputs: Any, batch: Batch) -> None:
        """Keeps what `scores` needs."""

    @abstractmethod
    def scores(self) -> dict[str, Tensor]:
        """The family's scores by name."""

    @abstractmethod
    def outcomes(self, outputs: Any, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """What each example adds to the scores that are a ratio of sums over examples.

        Returns:
            by the score's name, numerators and denominators, (batch,) both: Σ numerator /
            Σ denominator over the test set is the score, or its square where the score is a root.
        """


class ExampleScores(NamedTuple):
    """What each test example added to the scores.

    Attributes:
        names: the scores.
        indices: (examples,) which examples, in order.
        scores: (examples, names, 2) numerators and denominators.
    """

    names: tuple[str, ...]
    indices: Tensor
    scores: Tensor
