"""What a user may have meant by a key, a group or an option that does not exist."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from seqlab.command import training
from seqlab.config_folders import groups, options_of
from seqlab.errors import InputError
from seqlab.private.hydra import whole_configuration

# Options listed in a message, at most.
MOST = 24
# What Hydra reads as a number or a truth value, and cannot look up as an option of a group.
NO_NAME = r"[+-]?(\d[\d_]*\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf|nan|true|false"


def nearest(name: str, options: Sequence[str], otherwise: str = "use") -> str:
    """A hint at the nearest option, and the options where none is near."""
    close = closest(name, options)
    if close and otherwise == "use":
        return f"; did you mean {close}? Use"
    if close:
        return f"; did you mean {close}?"
    return f"; {otherwise} {', '.join(options[:MOST])}" if otherwise != "use" else "; use"


def closest(name: str, options: Sequence[str]) -> str | None:
    """The option that a name is most like, whatever its case; None where none is near."""
    by_lower = {option.lower(): option for option in options}
    close = difflib.get_close_matches(name.lower(), by_lower, 1, 0.5)
    return by_lower[close[0]] if close else None


def choice_for(key: str, value: Any) -> str | None:
    """The words that choose the section at a key from its config group, such as `model/attention=`.

    Args:
        key: of a section, or of a part of one.
        value: what stands there; where it is one of the options, that one is meant.

    Returns:
        the choice, or None where no group fills the section.
    """
    name = value.lower() if isinstance(value, str) else None
    for group in _chosen_groups():
        path, _, package = group.partition("@")
        options = options_of(path)
        place = package or path.replace("/", ".")
        here = place == key and bool(options)
        around = key.startswith(f"{place}.") and (value is None or name in options)
        if (here or around) and name != "none":
            return f"{group}={name if name in options else ', '.join(options)}"
    return None


def _chosen_groups() -> list[str]:
    """The groups of this run, as they are written on the command line; the inner ones first."""
    found = groups()
    if HydraConfig.initialized():
        found += [str(group) for group in HydraConfig.get().runtime.choices]
    return sorted(set(found), key=lambda group: -group.count("/") - group.count("."))


def missing_option(error: Any) -> str | None:
    """What to tell about a group's option that has no file."""
    group, _, name = str(error.missing_cfg_file or "").rpartition("/")
    options = [option for option in error.options or [] if not option.startswith("_")]
    if not options:
        return None
    return f"{group}={name} does not exist{nearest(name, options)} one of {', '.join(options)}"


def unknown_key(error: BaseException) -> str | None:
    """Names the nearest key or group for an override that fits nothing."""
    match = re.search(r"Could not override '([^']+)'", str(error))
    if match is None:
        return None
    key = match[1].partition("@")[0]
    composed = _root(error)
    if key in groups():
        return f"{key} has no effect with the other options chosen here; leave it out"
    if "/" in key or composed is None:
        return f"{key} is not a config group{nearest(key, groups(), 'the groups are')}"
    keys = list(keys_of(cast(dict[Any, Any], OmegaConf.to_container(composed))))
    parent, _, leaf = key.rpartition(".")
    siblings = {name.rpartition(".")[2]: name for name in keys if name.rpartition(".")[0] == parent}
    elsewhere = [] if leaf == "_target_" else [k for k in keys if k.rpartition(".")[2] == leaf]
    close = closest(leaf, list(siblings))
    if elsewhere:
        hint = f"did you mean {' or '.join(elsewhere[:3])}?"
    elif close:
        hint = f"did you mean {siblings[close]}?"
    elif siblings:
        hint = f"{parent or 'the top level'} has {', '.join(siblings)}"
    else:
        hint = f"`{training(['--cfg', 'job'])}` shows all"
    return f"{key} is not a setting; {hint}"


def missing_key(error: BaseException) -> str | None:
    """Names a setting that is read and was removed, as by `~model.encoder`."""
    key = getattr(error, "full_key", None)
    if not key or "is not in struct" not in str(error):
        return None
    return f"{key} is missing; leave out ~{key}, or give {key} a value"


def _root(error: BaseException) -> DictConfig | None:
    """The configuration that an override did not fit."""
    cause = error.__cause__
    node = getattr(cause, "parent_node", None)
    return None if node is None else whole_configuration(node)


def keys_of(values: Mapping[Any, Any], prefix: str = "") -> Iterator[str]:
    """Every key of nested plain values, as it is written on the command line."""
    for key, child in values.items():
        yield f"{prefix}{key}"
        if isinstance(child, dict):
            yield from keys_of(child, f"{prefix}{key}.")


def several_values(message: str) -> str | None:
    """What to tell about a sweep without `-m`."""
    match = re.search(r"(?:Ambiguous value for argument|Sweep parameters) '([^']+)'", message)
    if match is None:
        return None
    key, _, values = match[1].partition("=")
    listed = f", or write {key}=[{values}] for one list" if "(" not in values else ""
    return f"{match[1]} gives several values; add -m to sweep over them{listed}"


def check_words(words: Sequence[str]) -> None:
    """Refuses words of the command line that Hydra takes without a meaning.

    Raises:
        InputError: a group that is chosen by null or a number, a word without a key, or an option
            of sweeps without `-m`.
    """
    check_choices(words)
    sweeps = any(re.match(r"-\w*m|--multirun|hydra\.mode=", word) for word in words)
    for word in words:
        if word.startswith("="):
            raise InputError(f"{word} names no setting; write KEY=VALUE")
        match = re.fullmatch(r"~?([\w/@.]+)(?:=(.*))?", word)
        if match is None:
            continue
        key, value = match[1], match[2]
        path = key.partition("@")[0]
        deleted = word.startswith("~") and not value
        if path in groups() and (deleted or value in ("null", "None", "")):
            options = options_of(path)
            use = f"use {key}=none" if "none" in options else f"choose one of {', '.join(options)}"
            if path in ("experiment", "debug"):
                use = "leave it out"
            raise InputError(f"{word} chooses nothing; {use}")
        if key.startswith("sweep.") and not sweeps:
            raise InputError(f"{word} is for sweeps; add -m, or leave it out")


def check_choices(words: Sequence[str]) -> None:
    """Refuses numbers and truth values as options of a group: Hydra fails on them.

    Raises:
        InputError: names the group's options.
    """
    for word in words:
        key, _, value = word.lstrip("+").partition("=")
        path = key.partition("@")[0]
        if re.fullmatch(NO_NAME, value, re.IGNORECASE) and path in groups():
            options = options_of(path)
            if value not in options:
                raise InputError(f"{word} does not exist; use one of {', '.join(options)}")
