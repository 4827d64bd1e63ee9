"""One class a sequence."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torchmetrics.functional.classification as tm
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.utilities import dim_zero_cat

from seqlab.data.batch import Batch
from seqlab.data.spec import Spec
from seqlab.errors import InputError, check_probability
from seqlab.nn.precision import at_least_single
from seqlab.tasks.base import MakeOptimizer, MakeScheduler, Task
from seqlab.tasks.meter import Meter
from seqlab.tasks.views import Pooled, attention_of_reader


class Classification(Task):
    """Cross-entropy over classes.

    Args:
        network: `(inputs, lengths) → (logits (batch, classes), weights or None)`.
        spec: what the data looks like.
        optimizer: makes the optimiser from the parameters.
        scheduler: makes the learning-rate schedule from the optimiser and the number of steps.
        label_smoothing: probability spread evenly over all classes (Szegedy et al. 2016, sec. 7).
        class_weights: weight of each class in the loss, in the order of the spec's labels.

    Raises:
        InputError: label smoothing outside [0, 1), or weights that do not fit the classes.
    """

    def __init__(
        self,
        *,
        network: nn.Module,
        spec: Spec,
        optimizer: MakeOptimizer,
        scheduler: MakeScheduler,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__(network=network, spec=spec, optimizer=optimizer, scheduler=scheduler)
        check_probability("label_smoothing", label_smoothing)
        self.label_smoothing = label_smoothing
        weights = None if class_weights is None else torch.tensor(tuple(class_weights)).float()
        if weights is not None and (len(weights) != spec.output_size or not (weights > 0).all()):
            raise InputError(
                f"task.class_weights={weights.tolist()} must be {spec.output_size} positive "
                f"numbers, one for each of {', '.join(spec.label_names)}"
            )
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", weights, persistent=False)

    def new_meter(self, stage: str) -> Meter:
        return ClassificationMeter(self.spec.label_names, accuracy_only=stage == "train")

    def pooled(self, batch: Batch) -> Pooled | None:
        logits, weights = self.network.forward(batch.inputs, batch.lengths)
        return None if weights is None else Pooled(logits.argmax(dim=-1), weights)

    def self_attention(self, batch: Batch) -> Tensor | None:
        return attention_of_reader(self.network, batch)

    def measure(self, batch: Batch, stage: str) -> tuple[Tensor, tuple[Tensor, Tensor | None]]:
        logits, weights = self.network(batch.inputs, batch.lengths)
        logits = at_least_single(logits)
        losses = F.cross_entropy(
            logits,
            batch.targets,
            weight=None if self.class_weights is None else self.class_weights.to(logits.dtype),
            label_smoothing=self.label_smoothing,
            reduction="none",
        )
        # Not divided by the sum of the weights: then a set's loss is the mean over its examples,
        # however it is cut into batches or dealt out to devices.
        return losses.mean(), (logits.detach(), weights)


class ClassificationMeter(Meter):
    """Accuracy, F1, AUROC, calibration error, confusion matrix, and attention on evidence.

    Args:
        label_names: a name for each class.
        accuracy_only: leaves out all other scores.
    """

    logits: list[Tensor]
    targets: list[Tensor]
    evidence_mass: Tensor
    evidence_count: Tensor

    def __init__(self, label_names: Sequence[str], *, accuracy_only: bool = False) -> None:
        super().__init__()
        self.label_names = tuple(label_names)
        self.accuracy_only = accuracy_only
        self.add_state("logits", [], "cat")
        self.add_state("targets", [], "cat")
        self.add_state("evidence_mass", torch.zeros((), dtype=torch.float64), "sum")
        self.add_state("evidence_count", torch.zeros((), dtype=torch.float64), "sum")

    def collect(self, outputs: tuple[Tensor, Tensor | None], batch: Batch) -> None:
        logits, weights = outputs
        self.logits.append(logits)
        self.targets.append(batch.targets)
        if weights is not None and batch.evidence is not None and not self.accuracy_only:
            self.evidence_mass += torch.where(batch.evidence, weights, 0.0).double().sum()
            self.evidence_count += batch.evidence.any(dim=1).sum()

    def scores(self) -> dict[str, Tensor]:
        """`accuracy`, `macro_f1`, `f1_<label>`, `auroc`, `calibration_error` (15 bins).

        With attention and known evidence also `attention_on_evidence`: the weight on all evidence
        of a sequence, averaged over the sequences that have any. AUROC is the mean over classes of
        one against the rest, left out while a class is missing from the targets. The confusion
        matrix (true, predicted) is kept in `confusion`.
        """
        logits = dim_zero_cat(self.logits)
        targets = dim_zero_cat(self.targets)
        classes = len(self.label_names)
        predicted = logits.argmax(dim=-1)
        accuracy = (predicted == targets).double().mean()
        if self.accuracy_only:
            return {"accuracy": accuracy}
        probabilities = logits.softmax(dim=-1)
        self.confusion = tm.multiclass_confusion_matrix(predicted, targets, classes)
        f1 = tm.multiclass_f1_score(predicted, targets, classes, average="none")
        scores = {
            "accuracy": accuracy,
            "macro_f1": tm.multiclass_f1_score(predicted, targets, classes, average="macro"),
            "calibration_error": tm.multiclass_calibration_error(probabilities, targets, classes),
            **{
                f"f1_{name.replace(' ', '_')}": score
                for name, score in zip(self.label_names, f1, strict=True)
            },
        }
        if len(targets.unique()) == classes:
            scores["auroc"] = tm.multiclass_auroc(probabilities, targets, classes)  # type: ignore[assignment]
        if self.evidence_count > 0:
            scores["attention_on_evidence"] = self.evidence_mass / self.evidence_count
        return scores

    def outcomes(
        self, outputs: tuple[Tensor, Tensor | None], batch: Batch
    ) -> dict[str, tuple[Tensor, Tensor]]:
        right = outputs[0].argmax(dim=-1) == batch.targets
        return {"accuracy": (right, torch.ones_like(right))}
