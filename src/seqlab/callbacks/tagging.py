"""What a tagger does: its spans, its transitions, and sentences with tags and confidences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from PIL import Image
from torch import Tensor

from seqlab.callbacks.confusion import STAGES
from seqlab.callbacks.drawing import heatmap
from seqlab.callbacks.figures import SHOWN, FigureCallback, Moment, prepared, show_text, when
from seqlab.data.batch import IGNORED, Batch
from seqlab.data.spec import Spec
from seqlab.data.tag_scheme import TagScheme
from seqlab.errors import check_at_least
from seqlab.escaping import markdown
from seqlab.tasks.base import Task


class SpanConfusionCallback(FigureCallback):
    """Draws what became of each true span: right, wrong type, wrong boundary, missed; or spurious.

    Only for tags that spell spans.
    """

    def draw(
        self, trainer: Trainer, task: Task, moment: Moment
    ) -> Iterator[tuple[str, Image.Image]]:
        for stage, words in STAGES[moment].items():
            counts = task.meter(stage).span_confusion
            if counts is None:
                continue
            counts = counts.cpu()
            scheme = TagScheme(task.spec.label_names, task.spec.scheme or "bio")
            # A type that does not occur has no shares: its row is grey.
            shares = (counts.double() / counts.sum(dim=1, keepdim=True)).numpy()
            # Nothing can be spurious and missed at once.
            shares[-1, -2:] = float("nan")
            picture = heatmap(
                shares,
                [*scheme.type_names, "spurious"],
                [*scheme.type_names, "wrong boundary", "missed"],
                f"Spans, {words}, {when(trainer, moment)}",
                rows="true span",
                columns="prediction",
                scale="share of the row",
                numbers=counts.numpy(),
                high=1.0,
            )
            yield f"{stage}/span_confusion", picture


class TransitionsCallback(FigureCallback):
    """Draws a CRF's scores of moves from tag to tag, of starts and of ends; forbidden ones grey."""

    def draw(
        self, trainer: Trainer, task: Task, moment: Moment
    ) -> Iterator[tuple[str, Image.Image]]:
        with torch.no_grad():
            scores = task.transitions()
        if scores is None:
            return
        scores[scores.isneginf()] = float("nan")
        picture = heatmap(
            scores.numpy(),
            [*task.spec.label_names, "start"],
            [*task.spec.label_names, "end"],
            f"Transition scores, {when(trainer, moment)}",
            rows="from",
            columns="to",
            scale="score",
        )
        yield f"{moment}/transitions", picture


class TaggedSentencesCallback(Callback):
    """Writes a few sequences with tags and confidences as text, after validations and tests.

    To the loggers and into `figures/val_tagged_sentences.md` and `test_tagged_sentences.md` of the
    run's folder; the same sequences each time.

    Args:
        folder: the run's folder.
        sequences: how many are written.

    Raises:
        InputError: fewer than one sequence.
    """

    def __init__(self, folder: str, *, sequences: int = 6) -> None:
        check_at_least("sequences", sequences)
        self.folder = Path(folder) / "figures"
        self.sequences = sequences

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._write(trainer, pl_module, "val")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer, pl_module, "test")

    def _write(self, trainer: Trainer, module: LightningModule, moment: Moment) -> None:
        data, task = getattr(trainer, "datamodule", None), cast(Task, module)
        if not trainer.is_global_zero or data is None or task.spec.kind != "tokens":
            return
        examples = data.examples(moment)
        chosen = torch.arange(min(self.sequences, len(examples)))
        batch = prepared(trainer, task, examples.batch(chosen))
        with torch.inference_mode(), trainer.precision_plugin.forward_context():
            prediction = task.tags(batch)
        if prediction is None or prediction.confidences is None:
            return
        text = "\n\n".join(_tables(batch, prediction.tags, prediction.confidences, task.spec))
        heading = f"{SHOWN[moment].capitalize()} sequences, {when(trainer, moment)}"
        show_text(trainer, f"{moment}/tagged_sentences", heading, text, self.folder)


def _tables(batch: Batch, predicted: Tensor, confidences: Tensor, spec: Spec) -> Iterator[str]:
    """One Markdown table a sequence; wrong tags are bold, with the right one behind."""
    for row, length in enumerate(batch.lengths.tolist()):
        tokens, tags, shares = ["token"], ["tag"], ["confidence"]
        for place in range(length):
            tokens.append(markdown(spec.input_names[int(batch.inputs[row, place])]))
            target, tag = int(batch.targets[row, place]), int(predicted[row, place])
            name = markdown(spec.label_names[tag])
            if target == IGNORED:
                tags.append("")
                shares.append("")
                continue
            if tag != target:
                name = f"**{name}** ({markdown(spec.label_names[target])})"
            tags.append(name)
            shares.append(f"{float(confidences[row, place]):.2f}")
        lines = [tokens, ["---"] * len(tokens), tags, shares]
        yield "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
