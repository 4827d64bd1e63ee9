"""Finds and checks checkpoints before anything is built on them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_only
from torch import nn

from seqlab.callbacks.last import PREVIOUS
from seqlab.errors import InputError


def starting_checkpoint(name: str | None, folder: Path, module: nn.Module) -> Path | None:
    """The checkpoint to go on from, known to fit the module.

    Raises:
        InputError: it does not exist, cannot be read, or is of another architecture.
    """
    path = find_checkpoint(name, folder)
    if path is not None:
        check_fits(path, module)
    return path


def best_checkpoint(trainer: Trainer) -> str | None:
    """The best checkpoint of a fit; None (the weights as they are) where none was kept."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.best_model_path:
            return callback.best_model_path
    return None


def find_checkpoint(name: str | None, folder: Path) -> Path | None:
    """The checkpoint that `ckpt_path` names: a path, or `last` or `best` of the run's folder.

    Raises:
        InputError: there is none.
    """
    if name is None:
        return None
    if name == "last":
        return _last_checkpoint(folder / "checkpoints")
    path = folder / "checkpoints" / f"{name}.ckpt" if name == "best" else Path(name)
    if not path.is_file():
        remedy = (
            "add hydra.run.dir=FOLDER of the run to go on with"
            if name == "best"
            else "give the path of a .ckpt file, or last with hydra.run.dir=FOLDER"
        )
        raise InputError(f"ckpt_path={name}: there is no file {path}; {remedy}")
    return path


def _last_checkpoint(folder: Path) -> Path:
    """The last checkpoint in a folder, or the one before it where the last cannot be read."""
    reason = None
    for name in ("last.ckpt", PREVIOUS):
        path = folder / name
        if not path.is_file():
            continue
        try:
            load_checkpoint(path)
        except InputError as error:
            reason = reason or str(error)
            continue
        if name == PREVIOUS:
            reason = reason or f"there is no file {folder / 'last.ckpt'}"
            rank_zero_only(print)(
                f"warning: {reason}; going on from {path}, the checkpoint before it",
                file=sys.stderr,
            )
        return path
    if reason is not None:
        raise InputError(f"ckpt_path=last: {reason}, and there is no good one before it")
    raise InputError(
        f"ckpt_path=last: there is no file {folder / 'last.ckpt'}; add hydra.run.dir=FOLDER of the "
        "run to go on with"
    )


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint, tensors and plain values only.

    Raises:
        InputError: the file is truncated or not a checkpoint.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except Exception as error:  # torch raises half a dozen kinds for a damaged file
        raise InputError(
            f"{path} cannot be read as a checkpoint (truncated, or not one); use another file"
        ) from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise InputError(f"{path} holds no state_dict; use a checkpoint of a run")
    return content


def check_fits(path: Path, module: nn.Module) -> None:
    """Raises InputError unless the checkpoint's weights have the module's names and shapes."""
    saved = load_checkpoint(path)["state_dict"]
    wanted = module.state_dict()
    for name in sorted(set(saved) | set(wanted)):
        if name not in saved or name not in wanted:
            where = "the checkpoint lacks it" if name in wanted else "the model has no such weight"
            raise _misfit(path, f"{name}: {where}")
        if saved[name].shape != wanted[name].shape:
            shapes = f"{tuple(saved[name].shape)} there, {tuple(wanted[name].shape)} here"
            raise _misfit(path, f"{name}: {shapes}")


def _misfit(path: Path, difference: str) -> InputError:
    return InputError(
        f"{path} is of another architecture ({difference}); use the model and data settings that "
        "it was trained with (config.yaml in its run's folder)"
    )
