"""The checkpoint to go on from: after each epoch, and where a signal or limit stopped training."""

from __future__ import annotations

import random
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch import distributed

from seqlab.interrupts import error_of, interrupts
from seqlab.saving import LAST, PREVIOUS

# Lightning's progress of a validation that was begun but of which no batch is done: going on from
# there runs it from its beginning.
BEGUN = {"ready": 1, "started": 1, "processed": 0, "completed": 0}


class LastCheckpoint(Checkpoint):
    """Saves `last.ckpt` with everything that continuing needs to repeat the uninterrupted run.

    That includes the state of the random generators. The checkpoint before it is kept as
    `previous.ckpt`.

    Ctrl-C and SIGTERM to any process of the run are heard by all of them at the end of the batch
    that they meet, where the state is whole; a second signal stops at once. A validation that is
    stopped is run again from its beginning by whoever goes on.

    Args:
        folder: where the checkpoint goes.
    """

    def __init__(self, folder: str) -> None:
        self.path = Path(folder) / LAST.name
        self._deferred = ExitStack()
        self._group: Any = None
        self._random: dict[str, Any] | None = None
        # The random state before the validation that is under way; None in training.
        self._random_before: dict[str, Any] | None = None
        self._saved_at = -1
        # Whether the file there is a checkpoint that this process saved or read.
        self._intact = False
        self._scores: dict[str, float] = {}
        # What the checkpoint gone on from had measured; empty for a new run.
        self.former_scores: dict[str, float] = {}

    def state_dict(self) -> dict[str, Any]:
        return {**(self._random_before or _random_state()), "scores": self._scores}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._random = state_dict
        self.former_scores = state_dict.get("scores", {})

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if self._random_before is not None and trainer.validating and "loops" in checkpoint:
            progress = {"total": BEGUN, "current": BEGUN, "is_last_batch": False}
            checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"] = progress

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._deferred.enter_context(interrupts.deferred())
        several = distributed.is_available() and distributed.is_initialized()
        if several and self._group is None:
            # Flags on the CPU: accelerators go on with their work.
            self._group = distributed.new_group(backend="gloo")

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        read = trainer.ckpt_path
        self._intact = read is not None and Path(read).absolute() == self.path.absolute()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._random is None:
            return
        torch.set_rng_state(self._random["torch"])
        random.setstate(self._random["python"])
        if torch.cuda.is_available() and "cuda" in self._random:
            torch.cuda.set_rng_state_all(self._random["cuda"])
        self._random = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            return  # the end of the epoch saves, when validation is done too
        stop = self._signal()
        out_of_steps = 0 <= trainer.max_steps <= trainer.global_step
        if trainer.should_stop or out_of_steps or (stop and not _validation_is_due(trainer)):
            self._save(trainer)
            self._saved_at = trainer.global_step
            _raise(stop)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # An epoch that stopped half-way looks whole from here: going on would skip its rest.
        if self._saved_at != trainer.global_step:
            self._save(trainer)
        _raise(self._signal())

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._random_before = _random_state()
        self._stop_evaluation(trainer)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        self._stop_evaluation(trainer)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._random_before = None

    def on_test_batch_end(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        self._stop_evaluation(trainer)

    def _stop_evaluation(self, trainer: Trainer) -> None:
        stop = self._signal()
        if stop and self._random_before is not None:
            self._save(trainer)
        _raise(stop)

    def _signal(self) -> int:
        """The signal that this process or another one of the run has received; 0 without one."""
        received = interrupts.received or 0
        if self._group is None:
            return received
        flag = torch.tensor(received)
        distributed.all_reduce(flag, distributed.ReduceOp.MAX, group=self._group)
        return int(flag)

    def _save(self, trainer: Trainer) -> None:
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        self._scores = {name: value.item() for name, value in trainer.callback_metrics.items()}
        # Kept for the case that the new one turns out damaged; a damaged one is not worth keeping.
        if trainer.is_global_zero and self._intact:
            keep_previous(self.path)
        trainer.save_checkpoint(self.path)
        self._intact = True

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self._deferred.close()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        late = self._signal()
        self._deferred.close()
        _raise(late)


def _raise(signal: int) -> None:
    if signal:
        raise error_of(signal)


def _validation_is_due(trainer: Trainer) -> bool:
    """Whether a validation follows the training batch that has just ended."""
    loop = trainer.fit_loop
    assert loop._data_fetcher is not None  # it fetched the batch
    return loop.epoch_loop._should_check_val_fx(loop._data_fetcher)


def _random_state() -> dict[str, Any]:
    state: dict[str, Any] = {"torch": torch.get_rng_state(), "python": random.getstate()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def keep_previous(last: Path) -> None:
    """Keeps the checkpoint that is about to be replaced as `previous.ckpt`; `last` stays too."""
    part = last.with_name(f".{PREVIOUS.name}.part")
    part.unlink(missing_ok=True)
    try:
        part.hardlink_to(last)
    except OSError:  # a file system without such links
        shutil.copyfile(last, part)
    part.replace(last.with_name(PREVIOUS.name))
