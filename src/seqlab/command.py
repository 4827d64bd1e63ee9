"""Command lines that are printed, to be typed again."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Sequence

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


def single_run(overrides: Iterable[str]) -> str:
    """The command that runs one configuration, as this process was started.

    Args:
        overrides: those of the configuration.
    """
    return typed([sys.argv[0], *composing_flags(), *overrides])


def typed(words: Iterable[str]) -> str:
    """A Python command as it is typed into a shell."""
    return shlex.join(["python", *words])
