"""What a decoder does: where it looks, what it writes, which hypotheses it weighs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from PIL import Image

from seqlab.callbacks.canvas import visible
from seqlab.callbacks.confusion import STAGES
from seqlab.callbacks.drawing import heatmap
from seqlab.callbacks.figures import SHOWN, FigureCallback, Moment, prepared, show_text, when
from seqlab.data.batch import Batch
from seqlab.data.spec import Spec
from seqlab.errors import check_at_least
from seqlab.escaping import markdown_code
from seqlab.tasks.base import Task


class AlignmentCallback(FigureCallback):
    """Draws where the decoder looks while it writes a few references; true sources outlined.

    Validation pairs while training, test pairs after the tests; the same each time.

    Args:
        folder: the run's folder; pictures go into its `figures`.
        sequences: how many are drawn.

    Raises:
        InputError: fewer than one sequence.
    """

    def __init__(self, folder: str, *, sequences: int = 3) -> None:
        super().__init__(folder)
        check_at_least("sequences", sequences)
        self.sequences = sequences

    def draw(
        self, trainer: Trainer, task: Task, moment: Moment
    ) -> Iterator[tuple[str, Image.Image]]:
        batch = _handful(trainer, task, moment, self.sequences)
        if batch is None or batch.target_lengths is None:
            return
        with torch.inference_mode(), trainer.precision_plugin.forward_context():
            weights = task.alignment(batch)
        if weights is None:
            return
        for row in range(len(batch)):
            length, steps = int(batch.lengths[row]), int(batch.target_lengths[row])
            marked = None
            if batch.alignment is not None:
                places = torch.arange(length, device=batch.alignment.device)
                marked = (batch.alignment[row, :steps, :, None] == places).any(1).cpu().numpy()
            picture = heatmap(
                weights[row, :steps, :length].float().cpu().numpy(),
                [task.spec.label_names[token] for token in batch.targets[row, :steps].tolist()],
                _source_names(batch, row, task.spec),
                f"Attention in {SHOWN[moment]} pair {row + 1}, {when(trainer, moment)}",
                rows="written",
                columns="looks at",
                scale="weight",
                marked=marked,
                high=1.0,
            )
            yield f"{moment}/alignment_{row + 1}", picture


class ExactMatchCallback(FigureCallback):
    """Plots exact match by the length of the source, of all that the stage has tested."""

    def draw(
        self, trainer: Trainer, task: Task, moment: Moment
    ) -> Iterator[tuple[str, Image.Image]]:
        points: dict[str, dict[int, float]] = {}
        for stage in STAGES[moment]:
            by_length = task.meter(stage).exact_by_length
            if by_length:
                points[stage] = {length: share for length, (share, _) in by_length.items()}
        if points:
            yield f"{moment}/exact_match_by_length", _plot(points, when(trainer, moment))


class OutputsCallback(Callback):
    """Writes a few sources, references and outputs as text, and the beams that were weighed.

    To the loggers and into `figures/val_outputs.md` and `test_outputs.md` of the run's folder; the
    same pairs each time. The beams are those of `task.search`, at least `hypotheses` wide.

    Args:
        folder: the run's folder.
        sequences: how many are written.
        hypotheses: hypotheses in the table of each sequence.

    Raises:
        InputError: fewer than one sequence or hypothesis.
    """

    def __init__(self, folder: str, *, sequences: int = 6, hypotheses: int = 5) -> None:
        check_at_least("sequences", sequences)
        check_at_least("hypotheses", hypotheses)
        self.folder = Path(folder) / "figures"
        self.sequences = sequences
        self.hypotheses = hypotheses

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._write(trainer, pl_module, "val")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer, pl_module, "test")

    def _write(self, trainer: Trainer, module: LightningModule, moment: Moment) -> None:
        task = cast(Task, module)
        batch = _handful(trainer, task, moment, self.sequences)
        if batch is None or not trainer.is_global_zero:
            return
        with torch.inference_mode(), trainer.precision_plugin.forward_context():
            written = task.written(batch, self.hypotheses)
        if written is None:
            return
        greedy, found = written
        parts = []
        for row in range(len(batch)):
            output = greedy.tokens[row, 0, : greedy.lengths[row, 0]].tolist()
            parts.append(_pair(batch, row, output, task.spec))
            lines = ["| hypothesis | log-probability | score |", "| --- | ---: | ---: |"]
            for rank in range(found.tokens.shape[1]):
                if found.scores[row, rank].isinf():
                    continue
                tokens = found.tokens[row, rank, : found.lengths[row, rank]].tolist()
                numbers = found.log_probs[row, rank], found.scores[row, rank]
                shown = " | ".join(f"{float(number):.3f}" for number in numbers)
                lines.append(f"| {_text(tokens, task.spec.label_names)} | {shown} |")
            parts.append("\n".join(lines))
        text = "\n\n".join(parts)
        heading = f"{SHOWN[moment].capitalize()} pairs, {when(trainer, moment)}"
        show_text(trainer, f"{moment}/outputs", heading, text, self.folder)


def _handful(trainer: Trainer, task: Task, moment: Moment, count: int) -> Batch | None:
    """The first pairs; None where there are none."""
    data = getattr(trainer, "datamodule", None)
    if data is None or task.spec.longest_target is None:
        return None
    examples = data.examples(moment)
    return prepared(trainer, task, examples.batch(torch.arange(min(count, len(examples)))))


def _source_names(batch: Batch, row: int, spec: Spec) -> list[str]:
    length = int(batch.lengths[row])
    if spec.kind != "tokens":
        return [str(time) for time in range(1, length + 1)]
    return [spec.input_names[token] for token in batch.inputs[row, :length].tolist()]


def _pair(batch: Batch, row: int, output: list[int], spec: Spec) -> str:
    """Source, reference and output below each other, as code, which Markdown leaves alone."""
    assert batch.target_lengths is not None  # sequence-to-sequence batches have them
    reference = batch.targets[row, : int(batch.target_lengths[row]) - 1].tolist()
    verdict = "right" if output == reference else "wrong"
    source = " ".join(map(visible, _source_names(batch, row, spec)))
    return (
        f"    source     {source}\n"
        f"    reference  {_plain(reference, spec.label_names)}\n"
        f"    output     {_plain(output, spec.label_names)}  ({verdict})"
    )


def _plain(tokens: list[int], names: tuple[str, ...]) -> str:
    return " ".join(visible(names[token]) for token in tokens)


def _text(tokens: list[int], names: tuple[str, ...]) -> str:
    return markdown_code(_plain(tokens, names), table=True) if tokens else "(empty)"


def _plot(points: dict[str, dict[int, float]], moment: str) -> Image.Image:
    """Exact match over length, one line a stage."""
    # Matplotlib takes half a second to import, which only who draws a plot should pay.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    from seqlab.callbacks.plots import legend, shown

    figure = Figure(figsize=(7, 3.6), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    for stage, shares in points.items():
        lengths = sorted(shares)
        axes.plot(lengths, [shares[length] for length in lengths], marker="o", ms=4, label=stage)
    axes.set(xlabel="length of the source", ylabel="exact match", ylim=(-0.03, 1.03))
    axes.set_title(shown(f"Exact match by length, {moment}"), fontsize=11, loc="left")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    legend(figure, axes)
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file)
    return Image.open(file).convert("RGB")
