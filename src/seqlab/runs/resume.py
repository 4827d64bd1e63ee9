"""Resuming a run: its own configuration, and which of its settings may be changed on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from seqlab.config_folders import CONF
from seqlab.errors import InputError
from seqlab.overrides import join_overrides, key_of, read_overrides, settings
from seqlab.runs.record import portable, read_config

MISSING = "nothing"
# Settings that change only how a run is shown; nobody needs to be told.
UNTOLD = (
    "callbacks.progress_bar.*",
    "callbacks.model_summary.*",
    "callbacks.hparams.*",
    "logger.*",
    "sweep.*",
    "trainer.enable_progress_bar",
    "trainer.enable_model_summary",
)
# Settings of the network and the loss that may change, as the weights keep their meaning.
FREE = ("*dropout*", "task.search.*", "task.callbacks.*")
# The others, and why they may not.
FIXED = {
    "seed": "the seed decides what the run has drawn so far",
    "init_from": "a run that is resumed has its weights",
    "init_strict": "a run that is resumed has its weights",
    "model.*": "the weights are those of another model",
    "task.*": "the weights and scores so far are those of another task",
    "optimizer._target_": "another optimizer cannot use the state of the one before",
    "callbacks.best.monitor": "the best checkpoint so far was chosen by another metric",
    "callbacks.best.mode": "the best checkpoint so far was chosen by another rule",
}
# Settings that decide which batches make up an epoch: fixed until the epoch is done.
WITHIN_EPOCH = ("loader.*", "trainer.overfit_batches", "trainer.accumulate_grad_batches")


@dataclass(frozen=True)
class OwnSettings:
    """The settings with which a run is resumed.

    Attributes:
        config: the run's own configuration with the given overrides on top.
        overrides: the run's command line with the given overrides on top.
        choices: what is chosen of each config group.
        changes: the keys that differ from the run so far, with the values before and after.
    """

    config: DictConfig
    overrides: list[str]
    choices: dict[str, str]
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)


def resume_command(folder: str | Path, overrides: list[str]) -> list[str]:
    """The arguments of the training command that resume a run with some settings changed."""
    escaped = str(folder).replace("\\", "\\\\").replace('"', '\\"')
    return [f'hydra.run.dir="{escaped}"', "ckpt_path=last", *overrides]


def own_settings(folder: Path, config: DictConfig) -> OwnSettings:
    """The settings of a run that is resumed.

    Where the command line asks for the run to be resumed, it names only what changes: the rest is
    taken from the run's folder. A job that a sweep resumes brings its whole configuration.

    Args:
        folder: the run's folder.
        config: what Hydra composed of the command line.

    Raises:
        InputError: the folder's record cannot be read, or no longer fits the configuration files;
            the run is to be removed, too.
    """
    own = read_config(folder)
    given = list(HydraConfig.get().overrides.task)
    recorded = read_overrides(folder) or []
    choices = chosen(HydraConfig.get().runtime.choices)
    if not any(key_of(word) == "ckpt_path" for word in given):
        wanted, overrides = portable(config, folder), settings(given)
    elif config.get("overwrite") is True:
        raise InputError(
            "overwrite=true removes the run that ckpt_path resumes; leave one of the two out"
        )
    else:
        overrides = join_overrides(recorded, settings(given))
        wanted = own
        if overrides != recorded:
            try:
                before, _ = _compose(recorded, folder)
            except HydraException as error:
                reason = str(error).partition("\n")[0].rstrip(".")
                raise InputError(
                    f"{folder} was made by a command line that cannot be composed any more "
                    f"({reason}); resume it without overrides, or give --config-dir as then"
                ) from error
            after, choices = _compose(overrides, folder)
            wanted = _with_changes(own, before, after)
        else:
            choices = _compose(recorded, folder)[1] if recorded else choices
    changes = {key: change for key, change in _differences(own, wanted)}
    whole = OmegaConf.create(wanted | {"ckpt_path": config.ckpt_path})
    for name in ("allow_new_data", "overwrite"):
        if name in config:
            whole[name] = config[name]
    OmegaConf.set_struct(whole, True)
    return OwnSettings(whole, overrides, choices, changes)


def chosen(choices: Mapping[Any, Any]) -> dict[str, str]:
    """What was chosen of each config group, Hydra's own left out."""
    return {
        str(group): str(name)
        for group, name in choices.items()
        if not str(group).startswith("hydra") and name is not None
    }


def _compose(overrides: list[str], folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The portable configuration that a command line makes, and what it chooses."""
    name = HydraConfig.get().job.config_name
    if GlobalHydra.instance().is_initialized():
        config = compose(name, overrides, return_hydra_config=True)
    else:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose(name, overrides, return_hydra_config=True)
    choices = chosen(config.hydra.runtime.choices)
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    return portable(own, folder), choices


def _with_changes(own: Any, before: Any, after: Any) -> Any:
    """`own` with the differences between `before` and `after`."""
    if not (isinstance(own, dict) and isinstance(before, dict) and isinstance(after, dict)):
        return own if before == after else after
    changed = {}
    for key in [*own, *(key for key in after if key not in own)]:
        if key in after:
            found = _with_changes(own.get(key), before.get(key), after[key])
            if key in own or key not in before:
                changed[key] = found
        elif key not in before:
            changed[key] = own[key]
    return changed


def _differences(
    before: Any, after: Any, prefix: str = ""
) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """The dotted keys whose values differ, with both values."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            one, other = before.get(key, MISSING), after.get(key, MISSING)
            yield from _differences(one, other, f"{prefix}.{key}" if prefix else str(key))
    elif before != after:
        yield prefix, (before, after)


def check_changes(
    changes: Mapping[str, tuple[Any, Any]], *, mid_epoch: bool, new_data: bool
) -> None:
    """Raises InputError for a setting that a run cannot change on the way.

    Args:
        changes: the keys that differ, with the values before and after.
        mid_epoch: the run stopped within an epoch.
        new_data: other data was asked for.
    """
    refused = {}
    for key, (before, after) in changes.items():
        reason = _reason(key, mid_epoch, new_data)
        if reason is not None:
            refused[f"{key} {shown(before)} → {shown(after)}"] = reason
    if not refused:
        return
    first, reason = next(iter(refused.items()))
    others = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
    raise InputError(f"cannot resume the run with {first}{others}: {reason}")


def _reason(key: str, mid_epoch: bool, new_data: bool) -> str | None:
    """Why a setting may not change, with the remedy; None where it may."""
    if any(fnmatch(key, pattern) for pattern in FREE):
        return None
    if fnmatch(key, "data.*"):
        remedy = "add allow_new_data=true if you want that, or start another run with init_from="
        return None if new_data else f"its weights have learned from other data; {remedy}"
    if key == "task.horizon" and new_data:
        return None
    for pattern, reason in FIXED.items():
        if fnmatch(key, pattern):
            return f"{reason}; leave it as it was, or start another run with init_from=CHECKPOINT"
    if mid_epoch and any(fnmatch(key, pattern) for pattern in WITHIN_EPOCH):
        return (
            "the run stopped within an epoch, whose batches are already dealt out; resume it with "
            "the former setting, and change it when the epoch is done"
        )
    return None


def tell_changes(changes: Mapping[str, tuple[Any, Any]]) -> str | None:
    """The changed settings in a line; None where there are none to tell."""
    told = [
        f"{key} {shown(before)} → {shown(after)}"
        for key, (before, after) in changes.items()
        if not any(fnmatch(key, pattern) for pattern in UNTOLD)
    ]
    return f"resuming with changed settings: {', '.join(told)}" if told else None


def shown(value: Any) -> str:
    """A value as the command line has it; a node by its class."""
    if isinstance(value, dict):
        return str(value.get("_target_", "{…}")).rpartition(".")[2]
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
