"""Where a run starts: anew, from a checkpoint of its own, or from other weights."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig
from torch import nn

from seqlab.data.datamodule import SequenceDataModule
from seqlab.errors import InputError
from seqlab.keys import check_types
from seqlab.overrides import is_run, run_of_checkpoint
from seqlab.runs.checkpoint import (
    check_fits,
    check_goes_on,
    find_checkpoint,
    load_checkpoint,
    load_weights,
)
from seqlab.runs.folder import RunFolder
from seqlab.runs.resume import check_changes, tell_changes

# Settings that a run's record must not claim where no step was made with them.
TRAINING = (
    "optimizer.",
    "scheduler.",
    "trainer.accumulate_grad_batches",
    "trainer.gradient_clip_",
)


@dataclass(frozen=True)
class Start:
    """Where a run starts.

    Attributes:
        checkpoint: the checkpoint of this run that it is resumed from; None for a new run.
        step: optimizer steps that were made before.
        mid_epoch: the run stopped within an epoch.
        fingerprint: of the training data that the run must have; None for any.
        weights: a checkpoint whose weights a new run starts with.
        strict: those must be all of the network's weights and no others.
        news: what the user is told about changed settings.
        refusal: why the run cannot be resumed from the checkpoint, although its weights may fit.
    """

    checkpoint: Path | None = None
    step: int = 0
    mid_epoch: bool = False
    fingerprint: str | None = None
    weights: Path | None = None
    strict: bool = True
    news: str | None = None
    refusal: str | None = None

    def prepare(self, task: nn.Module, data: SequenceDataModule) -> None:
        """Checks that the checkpoint fits; gives a new run the weights to start with.

        Raises:
            InputError: the weights are of another network, the checkpoint is of another run, or
                the data have changed.
        """
        if self.checkpoint is not None:
            check_fits(self.checkpoint, task)
            check_goes_on(self.checkpoint, task)
            if self.refusal is not None:
                raise InputError(self.refusal)
            if self.fingerprint not in (None, data.fingerprint):
                raise InputError(
                    "the training data have changed since the run was begun, under the same "
                    "settings; restore them, or add allow_new_data=true to go on with the new ones"
                )
        elif self.weights is not None:
            load_weights(self.weights, task, strict=self.strict)
        if self.news is not None:
            rank_zero_only(print)(self.news, file=sys.stderr)


def find_start(folder: RunFolder) -> Start:
    """Where the run of a folder starts. Reads only.

    Raises:
        InputError: there is no such checkpoint, it belongs to another run, or a setting differs
            that cannot be changed on the way.
    """
    config = folder.config
    check_types(config, "")
    if config.ckpt_path is None:
        if config.init_from is None:
            return Start()
        return Start(weights=weights_file(config.init_from), strict=config.init_strict)
    path = find_checkpoint(config.ckpt_path, folder.path)
    checkpoint = load_checkpoint(path)
    if foreign(path, folder.path) is not None:
        return Start(checkpoint=path, refusal=foreign(path, folder.path))
    progress = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]
    mid_epoch = progress["ready"] != progress["processed"]
    check_changes(folder.changes, mid_epoch=mid_epoch, new_data=config.allow_new_data)
    _check_limits(config, folder.changes, checkpoint, epochs=progress["processed"])
    _check_best(path, checkpoint)
    step, news = checkpoint["global_step"], tell_changes(folder.changes)
    former = checkpoint.get(SequenceDataModule.__name__, {}).get("fingerprint")
    fingerprint = None if config.allow_new_data else former
    return Start(path, step, mid_epoch=mid_epoch, fingerprint=fingerprint, news=news)


def foreign(checkpoint: Path, folder: Path) -> str | None:
    """Why a folder's run cannot be resumed from a checkpoint; None where it can."""
    owner = run_of_checkpoint(checkpoint)
    if owner is None or owner.resolve() != folder.resolve():
        whose = "no run" if owner is None else f"the run in {owner}"
        return (
            f"ckpt_path={checkpoint} belongs to {whose}, not to the one in {folder}; to resume its "
            "own run leave out hydra.run.dir, to start a new run from its weights use "
            f"init_from={checkpoint}"
        )
    if checkpoint.stem == "best":
        return (
            f"ckpt_path={checkpoint}: a run is resumed from its last checkpoint (ckpt_path=last); "
            f"to start a new run from the best weights use init_from={checkpoint}"
        )
    return None


def weights_file(name: str) -> Path:
    """The checkpoint that `init_from` names: a file, or the best or last one of a run's folder.

    Raises:
        InputError: there is none.
    """
    path = Path(name)
    if is_run(path):
        tried = [path / "checkpoints" / f"{which}.ckpt" for which in ("best", "last")]
        path = next((file for file in tried if file.is_file()), tried[0])
    if not path.is_file():
        raise InputError(
            f"init_from={name}: there is no file {path}; give a checkpoint or a run's folder"
        )
    return path


def _check_limits(
    config: DictConfig, changes: Mapping[str, object], checkpoint: dict[str, Any], *, epochs: int
) -> None:
    """Refuses a limit that is passed already, and new settings of a training that is over."""
    vain = [key for key in changes if key.startswith(TRAINING)]
    done = {"max_epochs": epochs, "max_steps": checkpoint["global_step"]}
    for name, count in done.items():
        limit = config.trainer[name]
        if isinstance(limit, int) and 0 <= limit < count:
            raise InputError(
                f"trainer.{name}={limit} is below the {count} that the run has done already; "
                "raise it, or leave it as it was"
            )
        if limit == count and vain:
            raise InputError(
                f"{vain[0]} has no effect: the run has done all of trainer.{name}={limit}; raise "
                f"trainer.{name} to train on, or leave {vain[0]} as it was"
            )


def _check_best(path: Path, checkpoint: dict[str, Any]) -> None:
    """The best checkpoints so far lie beside the last one, also in a copy of the folder."""
    for state in checkpoint["callbacks"].values():
        best = Path(state.get("best_model_path") or path.name)
        if not (path.parent / best.name).is_file() and best.parent.name == path.parent.name:
            raise InputError(
                f"{path.parent / best.name} is missing, which holds the best weights so far; copy "
                "it there too, or start a new run with init_from="
                f"{path}"
            )
