"""The overrides of a run: kept in its folder, and joined with new ones when it is resumed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from seqlab.files import parse_yaml

OVERRIDES_FILE = "overrides.yaml"
CONFIG_FILE = "config.yaml"
# What is to be done with a run's folder; no setting of the run.
COMMAND_ONLY = ("ckpt_path", "overwrite", "allow_new_data", "sweep")
# How long to train. A new limit replaces all of these, or the old one would still end the run.
LIMITS = ("trainer.max_epochs", "trainer.max_steps", "trainer.max_time")


def key_of(override: str) -> str:
    """The key or config group that an override sets."""
    return override.lstrip("+~").partition("=")[0]


def settings(overrides: Sequence[str]) -> list[str]:
    """The overrides that set something of the run itself."""
    return [
        word
        for word in overrides
        if not re.match(r"hydra\b", key_of(word)) and key_of(word).split(".")[0] not in COMMAND_ONLY
    ]


def join_overrides(recorded: Sequence[str], given: Sequence[str]) -> list[str]:
    """A run's overrides with new ones on top, which replace those of the same key."""
    replaced = set(given) | {_sign_and_key(word) for word in given}
    if any(key_of(word) in LIMITS for word in given):
        replaced |= set(LIMITS)
    kept = [word for word in recorded if _sign_and_key(word) not in replaced]
    return [*kept, *given]


def _sign_and_key(override: str) -> str:
    """`+key` apart from `key`: the first makes the key that the second sets."""
    return override.partition("=")[0]


def read_overrides(folder: Path) -> list[str] | None:
    """The overrides recorded in a run's folder; None where there is no record."""
    try:
        words = parse_yaml((folder / OVERRIDES_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return [str(word) for word in words] if isinstance(words, list) else None


def run_of_checkpoint(path: Path) -> Path | None:
    """The folder of the run that a checkpoint lies in; None where it lies in none."""
    found = (folder for folder in list(path.absolute().parents)[:2] if is_run(folder))
    return next(found, None)


def is_run(folder: Path) -> bool:
    """Whether a folder holds the record of a run."""
    return (folder / CONFIG_FILE).is_file()


def resumed_command(arguments: list[str]) -> list[str]:
    """A command line that resumes a run, completed by the run's own overrides.

    Hydra composes what the command line says, and the run's own groups must be chosen for an
    override of one of their keys to fit. Any other command line is returned as it is.

    Args:
        arguments: the command line, without the program.
    """
    words = [word for word in arguments if re.match(r"[+~]*\w[\w/@.]*=|~", word)]
    values = {key_of(word): word.partition("=")[2] for word in words}
    name = values.get("ckpt_path", "null")
    if name in ("null", "") or {"-m", "--multirun"} & set(arguments):
        return arguments
    place = values.get("hydra.run.dir")
    folder = Path(place.strip("'\"")) if place else None
    if name not in ("last", "best") and folder is None:
        folder = run_of_checkpoint(Path(name.strip("'\"")))
        if folder is not None:
            escaped = str(folder).replace("\\", "\\\\").replace('"', '\\"')
            words.append(f'hydra.run.dir="{escaped}"')
    recorded = None if folder is None else read_overrides(folder)
    if recorded is None:
        return arguments
    flags = [word for word in arguments if word not in words]
    return [*flags, *join_overrides(recorded, words)]
