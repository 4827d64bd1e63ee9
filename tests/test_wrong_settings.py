"""Every setting of every configuration with wrong values: accepted, or refused in one line."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import nn

from seqlab.build import build_data, build_datamodule, build_network, build_task, build_trainer
from seqlab.callbacks.monitors import with_mode
from seqlab.config import explain
from seqlab.config_folders import options_of
from seqlab.errors import InputError
from seqlab.instantiation import instantiate, locate
from seqlab.keys import check_keys
from tests.conftest import ROOT, SMALL
from tests.settings import sections, settings

TINY = {
    "classification": ("data=magic_token", *SMALL, "data.long_lengths=null"),
    "tagging": ("data=entities", *SMALL),
    "seq2seq": ("data=copy", *SMALL, "data.long_lengths=null"),
    "forecasting": ("data=sines", "data.num_series=2", "data.length=160"),
}
SIZES = {"train_size": 16, "val_size": 8, "test_size": 8, "num_series": 2}
# Text, null, negative and broken numbers, truth, and collections, for keys of every type.
WRONG = ("nonsense", None, -1, -0.5, math.nan, True, ["nonsense"], {"a": 1})


def composed(*overrides: str) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train", list(overrides), return_hydra_config=True)
    with open_dict(config):
        config.hydra.runtime.output_dir = "run"
        config.hydra.overrides.task = []
    HydraConfig.instance().set_config(config)
    values = OmegaConf.to_container(
        OmegaConf.masked_copy(config, [k for k in config if k != "hydra"]), resolve=True
    )
    return OmegaConf.create(values)  # type: ignore[return-value]


def complaints(
    config: DictConfig, keys: list[str], build: Callable[[DictConfig], object]
) -> list[str]:
    """Wrong values that end in anything but an object, or one line that names the key."""
    found = []
    for key in keys:
        right = OmegaConf.select(config, key)
        for value in WRONG:
            OmegaConf.update(config, key, value, merge=False)
            try:
                with warnings.catch_warnings(action="ignore"):
                    build(config)
            except Exception as error:
                told = explain(error)
                names = (key.rpartition(".")[2], f"{key.partition('.')[0]}: ", "nonsense", ".csv")
                if told is None or "\n" in told:
                    found.append(f"{key}={value!r}: {type(error).__name__}: {error}")
                elif not any(name in told for name in names):
                    found.append(f"{key}={value!r} is not named: {told}")
        OmegaConf.update(config, key, right, merge=False)
    return found


def keys_below(config: DictConfig, *prefixes: str) -> list[str]:
    """All settings and sections below some keys."""
    values = OmegaConf.to_container(config)
    keys = [setting.key for setting in settings(config)] + list(sections(values, ""))
    return [key for key in dict.fromkeys(keys) if f"{key}.".startswith(prefixes)]


def make_data(config: DictConfig) -> None:
    dataset = instantiate(config.data, "data")
    assert dataset.spec
    for name in dataset.splits:
        dataset.split(name)


@pytest.mark.parametrize("name", options_of("data"))
def test_data(name):
    written = OmegaConf.load(ROOT / "conf" / "data" / f"{name}.yaml")
    config = OmegaConf.create({"task": written.get("task", {}), "data": written.data})
    OmegaConf.update(config, "data", {k: v for k, v in SIZES.items() if k in config.data})
    assert complaints(config, data_keys(config, name), make_data) == []


def data_keys(config: DictConfig, name: str) -> list[str]:
    """The settings of a dataset; what all of a family share is tried with one of them."""
    keys = [f"data.{key}" for key in config.data if key != "_target_"]
    if name in [word.partition("=")[2] for words in TINY.values() for word in words]:
        return keys
    own = vars(locate(config.data._target_, "data")).get("__annotations__", {})
    return [key for key in keys if key.removeprefix("data.") in own]


@cache
def spec_of(task: str) -> Any:
    return build_data(composed(*TINY[task])).spec


def make_task(config: DictConfig) -> None:
    check_keys(config)
    spec = spec_of(config.task.name)
    task = build_task(config, build_network(config, spec), spec)
    optimizer = task.make_optimizer([nn.Parameter(torch.ones(1))])
    task.make_scheduler(optimizer, 10)


def test_models():
    """What several models share is tried with one of them."""
    seen: set[tuple[str, str]] = set()
    for name in options_of("model"):
        config = composed(*TINY["classification"], f"model={name}")
        keys = []
        for key in keys_below(config, "model."):
            owner = OmegaConf.select(config, key.rpartition(".")[0])
            place = (str(owner.get("_target_")), key.rpartition(".")[2])
            if place not in seen:
                keys.append(key)
            seen.add(place)
        assert complaints(config, keys, make_task) == [], name


@pytest.mark.parametrize("place", ["model/attention", "model/attention@model.self_attention"])
@pytest.mark.parametrize("name", options_of("model/attention"))
def test_attention(place, name):
    config = composed(*TINY["tagging"], "model=gru", f"{place}={name}")
    key = place.partition("@")[2] or "model.attention"
    assert complaints(config, keys_below(config, f"{key}."), make_task) == []


@pytest.mark.parametrize("task", TINY)
def test_task(task):
    config = composed(*TINY[task])
    keys = [key for key in keys_below(config, "task.") if not key.startswith("task.callbacks")]
    assert complaints(config, keys, make_task) == []


@pytest.mark.parametrize(
    "choice",
    [f"{group}={name}" for group in ("optimizer", "scheduler") for name in options_of(group)],
)
def test_optimizer_and_scheduler(choice):
    config = composed(*TINY["classification"], choice)
    keys = keys_below(config, f"{choice.partition('=')[0]}.")
    assert complaints(config, keys, make_task) == []


def make_trainer(config: DictConfig) -> None:
    check_keys(config)
    build_datamodule(config, SimpleNamespace(split=len))
    build_trainer(config)


def test_trainer():
    config = composed(*TINY["classification"], "callbacks=none", "logger=none")
    keys = keys_below(config, "trainer.", "loader.", "seed.", "compile.", "sweep.", "ckpt_path.")
    assert complaints(config, keys, make_trainer) == []


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("optimizer.lr=-1", "optimizer.lr=-1 must be at least 0"),
        ("optimizer.weight_decay=-0.5", "optimizer.weight_decay=-0.5 must be at least 0"),
        ("trainer.devices=0", "trainer.devices=0 must be a number of devices from 1"),
        ("trainer.devices=-2", "trainer.devices=-2 must be a number of devices from 1"),
        ("trainer.devices=abc", "trainer.devices='abc' must be a number of devices from 1"),
        ("trainer.max_time=5", "trainer.max_time=5 must be written as days, hours"),
        ("trainer.max_time=abc", "trainer.max_time='abc' must be written as days, hours"),
        ("+sweep.foo=1", "sweep.foo has no effect; use one of sweep.stop_on_failure, sweep.zip"),
    ],
)
def test_the_whole_key_is_named(override, told):
    with pytest.raises(InputError) as caught:
        check_keys(composed(override))
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    "override",
    ["devices=2", "devices=-1", "devices=[0,1]", "devices='0,'", "max_time=00:01:30:00"],
)
def test_ways_to_write_devices_and_a_duration(override):
    check_keys(composed(f"trainer.{override}"))


@pytest.mark.parametrize("task", TINY)
def test_callbacks_and_loggers(task):
    config = composed(*TINY[task])
    own = ("task.callbacks",)
    for group in ("callbacks", "logger", *own) if task == "tagging" else own:
        for name in list(OmegaConf.select(config, group)):
            key = f"{group}.{name}"
            inside = [below for below in keys_below(config, f"{key}.") if below != key]
            assert complaints(config, inside, partial(make_callback, key=key)) == []
            assert complaints(config, [key], make_trainer) == []


def make_callback(config: DictConfig, key: str) -> None:
    instantiate(with_mode(OmegaConf.select(config, key), key), key)


@pytest.mark.parametrize("task", TINY)
def test_a_choice_that_does_not_exist(task):
    composed(*TINY[task])
    for group in list(HydraConfig.get().runtime.choices):
        if group.startswith("hydra/"):
            continue
        with pytest.raises(Exception) as caught:  # noqa: PT011
            composed(*TINY[task], f"{group}=nonsense")
        told = explain(caught.value)
        assert told is not None, group
        assert told.startswith(f"{group.partition('@')[0]}=nonsense does not exist; ")
        assert "one of " in told
