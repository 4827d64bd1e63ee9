"""Keys that have got other names. The old ones are accepted for one release, with a note."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

# Before 0.1 it was a loop: what trains the network is a LightningModule.
RENAMED = {"task.loop": "task.module"}


def current_words(words: Sequence[str]) -> list[str]:
    """The words of a command line with the present names of their keys."""
    return [_current(word) for word in words]


def _current(word: str) -> str:
    for old, new in RENAMED.items():
        match = re.match(rf"([+~]*){re.escape(old)}(?=[.=]|$)", word)
        if match:
            _note(old, new)
            return f"{match[1]}{new}{word[match.end() :]}"
    return word


def class_of(task: Mapping[str, Any], part: str) -> Any:
    """The section that names the class of a task's part.

    Args:
        task: the section `task`.
        part: "network" or "module".

    Returns:
        `task.<part>`. A YAML of before 0.1 calls the module `loop`; such a one writes the options
        there once more, which are left out.
    """
    if "loop" not in task:
        return task.get(part)
    _note("task.loop", RENAMED["task.loop"])
    node = task["loop" if part == "module" else part]
    return {key: node[key] for key in node if key not in task}


@cache
def _note(old: str, new: str) -> None:
    """Says once in a process that a key has another name."""
    print(  # noqa: T201
        f"note: {old} is called {new} now; the next release no longer knows {old}", file=sys.stderr
    )
