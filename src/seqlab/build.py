"""From a composed configuration to data, network, task and trainer."""

from __future__ import annotations

import copy
import difflib
import inspect
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from lightning.pytorch.profilers import PassThroughProfiler
from omegaconf import DictConfig, OmegaConf, open_dict

from seqlab.data.datamodule import Dataset, SequenceDataModule
from seqlab.data.spec import Spec
from seqlab.effects import refuse_if_set, refuse_without_effect
from seqlab.errors import InputError
from seqlab.instantiation import instantiate, locate, placed
from seqlab.keys import TYPES, check_keys
from seqlab.renamed import class_of

if TYPE_CHECKING:  # imported where they are used, as they take long
    from lightning import Trainer
    from torch import nn

    from seqlab.tasks.base import Task

NOTHING = nullcontext()
T = TypeVar("T")


class Unprofiled(PassThroughProfiler):
    """Stands where no profiler is asked for, and takes no time.

    Lightning enters a context of its profiler about a hundred times a step. Those of its own for
    this case are generators, which take five times as long as one context that is always the same.
    """

    def profile(self, action_name: str) -> nullcontext[None]:  # type: ignore[override]
        return NOTHING


def build_data(config: DictConfig) -> SequenceDataModule:
    """The datamodule around the configured dataset."""
    check_keys(config)
    refuse_unused(config)
    refuse_without_effect(config)
    return build_datamodule(config, instantiate(config.data, "data"))


def build_datamodule(config: DictConfig, dataset: Dataset) -> SequenceDataModule:
    """The datamodule around a dataset."""
    make = _make(SequenceDataModule, config.loader, "loader", ("dataset", "seed"))
    return make(dataset, seed=config.seed)


def build_network(config: DictConfig, spec: Spec) -> nn.Module:
    """The task's network around the model's encoder and attention, sized by the data."""
    if spec.task != config.task.name:
        raise InputError(
            f"task={config.task.name} does not fit this data, which is for task={spec.task}; "
            f"leave out task=, which the data sets itself, or choose other data"
        )
    if spec.kind != "tokens":
        refuse_if_set("model.embedding_dim", "on data of real values, which are not embedded")
    if config.model.match_parameters is not None:
        config = _matched(config, spec)
    network = _make_network(config, spec)
    if config.compile:
        _check_compiler()
        # One compiled network for all batch sizes and lengths.
        network.compile(dynamic=True)
    return network


# What the main job and this file read. A key that was added with `+` beside these has no effect.
TOP = ["seed", "compile", "ckpt_path", "sweep", "task", "data", "model", "optimizer", "scheduler"]
TOP += ["recommended", "trainer", "callbacks", "logger", "loader", "backtest"]
TOP += ["allow_new_data", "init_from", "init_strict", "overwrite"]
TASK = ["name", "network", "module", "loop", "callbacks"]
# What the functions below hand to the network or the module; all their other arguments are options.
BUILT = ["spec", "reader", "attention", "dropout", "network", "optimizer", "scheduler"]
MODEL = [*TYPES["model"], "encoder", "attention", "self_attention"]


def refuse_unused(config: DictConfig) -> None:
    """Raises InputError for a key that nothing reads."""
    options = [*_options(config, "network"), *_options(config, "module")]
    known = {
        "": TOP,
        "recommended.": TYPES["recommended"],
        "model.": MODEL,
        "task.": [*options, *TASK],
    }
    for prefix, names in known.items():
        node = OmegaConf.select(config, prefix[:-1]) if prefix else config
        for key in node or ():
            if key not in names:
                close = difflib.get_close_matches(str(key), names, 1)
                shown = ", ".join(
                    name for name in names if name not in ("network", "module", "loop")
                )
                hint = f"did you mean {prefix}{close[0]}?" if close else f"use {shown}"
                raise InputError(f"{prefix}{key} has no effect here; {hint}")


def _options(config: DictConfig, part: str) -> list[str]:
    """The arguments of the task's network or module that the configuration may set.

    Args:
        config: the whole configuration.
        part: "network" or "module"; `task.<part>._target_` names the class.

    Raises:
        InputError: an option below `task.<part>`, where nothing reads it.
    """
    node = class_of(config.task, part)
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise InputError(f"task.{part}={node!r} must name a class; use task.{part}._target_=CLASS")
    for key in node:
        if key not in ("_target_", "_partial_"):
            raise InputError(f"task.{part}.{key} has no effect here; use task.{key}")
    target = locate(node["_target_"], f"task.{part}._target_")
    return [name for name in inspect.signature(target).parameters if name not in BUILT]


def _constructor(config: DictConfig, part: str) -> Callable[..., Any]:
    """The task's network or module with the options of `task` that its constructor names.

    So each option stands once in the configuration, and one that both name goes to both.
    """
    options = _options(config, part)
    node = copy.deepcopy(config.task)  # still finds what its interpolations name
    with open_dict(node):
        for key in list(node):
            if key not in options:
                del node[key]
            elif node[key] == {}:  # an option of a group that makes nothing: task.decoder=direct
                node[key] = None
        node["_target_"] = class_of(config.task, part)["_target_"]
        node["_partial_"] = True
    return instantiate(node, "task")


def _make_network(config: DictConfig, spec: Spec) -> nn.Module:
    from seqlab.networks.reader import Reader

    model = config.model
    reader = partial(
        Reader,
        encoder=instantiate(model.encoder, "model.encoder"),
        embedding_dim=model.embedding_dim,
        embedding_dropout=model.embedding_dropout,
        self_attention=instantiate(model.self_attention, "model.self_attention", optional=True),
    )
    attention = instantiate(model.attention, "model.attention", optional=True)
    make = partial(_constructor(config, "network"), dropout=model.dropout)
    names = TYPES["model"]
    return placed("model", names, make)(
        spec=spec, reader=placed("model", names, reader), attention=attention
    )


def _matched(config: DictConfig, spec: Spec) -> DictConfig:
    """The configuration with the hidden size that `model.match_parameters` asks for."""
    from lightning.pytorch.utilities import rank_zero_only

    from seqlab.networks.sizing import match_hidden_size

    config = copy.deepcopy(config)
    budget = config.model.match_parameters

    def build(hidden_size: int) -> nn.Module:
        config.model.encoder.hidden_size = hidden_size
        return _make_network(config, spec)

    size, parameters = match_hidden_size(build, budget)
    config.model.encoder.hidden_size = size
    told = f"model.match_parameters={budget:,}: model.encoder.hidden_size={size}"
    rank_zero_only(print)(f"{told}, {parameters:,} parameters")
    return config


def _check_compiler() -> None:
    import torch

    candidates = (os.environ.get("CXX"), "g++", "clang++")
    if not torch.cuda.is_available() and not any(map(shutil.which, filter(None, candidates))):
        raise InputError(
            "compile=true needs a C++ compiler (g++, clang++ or $CXX), and this machine has none; "
            "install one or leave out compile=true"
        )


def build_task(config: DictConfig, network: nn.Module, spec: Spec) -> Task:
    """The LightningModule that trains the network."""
    make = _constructor(config, "module")
    return make(
        network=network,
        spec=spec,
        optimizer=instantiate(config.optimizer, "optimizer"),
        scheduler=instantiate(config.scheduler, "scheduler"),
    )


def build_trainer(config: DictConfig, *, first_step: int = 0) -> Trainer:
    """The trainer with its loggers and callbacks.

    Args:
        config: the whole configuration.
        first_step: optimizer steps that a resumed run has made: TensorBoard forgets what was logged
            at this step and later, as it will be logged again.
    """
    from lightning import Trainer
    from lightning.pytorch.callbacks import (
        Checkpoint,
        EarlyStopping,
        LearningRateMonitor,
        ModelCheckpoint,
        ModelSummary,
        ProgressBar,
    )

    from seqlab.callbacks.checkpoint_io import SyncedCheckpointIO
    from seqlab.callbacks.monitors import MonitorCheck, monitors_of, with_mode
    from seqlab.private.lightning import leave_signals_alone

    nodes = {f"logger.{name}": node for name, node in (config.logger or {}).items()}
    made = [
        instantiate(_purging(node, first_step), key, optional=True) for key, node in nodes.items()
    ]
    loggers = [logger for logger in made if logger is not None]
    nodes = {f"callbacks.{name}": node for name, node in (config.callbacks or {}).items()}
    if nodes:  # callbacks=none leaves out the family's as well
        nodes |= {
            f"task.callbacks.{name}": node for name, node in (config.task.callbacks or {}).items()
        }
    nodes = {key: with_mode(node, key) for key, node in nodes.items()}
    callbacks = [instantiate(node, key, optional=True) for key, node in nodes.items()]
    # Lightning refuses a callback whose work is switched off elsewhere; we leave it out.
    validates = config.trainer.limit_val_batches != 0
    useful = {
        ProgressBar: config.trainer.enable_progress_bar,
        ModelSummary: config.trainer.enable_model_summary,
        Checkpoint: config.trainer.enable_checkpointing,
        ModelCheckpoint: validates,
        EarlyStopping: validates,
        LearningRateMonitor: bool(loggers),
    }
    off = tuple(kind for kind, wanted in useful.items() if not wanted)
    callbacks = [call for call in callbacks if call is not None and not isinstance(call, off)]
    given: dict[str, Any] = {
        "callbacks": [*callbacks, MonitorCheck(monitors_of(nodes))],
        "logger": loggers or False,
        "plugins": [SyncedCheckpointIO()],
    }
    if config.trainer.precision in ("bf16-true", "16-true"):
        from seqlab.tasks.precision import HalfWeights

        given["plugins"].append(HalfWeights(config.trainer.precision))
        given["precision"] = None
    if config.trainer.profiler is None:
        given["profiler"] = Unprofiled()
    make = _make(Trainer, config.trainer, "trainer", ("callbacks", "logger", "plugins"))
    trainer = make(**given)
    leave_signals_alone(trainer)  # our `LastCheckpoint` hears them
    _check_nodes(trainer)
    return trainer


def _check_nodes(trainer: Any) -> None:
    """Raises InputError for several machines that do not know of each other."""
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment

    environment = getattr(trainer.strategy, "cluster_environment", None)
    alone = isinstance(environment, LightningEnvironment) and "MASTER_ADDR" not in os.environ
    if trainer.num_nodes > 1 and alone:
        raise InputError(
            f"trainer.num_nodes={trainer.num_nodes} needs the same command on each machine, with "
            "MASTER_ADDR and MASTER_PORT (where the first machine listens) and NODE_RANK (0, 1, …) "
            "in the environment, or a start by srun or torchrun; use trainer.num_nodes=1 on one"
        )


def _purging(node: Any, step: int) -> Any:
    if step and node and str(node.get("_target_", "")).endswith("TensorBoardLogger"):
        with open_dict(node):
            return OmegaConf.merge(node, {"purge_step": step})
    return node


def _make(
    target: Callable[..., T], node: DictConfig, key: str, given: Sequence[str]
) -> Callable[..., T]:
    """The target with the node's values, which need no `_target_`.

    Args:
        target: the class.
        node: its settings.
        key: where they stand.
        given: the arguments that this file gives itself.
    """
    for name in given:
        if name in node:
            raise InputError(f"{key}.{name} has no effect here; leave it out")
    path = f"{target.__module__}.{target.__qualname__}"
    return instantiate(OmegaConf.merge({"_target_": path, "_partial_": True}, node), key)
