"""How far a run is: a progress bar on a terminal, a line an epoch elsewhere and in `train.log`."""

from __future__ import annotations

import logging
import time
from typing import Any, cast

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from seqlab.errors import check_at_least
from seqlab.tasks.base import Task

# Characters of the bar.
BAR = 12

log = logging.getLogger("seqlab")


class EpochProgressBar(ProgressBar):
    """A bar for the epoch, validation or test under way, with the latest scores, on one line.

    Drawn seldom enough to cost nothing. Off a terminal there is none; see `EpochLines`.

    Args:
        every: training steps from one update to the next.
    """

    def __init__(self, every: int = 20) -> None:
        check_at_least("callbacks.progress_bar.every", every)
        super().__init__()
        self.every = every
        self.console = Console()
        self._shown: Progress | None = None
        self._bar: Any = None
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def enable(self) -> None:
        self._enabled = True

    def begin(self, trainer: Trainer, description: str, total: float) -> None:
        """Shows a new bar in place of the one before."""
        if not self._enabled or not trainer.is_global_zero or not self.console.is_terminal:
            return
        if self._shown is None:
            self._shown = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=BAR),
                MofNCompleteColumn(),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.fields[scores]}"),
                console=self.console,
                refresh_per_second=2,
                transient=True,
            )
            self._shown.start()
        if self._bar is not None:
            self._shown.remove_task(self._bar)
        self._bar = self._shown.add_task(description, total=total, scores=self._scores(trainer))

    def end(self) -> None:
        """Takes the bar away."""
        if self._shown is not None:
            self._shown.stop()
        self._shown = self._bar = None

    def _move(self, trainer: Trainer, done: int, total: float, every: int = 1) -> None:
        if self._shown is not None and (done % every == 0 or done >= total):
            self._shown.update(self._bar, completed=done, scores=self._scores(trainer))

    def _scores(self, trainer: Trainer) -> str:
        """The latest losses and headline metrics, as far as they fit beside the bar."""
        left = self.console.width - len("epoch 100/100") - BAR - len("1000/1000  00:00:00    ")
        text = ""
        for name, value in trainer.progress_bar_metrics.items():
            longer = f"{text}  {name} {float(value):.3g}".strip()
            if len(longer) > left:
                break
            text = longer
        return text

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        total = self.total_train_batches
        self.begin(trainer, f"epoch {epoch_of(trainer)}", total)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._move(trainer, batch_idx + 1, self.total_train_batches, self.every)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        batches = trainer.num_sanity_val_batches if trainer.sanity_checking else None
        self.begin(trainer, "validation", _total(batches or trainer.num_val_batches))
        self._done = 0

    def on_validation_batch_end(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        self._done += 1
        self._move(trainer, self._done, _total(trainer.num_val_batches))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit":
            self.end()
        elif not trainer.sanity_checking:  # the epoch goes on, or ends
            self.begin(trainer, f"epoch {epoch_of(trainer)}", self.total_train_batches)
            self._move(trainer, trainer.fit_loop.epoch_loop.batch_idx + 1, 0)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.begin(trainer, "test", _total(trainer.num_test_batches))
        self._done = 0

    def on_test_batch_end(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        self._done += 1
        self._move(trainer, self._done, _total(trainer.num_test_batches))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.end()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.end()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self.end()


class EpochLines(Callback):
    """Writes a line when an epoch is done: into `train.log`, and on a screen without progress bar.

    The screen shows it where it is no terminal, unless `trainer.enable_progress_bar` is false.
    """

    def __init__(self) -> None:
        self.console = Console()
        self._began: float | None = None
        self._epoch = ""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # The scores of an epoch are complete when the next one starts.
        self._tell(trainer, pl_module)
        self._began, self._epoch = time.perf_counter(), epoch_of(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._began is not None:
            self._seconds = time.perf_counter() - self._began

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._tell(trainer, pl_module)

    def _tell(self, trainer: Trainer, module: LightningModule) -> None:
        if self._began is None or not trainer.is_global_zero:
            return
        self._began = None
        headline = cast(Task, module).spec.metric
        names = dict.fromkeys(("train/loss", "val/loss", f"train/{headline}", f"val/{headline}"))
        scores = trainer.callback_metrics
        parts = [f"{name} {float(scores[name]):.4g}" for name in names if name in scores]
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        line = "  ".join(
            [f"epoch {self._epoch}", *parts, f"lr {rate:.3g}", f"{self._seconds:.1f} s"]
        )
        log.info(line)
        if trainer.progress_bar_callback is not None and not self.console.is_terminal:
            print(line, flush=True)  # noqa: T201


def epoch_of(trainer: Trainer) -> str:
    """The number of the epoch under way, from 1 on, and of how many if that is known."""
    most = trainer.max_epochs
    number = f"{trainer.current_epoch + 1}"
    return f"{number}/{most}" if most is not None and most > 0 else number


def _total(batches: Any) -> float:
    """Over all dataloaders of a stage."""
    return sum(batches) if isinstance(batches, list) else batches
