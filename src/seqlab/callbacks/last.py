"""The checkpoint to go on from: after each epoch, and where Ctrl-C stopped."""

from __future__ import annotations

import random
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

# The checkpoint before the last, beside it.
PREVIOUS = "previous.ckpt"


class LastCheckpoint(Checkpoint):
    """Saves `last.ckpt` with everything that continuing needs to repeat the uninterrupted run.

    That includes the state of the random generators. The checkpoint before it is kept as
    `previous.ckpt`. Ctrl-C is heard at the end of the training step that it meets, where the state
    is whole; a second one stops at once.

    Args:
        folder: where the checkpoint goes.
    """

    def __init__(self, folder: str) -> None:
        self.path = Path(folder) / "last.ckpt"
        self._interrupted = False
        self._previous: Any = None
        self._random: dict[str, Any] | None = None
        self._saved_at = -1
        # Whether the file there is a checkpoint that this process saved or read.
        self._intact = False
        self._scores: dict[str, float] = {}
        # What the checkpoint gone on from had measured; empty for a new run.
        self.former_scores: dict[str, float] = {}

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {"torch": torch.get_rng_state(), "python": random.getstate()}
        state["scores"] = self._scores
        if torch.cuda.is_available():
            state["cuda"] = torch.cuda.get_rng_state_all()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._random = state_dict
        self.former_scores = state_dict.get("scores", {})

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._interrupted = False
        read = trainer.ckpt_path
        self._intact = read is not None and Path(read).absolute() == self.path.absolute()
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._hear)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._random is None:
            return
        torch.set_rng_state(self._random["torch"])
        random.setstate(self._random["python"])
        if torch.cuda.is_available() and "cuda" in self._random:
            torch.cuda.set_rng_state_all(self._random["cuda"])
        self._random = None

    def _hear(self, number: int, frame: Any) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            return  # the end of the epoch saves, when validation is done too
        out_of_steps = 0 <= trainer.max_steps <= trainer.global_step
        if self._interrupted or trainer.should_stop or out_of_steps:
            self._save(trainer)
            self._saved_at = trainer.global_step
        if self._interrupted:
            raise KeyboardInterrupt

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # An epoch that stopped half-way looks whole from here: going on would skip its rest.
        if self._saved_at != trainer.global_step:
            self._save(trainer)
        if self._interrupted:
            raise KeyboardInterrupt

    def _save(self, trainer: Trainer) -> None:
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        self._scores = {name: value.item() for name, value in trainer.callback_metrics.items()}
        # Kept for the case that the new one turns out damaged; a damaged one is not worth keeping.
        if trainer.is_global_zero and self._intact:
            keep_previous(self.path)
        trainer.save_checkpoint(self.path)
        self._intact = True

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None


def keep_previous(last: Path) -> None:
    """Keeps the checkpoint that is about to be replaced as `previous.ckpt`; `last` stays too."""
    part = last.with_name(f".{PREVIOUS}.part")
    part.unlink(missing_ok=True)
    try:
        part.hardlink_to(last)
    except OSError:  # a file system without such links
        shutil.copyfile(last, part)
    part.replace(last.with_name(PREVIOUS))
