"""Every setting of a composed configuration, with its type and other values for it."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lightning import Trainer
from omegaconf import DictConfig, OmegaConf

from seqlab.data.datamodule import SequenceDataModule
from seqlab.instantiation import locate
from seqlab.keys import TYPES
from seqlab.value_types import annotated_types, fits, parts

# Other values where the type does not say which would do.
OTHERS: dict[str, list[Any]] = {
    "long_lengths": [[60, 61], [61, 63], [401, 403]],
    "class_weights": [[0.5, 2.0]],
    "quantiles": [[0.2, 0.5, 0.8]],
    "intervals": [[0.5]],
    "train_min_length": [8, 15, 22],
    "train_max_length": [10, 12, 18],
    "min_count": [3, 1000],
    "token_column": [2],
    "betas": [[0.8, 0.99]],
    "coefficients": [[0.5]],
    "match_parameters": [9000],
    "periods": [[7.0, 30.0]],
    "filename": ["other"],
    "gradient_clip_algorithm": ["value"],
}


class Setting(NamedTuple):
    """One key that a user can set.

    Attributes:
        key: as it is written on the command line.
        value: as composed; None for null.
        hint: the annotated type of what it becomes.
    """

    key: str
    value: Any
    hint: Any

    def others(self) -> list[Any]:
        """Other values of its type, the ones most likely to be accepted first."""
        wanted = list(OTHERS.get(self.key.rpartition(".")[2], ()))
        for part in parts(self.hint):
            origin, arguments = typing.get_origin(part), typing.get_args(part)
            if origin is typing.Literal:
                wanted += arguments
            elif part is bool:
                wanted += [True, False]
            elif part is int:
                start = self.value if isinstance(self.value, int) else 2
                wanted += [start + 1, start + 2, 2 * start, 8, start - 1, 1, 10 * start]
            elif part is float:
                start = self.value if isinstance(self.value, (int, float)) else 0.5
                wanted += [start / 2, start + 0.1, 0.3, 1.5]
            elif isinstance(self.value, list) and arguments and arguments[0] in (int, float):
                wanted += [[*self.value[:-1], self.value[-1] + 1], [*self.value[:-1], 0.9]]
        wanted = [value for value in wanted if fits(value, self.hint) and value != self.value]
        return list({str(value): value for value in wanted}.values())


def sections(node: Any, key: str) -> Iterator[str]:
    """Where objects are described, below a node of plain values."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield key
        for name, child in node.items():
            yield from sections(child, f"{key}.{name}".lstrip("."))


def settings(config: DictConfig) -> Iterator[Setting]:
    """All settings of a configuration, Hydra's own left out."""
    values: Any = OmegaConf.to_container(config, resolve=True)
    for section, hints in TYPES.items():
        node = values.get(section, {}) if section else values
        for name in hints.keys() & node.keys():
            yield Setting(f"{section}.{name}".lstrip("."), node[name], hints[name])
    yield from _arguments(values["loader"], "loader", annotated_types(SequenceDataModule))
    yield from _arguments(values["trainer"], "trainer", annotated_types(Trainer))
    task = values["task"]
    hints = {}
    for part in ("module", "network"):
        hints |= annotated_types(locate(task[part]["_target_"], "task"))
    yield from _arguments(task, "task", hints)
    for name in ("data", "model", "optimizer", "scheduler", "callbacks", "logger", "backtest"):
        yield from _below(values[name], name)
    yield from _below(task["callbacks"], "task.callbacks")


def _below(node: Any, key: str) -> Iterator[Setting]:
    if not isinstance(node, dict):
        return
    if "_target_" in node:
        yield from _arguments(node, key, annotated_types(locate(node["_target_"], key)))
        return
    for name, child in node.items():
        yield from _below(child, f"{key}.{name}")


def _arguments(node: dict[str, Any], key: str, hints: Mapping[str, Any]) -> Iterator[Setting]:
    for name, value in node.items():
        if isinstance(value, dict) and "_target_" in value:
            yield from _below(value, f"{key}.{name}")
        elif name in hints:
            yield Setting(f"{key}.{name}", value, hints[name])
