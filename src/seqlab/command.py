"""Command lines that are printed, to be typed again."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

# What `seqlab train` runs, and what does the same in the repository.
SCRIPT = Path(__file__).parent / "scripts" / "train.py"
CHECKOUT = Path(__file__).parents[2] / "train.py"
# Hydra's flags that decide which configuration is composed, in both spellings.
COMPOSING = {
    "--config-dir": "-cd",
    "--config-path": "-cp",
    "--config-name": "-cn",
}


def composing_flags(words: Sequence[str] | None = None) -> list[str]:
    """What a command line says about where the configuration comes from.

    Args:
        words: the command line behind the script; None for this process's own.
    """
    rest = list(sys.argv[1:] if words is None else words)
    found: list[str] = []
    while rest:
        word = rest.pop(0)
        if word in (*COMPOSING, *COMPOSING.values()):
            found += [word, *rest[:1]]
            del rest[:1]
        elif word.partition("=")[0] in COMPOSING:
            found.append(word)
    return found


def training_command() -> list[str]:
    """The words that train: of this process, or those that work where it was started."""
    if not CHECKOUT.is_file() or Path(sys.argv[0]) == SCRIPT:
        return ["seqlab", "train"]
    return ["python", "train.py"]


def single_run(overrides: Iterable[str]) -> str:
    """The command that runs one configuration, as this process was started.

    Args:
        overrides: those of the configuration.
    """
    started = ["seqlab", "train"] if Path(sys.argv[0]) == SCRIPT else ["python", sys.argv[0]]
    return shlex.join([*started, *composing_flags(), *overrides])


def training(words: Iterable[str]) -> str:
    """A command that trains, as it is typed into a shell."""
    return shlex.join([*training_command(), *words])
