"""From a composed configuration to objects: the one place that instantiates."""

from __future__ import annotations

import difflib
import inspect
import types
import typing
from functools import partial
from typing import Any

from hydra.utils import get_object
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import DictConfig, OmegaConf

from seqlab.data.batch import Spec
from seqlab.errors import InputError


def instantiate(node: Any, key: str, **arguments: Any) -> Any:
    """Makes what a node of the configuration describes; None for an empty node.

    Args:
        node: the node, with `_target_`.
        key: where it stands in the configuration, for messages.
        **arguments: added to the target's arguments.

    Raises:
        InputError: a value of the wrong type, an unknown or a missing argument.
    """
    if not node:
        return None
    values: Any = OmegaConf.to_container(node, resolve=True)
    _check(values, key, set(arguments))
    # Checked as a whole first: then what goes wrong inside is the target's own error, unwrapped.
    return _make(values, arguments)


def _make(values: dict[str, Any], arguments: dict[str, Any]) -> Any:
    """As `hydra.utils.instantiate`, but errors come as the target raised them."""
    from hydra.errors import InstantiationException

    try:
        return hydra_instantiate(values, **arguments, _convert_="all")
    except InstantiationException as error:
        if error.__cause__ is not None:
            raise error.__cause__ from error
        raise


def _check(values: Any, key: str, given: set[str]) -> None:
    """Checks names and types of the arguments of every target below."""
    if isinstance(values, list):
        for number, value in enumerate(values):
            _check(value, f"{key}[{number}]", set())
        return
    if not isinstance(values, dict):
        return
    for name, value in values.items():
        _check(value, f"{key}.{name}", set())
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
            raise InputError(f"{key}.{name}={value!r} must be {_told(hints[name])}")
    if not values.get("_partial_"):
        missing = [
            name
            for name, parameter in parameters.items()
            if parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            and name not in values
            and name not in given
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
        return ", ".join(str(value) for value in typing.get_args(hint))
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


def build_data(config: DictConfig) -> Any:
    """The datamodule around the dataset."""
    from seqlab.data.datamodule import SequenceDataModule

    dataset = instantiate(config.data, "data")
    if not hasattr(dataset, "split"):
        raise InputError(f"data._target_={config.data._target_} is not a dataset")
    loader = OmegaConf.to_container(config.loader, resolve=True)
    node = {"_target_": f"{SequenceDataModule.__module__}.{SequenceDataModule.__name__}", **loader}  # type: ignore[dict-item]
    _check(node, "loader", {"dataset", "seed"})
    return SequenceDataModule(dataset, **loader, seed=config.seed)  # type: ignore[arg-type]


def build_network(config: DictConfig, spec: Spec) -> Any:
    """The task's network around the model's encoder and attention, sized by the data."""
    from seqlab.networks.reader import Reader

    if spec.task != config.task.name:
        raise InputError(
            f"task={config.task.name} does not fit this data, which is for task={spec.task}; "
            f"leave out task=, which the data sets itself, or choose other data"
        )
    model = config.model
    reader = partial(
        Reader,
        encoder=instantiate(model.encoder, "model.encoder"),
        embedding_dim=model.embedding_dim,
        embedding_dropout=model.embedding_dropout,
        self_attention=instantiate(model.self_attention, "model.self_attention"),
    )
    attention = instantiate(model.attention, "model.attention")
    make = instantiate(config.task.network, "task.network")
    network = make(spec=spec, reader=reader, attention=attention, dropout=model.dropout)
    if config.compile:
        network.compile()
    return network


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
    import lightning
    from lightning.pytorch.callbacks import Checkpoint, ModelSummary, ProgressBar

    callbacks = [
        instantiate(node, f"callbacks.{name}") for name, node in (config.callbacks or {}).items()
    ]
    off = tuple(
        kind
        for kind, enabled in (
            (ProgressBar, config.trainer.enable_progress_bar),
            (ModelSummary, config.trainer.enable_model_summary),
            (Checkpoint, config.trainer.enable_checkpointing),
        )
        if not enabled
    )
    callbacks = [call for call in callbacks if call is not None and not isinstance(call, off)]
    loggers = [instantiate(node, f"logger.{name}") for name, node in (config.logger or {}).items()]
    node = {"_target_": "lightning.Trainer", **OmegaConf.to_container(config.trainer, resolve=True)}  # type: ignore[dict-item]
    _check(node, "trainer", set())
    del node["_target_"]
    return lightning.Trainer(**node, callbacks=callbacks, logger=loggers or False)
