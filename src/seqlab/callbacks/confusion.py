"""Which classes are taken for which."""

from __future__ import annotations

from collections.abc import Iterator

from lightning import Trainer
from PIL import Image

from seqlab.callbacks.drawing import heatmap
from seqlab.callbacks.figures import FigureCallback, Moment, when
from seqlab.tasks.base import Task

STAGES = {
    "val": {"val": "validation"},
    "test": {"test": "test", "test_long": "longer test sequences"},
}


class ConfusionCallback(FigureCallback):
    """Draws the confusion matrix of every stage whose meter keeps one in `confusion`."""

    def draw(
        self, trainer: Trainer, task: Task, moment: Moment
    ) -> Iterator[tuple[str, Image.Image]]:
        for stage, words in STAGES[moment].items():
            counts = task.meter(stage).confusion
            if counts is None:
                continue
            counts = counts.cpu()
            # A class that does not occur has no shares: its row is grey.
            shares = counts.double() / counts.sum(dim=1, keepdim=True)
            names = task.spec.label_names
            picture = heatmap(
                shares.numpy(),
                names,
                names,
                f"Confusion matrix, {words}, {when(trainer, moment)}",
                rows="label",
                columns="prediction",
                scale="share of the label",
                numbers=counts.numpy(),
                high=1.0,
            )
            yield f"{stage}/confusion", picture
