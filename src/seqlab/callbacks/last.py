"""The checkpoint to go on from: after each epoch, and where a signal or limit stopped training."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.trainer.states import TrainerFn
from torch import distributed

from seqlab.callbacks.resuming import (
    adapt_callback_states,
    begin_next_epoch,
    is_stopped,
    log_at_step,
    of_all_processes,
    random_state,
    restore_random_state,
    restore_training_metrics,
    training_metrics,
)
from seqlab.interrupts import error_of, interrupts
from seqlab.private.lightning import validation_is_due
from seqlab.saving import LAST, PREVIOUS
from seqlab.tasks.base import Task

# Lightning's progress of a validation that was begun but of which no batch is done: going on from
# there runs it from its beginning.
BEGUN = {"ready": 1, "started": 1, "processed": 0, "completed": 0}


class LastCheckpoint(Checkpoint):
    """Saves `last.ckpt` with everything that continuing needs to repeat the uninterrupted run.

    That includes, of every process, the state of the random generators and of the epoch's training
    metrics. The checkpoint before it is kept as
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
        # The random state before the validation that is under way; None in training.
        self._random_before: dict[str, Any] | None = None
        # The signal for which training stops as soon as the step or epoch that was saved is logged.
        self._stopping = 0
        self._saved_at = -1
        # Whether the file there is a checkpoint that this process saved or read.
        self._intact = False
        # Of the checkpoint that is being saved, and of the one that the run is resumed from.
        self._state: dict[str, Any] = {}
        self._former: dict[str, Any] = {}
        self._former_callbacks: dict[str, Any] = {}

    @property
    def former_scores(self) -> dict[str, float]:
        """What the checkpoint that the run is resumed from had measured; empty for a new run."""
        return self._former.get("scores", {})

    def state_dict(self) -> dict[str, Any]:
        return self._state

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        adapt_callback_states(trainer, checkpoint["callbacks"])
        if trainer.state.fn == TrainerFn.FITTING:  # else the weights to test are read
            self._former_callbacks = checkpoint["callbacks"]
            self._former = dict(self._former_callbacks.get(self.state_key, {}))

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

        stopped = self._former.get("stopped", False)
        if is_stopped(trainer, self._former_callbacks, stopped=stopped):
            trainer.should_stop = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._former:
            begin_next_epoch(trainer)
            self._restore(trainer, metrics=True)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if "processes" in self._former:
            # Training was over already: the tests draw and log as they would have done then.
            self._restore(trainer, metrics=False)
            log_at_step(trainer)

    def _restore(self, trainer: Trainer, *, metrics: bool) -> None:
        """Puts this process into the state of its checkpoint, once."""
        states = self._former.pop("processes", None)
        if not states:
            return
        same = len(states) == trainer.world_size
        state = states[min(trainer.global_rank, len(states) - 1)]
        restore_random_state(state["random"])
        if metrics:
            restore_training_metrics(
                cast(Task, trainer.lightning_module), state["metrics"] if same else None
            )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            return  # the end of the epoch saves, when validation is done too
        if _within_group(trainer):
            return
        stop = self._signal()
        out_of_steps = 0 <= trainer.max_steps <= trainer.global_step
        if trainer.should_stop or out_of_steps or (stop and not validation_is_due(trainer)):
            self._save(trainer)
            self._saved_at = trainer.global_step
            self._stopping = stop

    def on_train_batch_start(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        _raise(self._stopping)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        _raise(self._stopping)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # An epoch that stopped half-way looks whole from here: going on would skip its rest. It has
        # its training metrics only now.
        if self._saved_at != trainer.global_step:
            self._save(trainer)
        elif trainer.is_global_zero:
            self._save_scores(trainer)
        self._stopping = self._signal()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._random_before = random_state()
        self._stop_evaluation(trainer)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        self._stop_evaluation(trainer)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._random_before = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        fitting = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
        if not fitting or trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            return
        # Training ends within the epoch, and what was saved before lacks this validation.
        if trainer.should_stop or self._saved_at == trainer.global_step:
            self._save(trainer)
            self._saved_at = trainer.global_step

    def on_test_batch_end(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        self._stop_evaluation(trainer)

    def _stop_evaluation(self, trainer: Trainer) -> None:
        if trainer.state.fn == TrainerFn.FITTING and _within_group(trainer):
            return
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
        task = cast(Task, trainer.lightning_module)
        own = {"random": self._random_before or random_state(), "metrics": training_metrics(task)}
        self._state = {
            "processes": of_all_processes(own, self._group),
            "scores": _scores(trainer),
            "stopped": trainer.should_stop,
        }
        # Kept for the case that the new one turns out damaged; a damaged one is not worth keeping.
        if trainer.is_global_zero and self._intact:
            keep_previous(self.path)
        trainer.save_checkpoint(self.path)
        self._state = {}
        self._intact = True

    def _save_scores(self, trainer: Trainer) -> None:
        """Puts what was measured since into the checkpoint that was saved last."""
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        checkpoint = torch.load(self.path, weights_only=True)
        checkpoint["callbacks"][self.state_key]["scores"] = _scores(trainer)
        trainer.strategy.checkpoint_io.save_checkpoint(checkpoint, self.path)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self._deferred.close()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        late = self._signal()
        self._deferred.close()
        _raise(late)


def _within_group(trainer: Trainer) -> bool:
    """Whether gradients are accumulated, which are in no checkpoint: training cannot stop here."""
    progress = trainer.fit_loop.epoch_loop.batch_progress
    within = progress.current.ready % trainer.accumulate_grad_batches != 0
    return within and not progress.is_last_batch


def _scores(trainer: Trainer) -> dict[str, float]:
    return {name: value.item() for name, value in trainer.callback_metrics.items()}


def _raise(signal: int) -> None:
    if signal:
        raise error_of(signal)


def keep_previous(last: Path) -> None:
    """Keeps the checkpoint that is about to be replaced as `previous.ckpt`; `last` stays too."""
    part = last.with_name(f".{PREVIOUS.name}.part")
    part.unlink(missing_ok=True)
    try:
        part.hardlink_to(last)
    except OSError:  # a file system without such links
        shutil.copyfile(last, part)
    part.replace(last.with_name(PREVIOUS.name))
