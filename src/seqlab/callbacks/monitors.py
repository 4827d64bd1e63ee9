"""Callbacks that watch a metric: which way it gets better, and whether the run has it at all."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from itertools import islice
from typing import Any, cast

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig, OmegaConf

from seqlab.callbacks.figures import prepared
from seqlab.callbacks.pruning import PruningCallback
from seqlab.data.datamodule import SequenceDataModule
from seqlab.data.direction import higher_is_better, is_known
from seqlab.errors import InputError
from seqlab.instantiation import locate
from seqlab.tasks.base import Task
from seqlab.trials.handover import NOT_MEASURED


def with_mode(node: DictConfig, key: str) -> DictConfig:
    """The settings of a callback, completed where it watches a metric.

    `mode` follows from the metric unless it is given, and a metric of the validation is looked at
    after validations only, which may be missing at the end of an epoch.

    Args:
        node: the callback's settings.
        key: where they stand.

    Raises:
        InputError: it watches nothing, it is unknown which way the metric gets better, or there
            is no such callback.
    """
    if not isinstance(node, DictConfig) or "monitor" not in node or "_target_" not in node:
        return node  # whatever is wrong with it is told where it is made
    if node.monitor is None:
        if node.get("mode") is not None:
            return node
        raise InputError(
            f"{key}.monitor=null watches nothing; name a metric such as val/loss, or leave the "
            f"callback out with {key}=null"
        )
    monitor, given = str(node.monitor), dict(node)
    parameters = inspect.signature(locate(node._target_, f"{key}._target_")).parameters
    if "mode" in parameters and given.get("mode") is None:
        try:
            given["mode"] = "max" if higher_is_better(monitor) else "min"
        except InputError as error:
            raise InputError(
                f"{key}.monitor={error}; correct its name, or give {key}.mode=min or max"
            ) from error
    if "check_on_train_epoch_end" in parameters and monitor.startswith("val/"):
        given.setdefault("check_on_train_epoch_end", False)
    return OmegaConf.create(given)


def monitors_of(nodes: Mapping[str, DictConfig | None]) -> dict[str, str]:
    """The metrics that callbacks watch, by the key that sets each."""
    return {
        f"{key}.monitor": str(node.monitor)
        for key, node in nodes.items()
        if isinstance(node, DictConfig) and node.get("monitor")
    }


class MonitorCheck(Callback):
    """Refuses a run whose callbacks watch a metric that it will not have, before it trains.

    Args:
        monitors: what is watched, by the key that sets it.
    """

    def __init__(self, monitors: Mapping[str, str]) -> None:
        self.monitors = dict(monitors)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit":
            _check_interval(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        watched = dict(self.monitors)
        for callback in cast(Any, trainer).callbacks:
            if isinstance(callback, PruningCallback) and callback.metric is not None:
                watched["hydra.sweeper.metric"] = callback.metric
        # Every run has its loss.
        wanted = {key: name for key, name in watched.items() if name != "val/loss"}
        validated = {name for name in wanted.values() if name.startswith("val/")}
        if not wanted or (validated and trainer.limit_val_batches == 0):
            return
        task = cast(Task, pl_module)
        there = {"val/loss", "train/loss", f"train/{task.spec.metric}"}
        there |= _validation_scores(trainer, task, validated) if validated else set()
        for key, name in wanted.items():
            own = not is_known(name) and not name.startswith("val/")
            if name not in there and not own:
                stage = f"{name.partition('/')[0]}/"
                alike = [other for other in there if other.startswith(stage)] or there
                names = ", ".join(sorted(alike))
                raise InputError(f"{key}={name} {NOT_MEASURED}; use one of {names}")


def _check_interval(trainer: Trainer) -> None:
    """Raises InputError for validations every so many batches that no epoch has."""
    data, interval = cast(Any, trainer).datamodule, trainer.val_check_interval
    within_epoch = isinstance(interval, int) and trainer.check_val_every_n_epoch is not None
    if not within_epoch or not trainer.limit_val_batches:
        return
    if not isinstance(data, SequenceDataModule):
        return
    batches = data.batches("train")
    if isinstance(trainer.limit_train_batches, int):
        batches = min(batches, trainer.limit_train_batches)
    else:
        batches = int(batches * trainer.limit_train_batches)
    if interval > batches:
        raise InputError(
            f"trainer.val_check_interval={interval} batches is longer than an epoch of {batches}; "
            "lower it, or count over epochs with trainer.check_val_every_n_epoch=null"
        )


def _validation_scores(trainer: Trainer, task: Task, wanted: set[str]) -> set[str]:
    """The names of what validation measures, of as many batches as show all that are wanted."""
    # A validation may change buffers, such as what intervals are calibrated by.
    buffers = {name: buffer.clone() for name, buffer in task.named_buffers()}
    training, meter, found = task.training, task.meter("val"), set[str]()
    task.eval()
    with torch.random.fork_rng(), torch.no_grad(), trainer.precision_plugin.forward_context():
        loader = cast(Any, trainer).datamodule.val_dataloader()
        for number, held in enumerate(islice(loader, int(sum(trainer.num_val_batches)))):
            batch = prepared(trainer, task, held)
            loss, outputs = task.measure(batch, "val")
            meter.update(loss, outputs, batch)
            if number == 0:
                found = {f"val/{name}" for name in meter.compute()}
                if wanted <= found:
                    break
        else:
            found = {f"val/{name}" for name in meter.compute()}
    meter.reset()
    task.train(training)
    for name, buffer in task.named_buffers():
        buffer.copy_(buffers[name])
    return found
