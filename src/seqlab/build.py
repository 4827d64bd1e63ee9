"""From a composed configuration to objects: the one place that instantiates."""

from __future__ import annotations

import copy
import difflib
import inspect
import os
import re
import shutil
import types
import typing
from collections.abc import Callable
from functools import partial
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import DictConfig, OmegaConf

from seqlab.data.batch import Spec
from seqlab.data.datamodule import SequenceDataModule
from seqlab.errors import InputError


def instantiate(node: Any, key: str) -> Any:
    """Makes what a node of the configuration describes; None for an empty node.

    Args:
        node: the node, with `_target_`.
        key: where it stands in the configuration, for messages.

    Raises:
        InputError: a value of the wrong type, an unknown or a missing argument.
    """
    if not node:
        return None
    values: Any = OmegaConf.to_container(node, resolve=True)
    # Checked as a whole first: then what goes wrong inside is the target's own error, unwrapped.
    _check(values, OmegaConf.to_container(node, resolve=False), key)
    try:
        made = hydra_instantiate(values, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__ or error
        raise _ours(key, cause) if _is_foreign(values) else cause from error
    if isinstance(made, partial) and _is_foreign(values):
        return partial(_call_foreign, key, made)
    return made


def _is_foreign(values: dict[str, Any]) -> bool:
    return not values.get("_target_", "seqlab.").startswith("seqlab.")


def _call_foreign(key: str, make: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Calls another library's constructor; the values it refuses are the user's."""
    try:
        return make(*args, **kwargs)
    except Exception as error:
        raise _ours(key, error) from error


def _ours(key: str, error: BaseException) -> BaseException:
    """Another library's complaint about a value as our error; anything else as it is."""
    known = isinstance(error, (ValueError, TypeError)) or "Misconfiguration" in type(error).__name__
    if not known or isinstance(error, InputError):
        return error
    message = str(error).strip().partition("\n")[0].rstrip("!.")
    if "accelerator" in message or "backend" in message:
        message += "; use trainer.accelerator=auto, or cpu"
    return InputError(f"{key}: {message}")


def _check(values: Any, written: Any, key: str) -> None:
    """Checks names and types of the arguments of every target below.

    Args:
        values: the resolved values.
        written: the same as written, which names the key that the user sets where a value is
            taken from there.
        key: where they stand.
    """
    if isinstance(values, list):
        for number, value in enumerate(values):
            _check(value, value, f"{key}[{number}]")
        return
    if not isinstance(values, dict):
        return
    if not isinstance(written, dict):
        written = values
    for name, value in values.items():
        _check(value, written[name], f"{key}.{name}")
    if "_target_" not in values:
        return
    target = get_object(values["_target_"])
    parameters = inspect.signature(target).parameters
    hints = _hints(target)
    sink = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name, value in values.items():
        if name in ("_target_", "_partial_"):
            continue
        if name not in parameters and not sink:
            close = difflib.get_close_matches(name, parameters, 1)
            hint = f"did you mean {key}.{close[0]}?" if close else f"it has {_names(parameters)}"
            raise InputError(f"{key}.{name} is not a setting of {target.__name__}; {hint}")
        if name in hints and not _fits(value, hints[name]):
            source = re.fullmatch(r"\$\{([\w.]+)\}", str(written[name]))
            place = source[1] if source else f"{key}.{name}"
            raise InputError(f"{place}={value!r} must be {_told(hints[name])}")
    if not values.get("_partial_"):
        missing = [
            name
            for name, parameter in parameters.items()
            if parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            and name not in values
        ]
        if missing:
            raise InputError(f"{key} lacks {', '.join(missing)}, which {target.__name__} needs")


def _hints(target: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except (NameError, TypeError):  # annotations that only a type checker can resolve
        return {}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a plain value from YAML is of the annotated type."""
    from beartype import BeartypeConf
    from beartype.door import is_bearable
    from beartype.roar import BeartypeException

    if isinstance(value, dict):
        return True  # a node that becomes an object
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return True
    if isinstance(value, bool) and not _allows_bool(hint):
        return False
    conf = BeartypeConf(is_pep484_tower=True)
    # YAML has no tuples.
    forms = (value, tuple(value)) if isinstance(value, list) else (value,)
    try:
        return any(is_bearable(form, hint, conf=conf) for form in forms)
    except BeartypeException:  # a hint that cannot be checked at run time
        return True


def _allows_bool(hint: Any) -> bool:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(_allows_bool(part) for part in typing.get_args(hint))
    return hint not in (int, float)


def _told(hint: Any) -> str:
    """A type in words."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_told(part) for part in typing.get_args(hint)))
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(str(value) for value in typing.get_args(hint))
    words = {
        int: "a whole number",
        float: "a number",
        str: "text",
        bool: "true or false",
        type(None): "null",
    }
    name = getattr(hint, "__name__", str(hint))
    return words.get(hint, f"a {name.lower()}" if hint is not typing.Any else "anything")


def _names(parameters: Any) -> str:
    return ", ".join(name for name in parameters if name not in ("self", "kwargs"))


def build_data(config: DictConfig) -> SequenceDataModule:
    """The datamodule around the configured dataset."""
    refuse_unused(config)
    return build_datamodule(config, instantiate(config.data, "data"))


def build_datamodule(config: DictConfig, dataset: Any) -> SequenceDataModule:
    """The datamodule around a dataset."""
    make = _make(SequenceDataModule, config.loader, "loader")
    return make(dataset, seed=config.seed)


def build_network(config: DictConfig, spec: Spec) -> Any:
    """The task's network around the model's encoder and attention, sized by the data."""
    if spec.task != config.task.name:
        raise InputError(
            f"task={config.task.name} does not fit this data, which is for task={spec.task}; "
            f"leave out task=, which the data sets itself, or choose other data"
        )
    if config.model.match_parameters is not None:
        config = _matched(config, spec)
    network = _make_network(config, spec)
    if config.compile:
        _check_compiler()
        # One compiled network for all batch sizes and lengths.
        network.compile(dynamic=True)
    return network


# What `train.py` and this file read. A key that was added with `+` beside these has no effect.
TOP = ["seed", "compile", "ckpt_path", "sweep", "task", "data", "model", "optimizer", "scheduler"]
TOP += ["trainer", "callbacks", "logger", "loader", "backtest"]
MODEL_TYPES = {"embedding_dim": int, "embedding_dropout": float, "dropout": float}
MODEL = [*MODEL_TYPES, "encoder", "attention", "self_attention", "match_parameters"]


def refuse_unused(config: DictConfig) -> None:
    """Raises InputError for a key that nothing reads."""
    written = str(OmegaConf.to_container(config.task, resolve=False))
    read = set(re.findall(r"\$\{task\.(\w+)", written))
    known = {"": TOP, "model.": MODEL, "task.": [*read, "name", "network", "loop", "callbacks"]}
    for prefix, names in known.items():
        node = OmegaConf.select(config, prefix[:-1]) if prefix else config
        for key in node:
            if key not in names:
                close = difflib.get_close_matches(str(key), names, 1)
                hint = f"did you mean {prefix}{close[0]}?" if close else f"use {', '.join(names)}"
                raise InputError(f"{prefix}{key} has no effect here; {hint}")


def _make_network(config: DictConfig, spec: Spec) -> Any:
    from seqlab.networks.reader import Reader

    model = config.model
    for name, kind in MODEL_TYPES.items():
        if not _fits(model[name], kind):
            raise InputError(f"model.{name}={model[name]!r} must be {_told(kind)}")
    reader = partial(
        Reader,
        encoder=instantiate(model.encoder, "model.encoder"),
        embedding_dim=model.embedding_dim,
        embedding_dropout=model.embedding_dropout,
        self_attention=instantiate(model.self_attention, "model.self_attention"),
    )
    attention = instantiate(model.attention, "model.attention")
    make = instantiate(config.task.network, "task.network")
    return make(spec=spec, reader=reader, attention=attention, dropout=model.dropout)


def _matched(config: DictConfig, spec: Spec) -> DictConfig:
    """The configuration with the hidden size that `model.match_parameters` asks for."""
    from lightning.pytorch.utilities import rank_zero_only

    from seqlab.networks.sizing import match_hidden_size

    config = copy.deepcopy(config)
    budget = config.model.match_parameters
    if not isinstance(budget, int) or isinstance(budget, bool):
        raise InputError(f"model.match_parameters={budget!r} must be a whole number or null")

    def build(hidden_size: int) -> Any:
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


def build_task(config: DictConfig, network: Any, spec: Spec) -> Any:
    """The LightningModule that trains the network."""
    make = instantiate(config.task.loop, "task")
    return make(
        network=network,
        spec=spec,
        optimizer=instantiate(config.optimizer, "optimizer"),
        scheduler=instantiate(config.scheduler, "scheduler"),
    )


def build_trainer(config: DictConfig) -> Any:
    """The trainer with its loggers and callbacks."""
    from lightning import Trainer
    from lightning.pytorch.callbacks import (
        Checkpoint,
        EarlyStopping,
        LearningRateMonitor,
        ModelCheckpoint,
        ModelSummary,
        ProgressBar,
    )

    from seqlab.runs.unprofiled import Unprofiled

    loggers = [instantiate(node, f"logger.{name}") for name, node in (config.logger or {}).items()]
    nodes = {f"callbacks.{name}": node for name, node in (config.callbacks or {}).items()}
    if nodes:  # callbacks=none leaves out the family's as well
        nodes |= {
            f"task.callbacks.{name}": node for name, node in (config.task.callbacks or {}).items()
        }
    callbacks = [instantiate(node, key) for key, node in nodes.items()]
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
    make = _make(Trainer, config.trainer, "trainer")
    given = {"callbacks": callbacks, "logger": loggers or False}
    if config.trainer.profiler is None:
        given["profiler"] = Unprofiled()
    return make(**given)


def _make(target: type, node: DictConfig, key: str) -> Any:
    """The target with the node's values, which need no `_target_`; lacks the other arguments."""
    path = f"{target.__module__}.{target.__qualname__}"
    return instantiate(OmegaConf.merge({"_target_": path, "_partial_": True}, node), key)
