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

from seqlab.errors import InputError
from seqlab.escaping import one_line
from seqlab.networks.checkpoint_keys import current_keys
from seqlab.saving import LAST, PREVIOUS


def best_checkpoint(trainer: Trainer) -> str | None:
    """The best checkpoint of a fit; None (the weights as they are) where none was kept."""
    for callback in trainer.checkpoint_callbacks:
        # Without a metric to monitor, Lightning calls the last one the best.
        if isinstance(callback, ModelCheckpoint) and callback.monitor and callback.best_model_path:
            return callback.best_model_path
    return None


def find_checkpoint(name: str, folder: Path) -> Path:
    """The checkpoint that `ckpt_path` names: a path, or `last` of the run's folder.

    Raises:
        InputError: there is none.
    """
    if name == "last":
        return _last_checkpoint(folder)
    path = folder / "checkpoints" / "best.ckpt" if name == "best" else Path(name)
    if not path.is_file():
        raise InputError(
            f"ckpt_path={name}: there is no file {path}; give the path of a .ckpt file, or last "
            "with hydra.run.dir=FOLDER"
        )
    return path


def _last_checkpoint(folder: Path) -> Path:
    """The last checkpoint in a run's folder, or the one before it where the last cannot be read."""
    reason = None
    for name in (LAST, PREVIOUS):
        path = folder / name
        if not path.is_file():
            continue
        try:
            load_checkpoint(path)
        except InputError as error:
            reason = reason or str(error)
            continue
        if name == PREVIOUS:
            reason = reason or f"there is no file {folder / LAST}"
            rank_zero_only(print)(
                f"warning: {one_line(reason)}; going on from {path}, the checkpoint before it",
                file=sys.stderr,
            )
        return path
    if reason is not None:
        raise InputError(f"ckpt_path=last: {reason}, and there is no good one before it")
    raise InputError(
        f"ckpt_path=last: there is no file {folder / LAST}; add hydra.run.dir=FOLDER of the "
        "run to go on with"
    )


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint, tensors and plain values only; weights have the names of this version.

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
    content["state_dict"] = current_keys(content["state_dict"])
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


def check_goes_on(path: Path, module: nn.Module) -> None:
    """Raises InputError unless an optimiser's state, which knows weights by number, still fits."""
    content = load_checkpoint(path)
    same_order = list(content["state_dict"]) == list(module.state_dict())
    trained = sum(weight.requires_grad for weight in module.parameters())
    for state in content.get("optimizer_states", []):
        held = sum(len(group["params"]) for group in state["param_groups"])
        if same_order and held == trained:
            continue
        raise InputError(
            f"{path} was written by an earlier version with other weights, or in another order; "
            f"its training cannot go on: start a new run from its weights with init_from={path}"
        )


def _misfit(path: Path, difference: str) -> InputError:
    return InputError(
        f"{path} is of another architecture ({difference}); use the model and data settings that "
        "it was trained with (config.yaml in its run's folder), or start a new run from those "
        f"weights that fit with init_from={path} init_strict=false"
    )


def load_weights(path: Path, module: nn.Module, *, strict: bool) -> None:
    """Loads a checkpoint's weights, and nothing else of it.

    Args:
        path: the checkpoint.
        module: what gets the weights.
        strict: refuses a checkpoint that lacks weights, or has others; else these are told, and
            left as they are.

    Raises:
        InputError: the weights do not fit.
    """
    saved = load_checkpoint(path)["state_dict"]
    wanted = module.state_dict()
    fitting = {
        name: weight
        for name, weight in saved.items()
        if name in wanted and weight.shape == wanted[name].shape
    }
    others = {
        "lacks": [name for name in wanted if name not in saved],
        "has beside the network's": [name for name in saved if name not in wanted],
        "has in another shape": [name for name in saved if name in wanted.keys() - fitting.keys()],
    }
    told = "; ".join(f"it {what} {_few(names)}" for what, names in others.items() if names)
    if not fitting:
        raise InputError(f"init_from={path}: none of its weights fits the network; {told}")
    if told and strict:
        raise InputError(
            f"init_from={path}: {told}; add init_strict=false to start from the "
            f"{len(fitting)} weights that fit"
        )
    if told:
        message = f"init_from={path}: {told}; {len(fitting)} of {len(wanted)} weights are loaded"
        rank_zero_only(print)(f"warning: {one_line(message)}", file=sys.stderr)
    module.load_state_dict(fitting, strict=False)


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
