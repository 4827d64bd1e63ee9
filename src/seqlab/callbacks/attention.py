"""Where the model looks in a fixed handful of sequences."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from lightning import Trainer
from PIL import Image
from torch import Tensor

from seqlab.callbacks.drawing import Strip, heatmap, round_above, strips
from seqlab.callbacks.figures import SHOWN, FigureCallback, Moment, prepared, when
from seqlab.data.batch import Batch
from seqlab.data.spec import Spec
from seqlab.errors import check_at_least
from seqlab.tasks.base import Task
from seqlab.tasks.views import Pooled

# With more classes than this, some are not shown.
MOST_CLASSES = 24


class AttentionCallback(FigureCallback):
    """Draws the weights that a classifier pools with, for sequences of all classes.

    Validation sequences while training, test sequences after the tests; the same each time.
    Poolings without weights have no picture.

    Args:
        folder: the run's folder; pictures go into its `figures`.
        sequences: how many are shown; at least one of each class in any case.

    Raises:
        InputError: fewer than one sequence.
    """

    def __init__(self, folder: str, *, sequences: int = 8) -> None:
        super().__init__(folder)
        check_at_least("sequences", sequences)
        self.sequences = sequences

    def draw(
        self, trainer: Trainer, task: Task, moment: Moment
    ) -> Iterator[tuple[str, Image.Image]]:
        data = getattr(trainer, "datamodule", None)
        if data is None or task.spec.task != "classification":
            return  # examples are chosen by their class
        examples = data.examples(moment)
        count = max(self.sequences, min(task.spec.output_size, MOST_CLASSES))
        batch = prepared(trainer, task, examples.batch(handful(examples.targets, count)))
        with torch.inference_mode(), trainer.precision_plugin.forward_context():
            pooled = task.pooled(batch)
        if pooled is None:
            return
        title = f"Attention over {SHOWN[moment]} sequences, {when(trainer, moment)}"
        sequences = list(_strips(batch, pooled, task.spec))
        features = task.spec.input_names if task.spec.kind == "values" else ()
        yield f"{moment}/attention", strips(sequences, title, features=features)


def handful(targets: Tensor, count: int) -> Tensor:
    """Indices of sequences of each class in turn: the first of each, then the second, and so on."""
    targets = targets.long()
    order = targets.argsort(stable=True)
    counts = targets.bincount()
    first = counts.cumsum(0) - counts
    turn = torch.empty_like(targets)
    turn[order] = torch.arange(len(targets)) - first[targets[order]]
    return (turn * len(counts) + targets).argsort()[:count]


def _strips(batch: Batch, pooled: Pooled, spec: Spec) -> Iterator[Strip]:
    for row, length in enumerate(batch.lengths.tolist()):
        inputs = batch.inputs[row, :length].cpu()
        known = None if batch.evidence is None else batch.evidence[row, :length].cpu().numpy()
        yield Strip(
            content=inputs.float().numpy()
            if spec.kind == "values"
            else [spec.input_names[token] for token in inputs.tolist()],
            weights=pooled.weights[row, :length].float().cpu().numpy(),
            label=spec.label_names[int(batch.targets[row])],
            prediction=spec.label_names[int(pooled.predicted[row])],
            evidence=known,
        )


class SelfAttentionCallback(FigureCallback):
    """Draws how the states of a few test sequences attend to one another, where they do.

    Args:
        folder: the run's folder; pictures go into its `figures`.
        sequences: how many sequences are shown.

    Raises:
        InputError: fewer than one sequence.
    """

    def __init__(self, folder: str, *, sequences: int = 2) -> None:
        super().__init__(folder)
        check_at_least("sequences", sequences)
        self.sequences = sequences

    def draw(
        self, trainer: Trainer, task: Task, moment: Moment
    ) -> Iterator[tuple[str, Image.Image]]:
        data = getattr(trainer, "datamodule", None)
        if data is None:
            return
        examples = data.examples(moment)
        chosen = torch.arange(min(self.sequences, len(examples)))
        batch = prepared(trainer, task, examples.batch(chosen))
        with torch.inference_mode(), trainer.precision_plugin.forward_context():
            weights = task.self_attention(batch)
        if weights is None:
            return
        for row, length in enumerate(batch.lengths.tolist()):
            ids = batch.inputs[row, :length].tolist()
            names = (
                [task.spec.input_names[token] for token in ids]
                if task.spec.kind == "tokens"
                else [str(time) for time in range(1, length + 1)]
            )
            shown = weights[row, :length, :length].float().cpu().numpy()
            picture = heatmap(
                shown,
                names,
                names,
                f"Self-attention in {SHOWN[moment]} sequence {row + 1}, {when(trainer, moment)}",
                rows="state",
                columns="attends to",
                scale="weight",
                # Of many states each gets a little: up to 1 all would be white.
                high=round_above(float(shown.max())),
            )
            yield f"{moment}/self_attention_{row + 1}", picture
