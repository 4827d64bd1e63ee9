"""What a resumed run needs beside what Lightning restores."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, Timer
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from torch import distributed

from seqlab.private.lightning import set_logged_step
from seqlab.tasks.base import Task
from seqlab.tasks.meter_state import meter_state, restore_meter


def random_state() -> dict[str, Any]:
    """The state of this process's random generators."""
    state: dict[str, Any] = {"torch": torch.get_rng_state(), "python": random.getstate()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore_random_state(state: dict[str, Any]) -> None:
    """Puts the generators into the state that `random_state` found."""
    torch.set_rng_state(state["torch"])
    random.setstate(state["python"])
    if torch.cuda.is_available() and "cuda" in state:
        torch.cuda.set_rng_state_all(state["cuda"])


def of_all_processes(state: Any, group: Any) -> list[Any]:
    """What each process of the run passes, in the order of their ranks.

    Args:
        state: what this process passes.
        group: the processes; None where there is one alone.
    """
    if group is None:
        return [state]
    states: list[Any] = [None] * distributed.get_world_size(group)
    distributed.all_gather_object(states, state, group=group)
    return states


def training_metrics(task: Task) -> dict[str, Any]:
    """What this process has accumulated of the epoch's training metrics, on the CPU."""
    return _on_cpu(meter_state(task.meter("train")))


def restore_training_metrics(task: Task, state: dict[str, Any] | None) -> None:
    """Puts back what `training_metrics` found; without it the epoch reports no training metrics."""
    meter = task.meter("train")
    if state is None:
        task.reports_epoch = False
        return
    restore_meter(meter, state)
    meter.to(task.device)


def _on_cpu(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _on_cpu(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_on_cpu(item) for item in value]
    return value.detach().cpu() if isinstance(value, torch.Tensor) else value


def adapt_callback_states(trainer: Trainer, states: dict[str, Any]) -> None:
    """Adapts the states of callbacks in a checkpoint to this run's folder and settings.

    Lightning drops the score of the best checkpoint when the folder was moved, and takes the
    patience of early stopping from the checkpoint.
    """
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        state = states.get(callback.state_key)
        if state is None:
            continue
        if isinstance(callback, ModelCheckpoint):
            states[callback.state_key] = moved(state, Path(str(callback.dirpath)))
        elif isinstance(callback, EarlyStopping):
            state["patience"] = callback.patience


def moved(state: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The state of a `ModelCheckpoint` with its files in another folder."""
    former = Path(str(state["dirpath"]))

    def place(path: str) -> str:
        inside = path and Path(path).is_relative_to(former)
        return str(folder / Path(path).relative_to(former)) if inside else path

    names = ("best_model_path", "kth_best_model_path", "last_model_path")
    return {
        **state,
        **{name: place(state[name]) for name in names},
        "best_k_models": {place(path): score for path, score in state["best_k_models"].items()},
        "dirpath": str(folder),
    }


def is_stopped(trainer: Trainer, states: dict[str, Any], *, stopped: bool) -> bool:
    """Whether training stays stopped: it was, and the settings of today would stop it as well.

    Args:
        trainer: with its callbacks' states restored.
        states: the callbacks' states in the checkpoint.
        stopped: whether training had been told to stop when the checkpoint was saved.
    """
    if not stopped:
        return False
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    stoppers = [call for call in callbacks if isinstance(call, EarlyStopping)]
    timed = any(key.startswith(Timer.__name__) for key in states)
    by_patience = any(
        state.get("stopping_reason", 0) == EarlyStoppingReason.PATIENCE_EXHAUSTED.value
        for key, state in states.items()
        if key.startswith(EarlyStopping.__name__)
    )
    if by_patience:
        return any(call.wait_count >= call.patience for call in stoppers)
    # A timer decides by itself whether there is time left.
    return not timed


def begin_next_epoch(trainer: Trainer) -> None:
    """Lets a run whose checkpoint lies between two epochs begin the next one.

    With `trainer.max_steps` Lightning would run the end of the former epoch a second time.
    """
    loop = trainer.fit_loop
    progress = loop.epoch_progress
    if progress.current.ready != progress.current.processed:  # type: ignore[attr-defined]
        return
    for count in (progress.total, progress.current):
        count.completed = count.ready
    for part in (loop, loop.epoch_loop, loop.epoch_loop.val_loop):
        part.on_iteration_done()


def log_at_step(trainer: Trainer) -> None:
    """Lets what is logged next stand at the step and epoch that training has reached.

    A checkpoint within an epoch is saved before Lightning counts its last step and its end.
    """
    progress = trainer.fit_loop.epoch_progress.current
    progress.completed = progress.ready
    set_logged_step(trainer, trainer.global_step)
