"""Keys that no constructor describes, and Lightning's that it takes without a check."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from seqlab.errors import InputError, check_at_least
from seqlab.hints import choice_for
from seqlab.instantiation import refuse_type
from seqlab.value_types import fits, shown, value_at

# The types of single values, by the section that they stand in.
TYPES: dict[str, dict[str, Any]] = {
    "": {
        "seed": int,
        "compile": bool,
        "ckpt_path": str | None,
        "allow_new_data": bool,
        "init_from": str | None,
        "init_strict": bool,
        "overwrite": bool,
    },
    "model": {
        "embedding_dim": int,
        "embedding_dropout": float,
        "dropout": float,
        "match_parameters": int | None,
    },
    "recommended": {"lr": float},
    # Where the points are made, `sweep.zip` is checked together with the swept keys.
    "sweep": {"stop_on_failure": bool, "zip": Any, "points": str | None},
}
DEVICES = r"auto|-1|0*[1-9]\d*|\d+(, ?\d+)+|\d+,"
DURATION = r"\d+:\d\d?:\d\d?:\d\d?"
# What every run needs, and what may be empty.
SECTIONS = ("task", "data", "model", "optimizer", "scheduler", "trainer", "loader")
MAY_BE_EMPTY = ("recommended", "callbacks", "logger", "backtest", "sweep")
# Lightning divides by some of these, and takes a negative one as if it were not there; the
# optimisers' own errors do not name the key.
AT_LEAST = {
    "callbacks.early_stopping.patience": 0,
    "optimizer.eps": 0,
    "optimizer.lr": 0,
    "optimizer.momentum": 0,
    "optimizer.weight_decay": 0,
    "trainer.accumulate_grad_batches": 1,
    "trainer.check_val_every_n_epoch": 1,
    "trainer.gradient_clip_val": 0,
    "trainer.limit_test_batches": 0,
    "trainer.limit_train_batches": 0,
    "trainer.limit_val_batches": 0,
    "trainer.log_every_n_steps": 1,
    "trainer.max_epochs": -1,
    "trainer.max_steps": -1,
    "trainer.min_epochs": 0,
    "trainer.min_steps": 0,
    "trainer.num_nodes": 1,
    "trainer.num_sanity_val_steps": -1,
    "trainer.overfit_batches": 0,
}


def check_keys(config: DictConfig) -> None:
    """Checks what no constructor does.

    Raises:
        InputError: a section that is missing, a value of the wrong type, or one of the trainer's
            that cannot work.
    """
    for name in SECTIONS:
        if not isinstance(config.get(name), DictConfig):
            _refuse_section(name, config.get(name))
    for name in MAY_BE_EMPTY:
        if config.get(name) is not None and not isinstance(config.get(name), DictConfig):
            _refuse_section(name, config.get(name))
    for section in TYPES:
        check_types(config, section)
    check_sweep(config)
    for key, minimum in AT_LEAST.items():
        value = value_at(config, key)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            check_at_least(key, value, minimum)
    _check_trainer(config.trainer)


def check_types(config: DictConfig, section: str) -> None:
    """Raises InputError for a single value of a section that is of the wrong type."""
    node = config.get(section) if section else config
    if not node:
        return
    for name, hint in TYPES[section].items():
        value = node.get(name)
        if OmegaConf.is_config(value):
            value = OmegaConf.to_container(value, resolve=True)
        if name in node and not fits(value, hint):
            refuse_type(f"{section}.{name}".lstrip("."), value, hint)


def check_sweep(config: DictConfig) -> None:
    """Raises InputError for a key of `sweep` that does not exist, or of the wrong type."""
    node: Mapping[Any, Any] = config.get("sweep") or {}
    names = list(TYPES["sweep"])
    for name in node:
        if name not in names:
            close = difflib.get_close_matches(str(name), names, 1)
            every = ", ".join(f"sweep.{known}" for known in names)
            hint = f"did you mean sweep.{close[0]}?" if close else f"use one of {every}"
            raise InputError(f"sweep.{name} has no effect; {hint}")
    check_types(config, "sweep")


def _refuse_section(name: str, value: Any) -> None:
    wrong = f"{name} is missing" if value is None else f"{name}={shown(value)} is one value"
    raise InputError(f"{wrong}, but it must be a section; use {choice_for(name, value)}")


def _check_trainer(node: DictConfig) -> None:
    interval = node.get("val_check_interval")
    if isinstance(interval, float) and not 0 < interval <= 1:
        raise InputError(
            f"trainer.val_check_interval={interval} is a share of an epoch, and must be above 0 "
            "and at most 1; write a whole number for so many batches"
        )
    if isinstance(interval, int) and not isinstance(interval, bool) and interval < 1:
        raise InputError(f"trainer.val_check_interval={interval} must be at least 1")
    devices = node.get("devices")
    if isinstance(devices, (int, str)) and not re.fullmatch(DEVICES, str(devices)):
        raise InputError(
            f"trainer.devices={shown(devices)} must be a number of devices from 1, a list of their "
            "numbers such as [0,1], -1 for all, or auto"
        )
    longest = node.get("max_time")
    if isinstance(longest, (int, float, str)) and not re.fullmatch(DURATION, str(longest)):
        raise InputError(
            f"trainer.max_time={shown(longest)} must be written as days, hours, minutes and "
            "seconds, such as 00:01:30:00"
        )
    strategy = str(node.get("strategy"))
    if any(word in strategy for word in ("spawn", "fork", "notebook")):
        raise InputError(
            f"trainer.strategy={strategy} copies the run into new processes, which its data does "
            "not allow; use trainer.strategy=ddp"
        )
    if node.get("limit_predict_batches") is not None:
        raise InputError(
            "trainer.limit_predict_batches has no effect: no run predicts; leave it out"
        )
