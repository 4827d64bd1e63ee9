"""Pictures on their way to the loggers and into the run's folder."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, cast

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from PIL import Image

from seqlab.callbacks.loggers import send_picture, send_text
from seqlab.data.batch import Batch
from seqlab.tasks.base import Task

Moment = Literal["val", "test"]
# Whose examples are shown. Nobody sees the test set while training goes on and choices are made.
SHOWN: dict[Moment, str] = {"val": "validation", "test": "test"}


def show(trainer: Trainer, name: str, picture: Image.Image, folder: Path) -> None:
    """Sends a picture to the loggers that take one and to a PNG file, which it replaces.

    Args:
        trainer: knows the loggers and the step; only its first process writes.
        name: such as `val/confusion`: the tag, and with `_` for `/` the name of the file.
        picture: what to send.
        folder: where the file goes.
    """
    if not trainer.is_global_zero:
        return
    png = send_picture(trainer, name, picture)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name.replace('/', '_')}.png"
    # Written beside and renamed: who looks at it meanwhile sees the old one or the new one.
    part = path.with_suffix(".part")
    part.write_bytes(png)
    part.replace(path)


def while_drawn(pictures: Iterable[tuple[str, Image.Image]]) -> Iterator[tuple[str, Image.Image]]:
    """The pictures up to one that cannot be drawn, which is told: no picture is worth a run."""
    try:
        yield from pictures
    except Exception as error:
        warnings.warn(
            f"a picture could not be drawn, and those after it are left out: "
            f"{type(error).__name__}: {error}",
            stacklevel=2,
        )


def show_text(trainer: Trainer, name: str, heading: str, text: str, folder: Path) -> None:
    """Sends a Markdown text to the loggers that take one and to a file, which it replaces.

    Args:
        trainer: knows the loggers and the step; only its first process writes.
        name: such as `val/outputs`: the tag, and with `_` for `/` the name of the file.
        heading: the first line of the file.
        text: what to send.
        folder: where the file goes.
    """
    if not trainer.is_global_zero:
        return
    send_text(trainer, name, text)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name.replace('/', '_')}.md"
    path.write_text(f"{heading}\n\n{text}\n", encoding="utf-8")


class FigureCallback(Callback, ABC):
    """Draws after each validation and after the tests; a leaf says what.

    Args:
        folder: the run's folder; pictures go into its `figures`.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder) / "figures"

    @abstractmethod
    def draw(
        self, trainer: Trainer, task: Task, moment: Moment
    ) -> Iterator[tuple[str, Image.Image]]:
        """The pictures with their names; none where there is nothing to show."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._show(trainer, pl_module, "val")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._show(trainer, pl_module, "test")

    def _show(self, trainer: Trainer, module: LightningModule, moment: Moment) -> None:
        if trainer.is_global_zero:
            pictures = self.draw(trainer, cast(Task, module), moment)
            for name, picture in while_drawn(pictures):
                show(trainer, name, picture, self.folder)


def when(trainer: Trainer, moment: Moment) -> str:
    """Which weights a picture shows, for its title."""
    if moment == "test" and trainer.ckpt_path:
        return f"{Path(trainer.ckpt_path).stem} checkpoint"
    return f"step {trainer.global_step}"


def prepared(trainer: Trainer, task: Task, batch: Batch) -> Batch:
    """The batch on the task's device and in its precision, as the trainer would hand it over."""
    return cast(Batch, trainer.precision_plugin.convert_input(batch.to(task.device)))
