"""Reads text, JSON and YAML that users and runs left; nothing read is ever executed."""

from __future__ import annotations

import codecs
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seqlab.errors import InputError

# Collections within collections of a JSON or YAML file, and values of a YAML file once its aliases
# are followed: far more than any configuration has.
MOST_DEPTH, MOST_VALUES = 50, 1_000_000


def read_text(path: str | Path, *, encoding: str = "utf-8", setting: str = "") -> str:
    """The text of a user's file, without a byte order mark; line ends stay as they are.

    Args:
        path: the file.
        encoding: its encoding.
        setting: the key that sets the encoding, for errors; empty where only UTF-8 is read.

    Raises:
        InputError: no such file, an unknown encoding, or bytes that are no text in it.
    """
    file = Path(path)
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}; check the path") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({reason}); give the path of a file") from error
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except LookupError as error:
        raise InputError(
            f"{setting or 'encoding'}={encoding!r} is no encoding of text; use utf-8, utf-16, "
            "latin-1 or cp1252"
        ) from error
    except UnicodeError as error:
        line = content[: getattr(error, "start", 0)].count(b"\n") + 1
        remedy = "save it in UTF-8"
        if setting:
            marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            likely = "utf-16" if marked else "latin-1"
            remedy += f", or give its encoding, such as {setting}={likely}"
        raise InputError(
            f"{path}, line {line}, is no text in {encoding.upper()}; {remedy}"
        ) from error


def split_lines(text: str) -> list[str]:
    r"""The lines of a text. Only `\n` and `\r\n` end a line; U+2028 and others are characters."""
    lines = text.split("\n")
    if not lines[-1]:
        del lines[-1]
    return [line.removesuffix("\r") for line in lines]


def parse_json(text: str) -> Any:
    """What a JSON text holds.

    Raises:
        ValueError: it is no JSON, nested too deeply, or gives a mapping the same key twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_mapping)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def number_of(value: Any) -> Any:
    """A value of a record; the strings that `seqlab.saving.write_json` writes are numbers again."""
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _check_unique([key for key, _ in pairs])
    return dict(pairs)


def _check_unique(keys: Sequence[Any]) -> None:
    """Raises ValueError for a key that stands twice: readers would silently drop the first."""
    seen: set[str] = set()
    for key in map(str, keys):
        if key in seen:
            raise ValueError(f"the key {key!r} stands twice in one mapping; leave one out")
        seen.add(key)


def parse_yaml(text: str | bytes) -> Any:
    """What a YAML text holds: plain values, lists and mappings; no tag makes an object.

    Raises:
        ValueError: it is no YAML, nested too deeply, its aliases stand for too much, or a mapping
            has the same key twice.
    """
    import yaml

    # The loader in C is ten times quicker, where it was built.
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(loader):
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            _check_unique([key.value for key, _ in node.value])
            return super().construct_mapping(node, deep)

    try:
        _check_size(yaml.parse(text, loader))
        return yaml.load(text, Loader)
    except (yaml.YAMLError, UnicodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise ValueError(f"it is no YAML{where}") from error


def _check_size(events: Any) -> None:
    """Bounds depth and size before anything is built, since aliases may stand for billions."""
    import yaml

    sizes = [0]  # of the collections that are open, from the outside in
    anchors: list[str | None] = [None]
    known: dict[str, int] = {}
    for event in events:
        if isinstance(event, yaml.events.CollectionStartEvent):
            sizes.append(1)
            anchors.append(event.anchor)
            if len(sizes) > MOST_DEPTH:
                raise ValueError("it is nested too deeply")
        elif isinstance(event, yaml.events.CollectionEndEvent):
            size, anchor = sizes.pop(), anchors.pop()
            sizes[-1] += size
            if anchor is not None:
                known[anchor] = size
        elif isinstance(event, yaml.events.ScalarEvent):
            sizes[-1] += 1
            if event.anchor is not None:
                known[event.anchor] = 1
        elif isinstance(event, yaml.events.AliasEvent):
            if event.anchor in anchors:
                raise ValueError(f"*{event.anchor} stands for what it is part of")
            sizes[-1] += known.get(event.anchor, 1)
        if sizes[-1] > MOST_VALUES:
            raise ValueError("its aliases stand for too many values")
