"""The files that a run leaves about itself, read as what they are to be or not at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqlab.files import number_of, parse_json, parse_yaml

# Written into the folder of each of a sweep's jobs before it starts.
JOB_FILE = "job.json"
RESULTS_FILE = "results.json"


class DamagedError(Exception):
    """A file of a run that cannot be read, or holds something else than it should."""


@dataclass(frozen=True)
class Job:
    """What a sweep notes of a job: its number, identity, and changed keys as they were written."""

    number: int
    identity: str
    changed: dict[str, str]


def read_json(path: Path) -> Any:
    """What a file holds; None where there is none. None of a run's files says `null`.

    Raises:
        DamagedError: it cannot be read.
    """
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
        # Text that no output could encode.
        for text in _texts(content):
            text.encode()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DamagedError(path.name) from error
    if content is None:
        raise DamagedError(path.name)
    return content


def read_yaml(path: Path) -> Any:
    """What a YAML file holds; None where there is none, or none that can be read."""
    try:
        return parse_yaml(path.read_bytes())
    except (OSError, ValueError):
        return None


def read_job(folder: Path) -> Job | None:
    """What a sweep noted of a job; None for a run of its own.

    Raises:
        DamagedError: the note is damaged.
    """
    content = read_json(folder / JOB_FILE)
    if content is None:
        return None
    fields: dict[str, Callable[[Any], bool]] = {
        "identity": _is_text,
        "number": _is_whole,
        "changed": lambda value: value is None or _maps(value, lambda v: not _is_collection(v)),
    }
    if not _fits(content, fields) or "identity" not in content:
        raise DamagedError(JOB_FILE)
    changed = content.get("changed") or {}
    texts = {key: str(value) for key, value in changed.items()}
    return Job(int(content.get("number", 0)), content["identity"], texts)


def read_results(folder: Path) -> dict[str, Any]:
    """How a run ended, what it chose and what it scored; empty for one that left nothing.

    Raises:
        DamagedError: the record is damaged.
    """
    content = read_json(folder / RESULTS_FILE)
    if content is None:
        return {}
    if isinstance(content, dict):
        for name in ("metrics", "reference"):
            if isinstance(entry := content.get(name), dict):
                content[name] = {key: number_of(value) for key, value in entry.items()}
    if not _fits(content, RESULTS):
        raise DamagedError(RESULTS_FILE)
    metrics = (content.get("metrics") or {}).items()
    return {**content, "metrics": {name: float(v) for name, v in metrics if v is not None}}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    # A whole number of any length is JSON, but not all are floats.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return not isinstance(value, int) or value.bit_length() < 1000


def _is_whole(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value) and int(value) == value


def _is_collection(value: Any) -> bool:
    return isinstance(value, (list, dict))


def _or_none(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _maps(value: Any, check: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(map(check, value.values()))


def _fits(content: Any, fields: Mapping[str, Callable[[Any], bool]]) -> bool:
    """Whether this is an object whose known entries are what they should be."""
    return isinstance(content, dict) and all(
        check(content[name]) for name, check in fields.items() if name in content
    )


REFERENCE: dict[str, Callable[[Any], bool]] = {
    "metric": _or_none(_is_text),
    "trivial": _or_none(_is_number),
    "optimum": _or_none(_is_number),
}
RESULTS: dict[str, Callable[[Any], bool]] = {
    "status": _is_text,
    "reason": _or_none(_is_text),
    "seed": lambda value: not _is_collection(value),
    "seconds": _or_none(_is_number),
    "parameters": _or_none(_is_whole),
    "choices": _or_none(lambda value: _maps(value, _is_text)),
    "metrics": _or_none(lambda value: _maps(value, _or_none(_is_number))),
    "test_sets": _or_none(lambda value: _maps(value, _is_text)),
    "reference": _or_none(lambda value: _fits(value, REFERENCE)),
}


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield key
            yield from _texts(value)
    elif isinstance(content, list):
        for value in content:
            yield from _texts(value)
