"""Points of a sweep from a file: combinations that no product makes."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from seqlab.errors import InputError
from seqlab.files import parse_json, parse_yaml, read_text

FORM = "a list of points, each a mapping such as {model: gru, optimizer.lr: 0.01}"
# Text that Hydra reads as it stands.
PLAIN = re.compile(r"[\w./:@%+-]+")


def read_points(path: Path) -> list[list[str]]:
    """The overrides of each point of a YAML, JSON or CSV file.

    YAML and JSON hold a list of mappings from keys or config groups to values; CSV has the keys in
    its first line and a point in each further one.

    Raises:
        InputError: no such file, another kind of file, not a list of points, or points with
            different keys.
    """
    readers = {".yaml": _yaml, ".yml": _yaml, ".json": _json, ".csv": _csv}
    if path.suffix not in readers:
        raise InputError(f"sweep.points={path} must be one of {', '.join(readers)}")
    try:
        text = read_text(path)
    except InputError as error:
        raise InputError(f"sweep.points={path}: {error}") from error
    points = readers[path.suffix](text, path)
    if not isinstance(points, list) or not points:
        raise InputError(f"sweep.points={path} must hold {FORM}")
    for number, point in enumerate(points, start=1):
        if not isinstance(point, dict) or not point:
            raise InputError(f"sweep.points={path}: point {number} is {point!r}; {FORM} is needed")
        differing = sorted(set(map(str, point)) ^ set(map(str, points[0])))
        if differing:
            raise InputError(
                f"sweep.points={path}: point {number} and point 1 do not both set "
                f"{', '.join(differing)}; give every point the same keys"
            )
    return [[_override(key, value, path) for key, value in point.items()] for point in points]


def _yaml(text: str, path: Path) -> Any:
    return _parsed(parse_yaml, text, path)


def _json(text: str, path: Path) -> Any:
    return _parsed(parse_json, text, path)


def _parsed(parse: Callable[[str], Any], text: str, path: Path) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        kind = path.suffix[1:].upper().replace("YML", "YAML")
        raise InputError(
            f"sweep.points={path} is no {kind} that can be read ({error}); it must hold {FORM}"
        ) from error


def _csv(text: str, path: Path) -> list[dict[str, str]]:
    lines = io.StringIO(text, newline="")
    rows = [row for row in csv.reader(lines, skipinitialspace=True) if row]
    if not rows:
        return []
    keys = [key.strip() for key in rows[0]]
    for key in keys:
        if keys.count(key) > 1:
            raise InputError(f"sweep.points={path} has two columns {key!r}; leave one of them out")
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(keys):
            raise InputError(
                f"sweep.points={path}: point {number} has {len(row)} values for {len(keys)} keys; "
                "put quotation marks around values with commas"
            )
    return [dict(zip(keys, map(str.strip, row), strict=True)) for row in rows[1:]]


def _override(key: object, value: Any, path: Path) -> str:
    """A key and its value as a word of the command line."""
    if not isinstance(key, str) or not re.fullmatch(r"[+~]{0,2}[\w./@]+", key):
        raise InputError(f"sweep.points={path}: {key!r} is no key; write it as on the command line")
    if isinstance(value, dict):
        raise InputError(
            f"sweep.points={path}: {key} holds further keys; write {key}.{next(iter(value), 'x')} "
            "as one key"
        )
    if value is None or isinstance(value, (bool, int, float)):
        return f"{key}={json.dumps(value)}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"{key}={json.dumps(list(value))}"
    text = str(value)
    if PLAIN.fullmatch(text) or path.suffix == ".csv":
        return f"{key}={text}"
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"{key}='{quoted}'"
