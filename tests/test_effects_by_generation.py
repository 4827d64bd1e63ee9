"""Two values of each setting: something changes, or the setting is refused.

A sweep over a setting without effect gives equal runs, and would be published as a result.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import hashlib
import json
import shutil
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from seqlab.build import build_data, build_network
from seqlab.config import explain
from seqlab.config_folders import options_of
from seqlab.effects import without_effect
from seqlab.errors import InputError
from seqlab.instantiation import instantiate
from tests.settings import Setting, settings
from tests.test_wrong_settings import TINY, composed, data_keys

SIZES = {"train_size": 300, "val_size": 60, "test_size": 60, "num_series": 4}
# Settings that rightly leave data, network or run as they are: what they say is about something
# that is not there, about speed, or about longer runs.
NOT_HERE = {
    "data.constant": "what becomes of a constant series, and there is none",
    "data.missing": "what becomes of a missing value",
    "data.comments": "whether a line that begins with # is a comment, and there is none",
    "data.unknown": "what becomes of a token that training lacks, and there is none",
    "model.encoder.kernel": "the same function by another way",
    "task.pooling": "by name what auto chooses; each other one is refused beside the attention",
    "task.search.length_penalty": "hypotheses of a network that is hardly trained are equally long",
    "task.search.max_length": "a limit that nothing reaches",
    "scheduler.factor": "what follows epochs without progress",
    "scheduler.patience": "epochs without progress",
    "task.callbacks.forecasts.every": "validations from one drawing to the next",
    "task.callbacks.forecasts.windows": "there are no more series to draw",
    "task.callbacks.self_attention.sequences": "there is no self-attention",
    "callbacks.early_stopping.patience": "epochs without progress",
    "callbacks.early_stopping.min_delta": "what counts as progress",
    "callbacks.early_stopping.mode": "what counts as progress",
    "callbacks.early_stopping.monitor": "what counts as progress",
    "callbacks.early_stopping.check_finite": "the loss is finite",
    "callbacks.best.enable_version_counter": "what becomes of an older file of the same name",
    "callbacks.progress_bar.every": "the screen",
}


def unchanged(
    chosen: list[Setting], before: object, look: Callable[[Setting, Any], object]
) -> list[str]:
    """Settings whose other values change nothing, although they are accepted.

    Args:
        chosen: the settings.
        before: what is seen with their own values.
        look: what is seen with another value of a setting; raises InputError where it is refused.
    """
    found = []
    for setting in chosen:
        accepted = []
        for value in setting.others():
            with contextlib.suppress(InputError):
                if look(setting, value) != before:
                    break
                accepted.append(value)
        else:
            if accepted and setting.key not in NOT_HERE:
                found.append(f"{setting.key}={setting.value!r} may be any of {accepted}")
    return found


def in_place(
    config: DictConfig, look: Callable[[DictConfig], object]
) -> tuple[object, Callable[[Setting, Any], object]]:
    """What is seen of a configuration, and how to see it with another value."""

    def with_value(setting: Setting, value: Any) -> object:
        changed = copy.deepcopy(config)
        OmegaConf.update(changed, setting.key, value, merge=False)
        for told in without_effect(changed, [f"{setting.key}={value}"]):
            raise InputError(told)
        return look(changed)

    before = look(config)
    assert look(config) == before, "what is looked at is not a function of the settings"
    return before, with_value


def digest(value: Any) -> str:
    """A hash of tensors and plain values, in whatever they are held."""
    if isinstance(value, torch.Tensor):
        content = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    elif dataclasses.is_dataclass(value):
        content = digest(vars(value)).encode()
    elif isinstance(value, dict):
        content = "".join(f"{key}:{digest(item)}" for key, item in value.items()).encode()
    elif isinstance(value, (list, tuple)):
        content = "".join(map(digest, value)).encode()
    else:
        content = repr(value).encode()
    return hashlib.sha256(content).hexdigest()


def data_of(config: DictConfig) -> str:
    """All splits and the spec."""
    with warnings.catch_warnings(action="ignore"):
        dataset = instantiate(config.data, "data")
        return digest([[dataset.split(name) for name in dataset.splits], dataset.spec])


# Of files: they hold nothing that would be refused.
WITHIN = {"conll": "data.strict", "pairs_file": "data.max_length"}


@pytest.mark.parametrize("name", options_of("data"))
def test_data(name):
    config = composed(f"data={name}")
    OmegaConf.update(config, "data", {k: v for k, v in SIZES.items() if k in config.data})
    keys = set(data_keys(config, name)) - {WITHIN.get(name)}
    chosen = [setting for setting in settings(config) if setting.key in keys]
    assert unchanged(chosen, *in_place(config, data_of)) == []


def network_of(config: DictConfig) -> str:
    """Weights at the start, and what the network makes of a batch in training."""
    data = data_for(config.task.name)
    batch = next(iter(data._loader("val")))
    torch.manual_seed(0)
    network = build_network(config, data.spec).train()
    outputs = network(batch.inputs, batch.lengths)
    return digest([dict(network.state_dict()), outputs])


@cache
def data_for(task: str) -> Any:
    return build_data(composed(*TINY[task]))


def test_models():
    """What several models share is tried with one of them."""
    seen: set[tuple[str, str]] = set()
    for name in options_of("model"):
        config = composed(*TINY["classification"], f"model={name}")
        chosen = []
        for setting in settings(config):
            owner, _, last = setting.key.rpartition(".")
            place = (str(OmegaConf.select(config, owner or "data").get("_target_")), last)
            if setting.key.startswith("model.") and place not in seen:
                chosen.append(setting)
            seen.add(place)
        assert unchanged(chosen, *in_place(config, network_of)) == [], name


RUN = (
    "trainer.max_epochs=2",
    "trainer.limit_train_batches=3",
    "trainer.enable_progress_bar=false",
    "trainer.enable_model_summary=false",
    "trainer.accelerator=cpu",
    "trainer.log_every_n_steps=1",
    "logger=csv",
)
# Each family as it is, and as its other options need it.
RUNS = {
    "classification": (*TINY["classification"], "model=gru_attn"),
    "schedules": (*TINY["classification"], "model=gru", "scheduler=warmup_cosine"),
    "plateau": (*TINY["classification"], "model=gru", "scheduler=plateau", "optimizer=sgd"),
    "tagging": TINY["tagging"],
    "crf": (*TINY["tagging"], "task.crf=true"),
    "greedy": TINY["seq2seq"],
    "beam": (*TINY["seq2seq"], "task.search.method=beam", "task.forcing=linear"),
    "sample": (*TINY["seq2seq"], "task.search.method=sample", "task.decoder.num_layers=2"),
    "direct": TINY["forecasting"],
    "recursive": (*TINY["forecasting"], "task.decoder=recursive", "task.head=gaussian"),
    "quantile": (*TINY["forecasting"], "task.head=quantile"),
}
SECTIONS = ("task.", "optimizer.", "scheduler.", "loader.", "callbacks.", "seed")


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_whole_runs(train, tmp_path, name):
    """Weights, metrics and files of a run."""
    overrides = (*RUNS[name], *RUN)

    def run(*more: str) -> dict[str, str]:
        folder = tmp_path / "run"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            train(*overrides, *more, folder=folder)
        except Exception as error:
            if explain(error) is None:
                raise
            raise InputError(explain(error)) from error
        return contents(folder)

    def with_value(setting: Setting, value: Any) -> object:
        changed = composed(*overrides, f"{setting.key}={json.dumps(value)}")
        for told in without_effect(changed, [f"{setting.key}={value}"]):
            raise InputError(told)
        return run(f"{setting.key}={json.dumps(value)}")

    chosen = [s for s in settings(composed(*overrides)) if s.key.startswith(SECTIONS)]
    before = run()
    assert run() == before
    assert unchanged(chosen, before, with_value) == []


def contents(folder: Path) -> dict[str, str]:
    """By each file that a run leaves what is in it, without what tells the settings or the time."""
    found = {"metrics": str(json.loads((folder / "results.json").read_text())["metrics"])}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix == ".ckpt":
            found[name] = digest(torch.load(path, weights_only=True)["state_dict"])
        elif path.is_file() and path.suffix in (".csv", ".npy", ".png", ".md", ".html"):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
