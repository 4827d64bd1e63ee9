"""Plain values of the configuration against annotated types."""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    Path: "a path",
    type(None): "null",
    Any: "anything",
}
PLAIN = {int, float, str, bool, Path, type(None)}
OBJECT = "a section with _target_"
SEQUENCES = (list, tuple, collections.abc.Sequence, collections.abc.Iterable)
PLURALS = {int: "whole numbers", float: "numbers", str: "texts"}


def value_at(config: DictConfig, key: str) -> Any:
    """The value at a dotted key; None where there is none, as within a value that is no section."""
    try:
        return OmegaConf.select(config, key)
    except OmegaConfBaseException:
        return None


def annotated_types(target: Any) -> dict[str, Any]:
    """The annotated type of each argument of a class or function.

    Raises:
        NameError: an annotation that only a type checker can resolve.
    """
    parameters = inspect.signature(target).parameters
    if dataclasses.is_dataclass(target) and "__init__" in vars(target):
        # Its fields may be inherited; each annotation belongs to the module that wrote it.
        hints = typing.get_type_hints(target)
    elif inspect.isclass(target):
        hints = typing.get_type_hints(target.__init__)
    else:
        hints = typing.get_type_hints(target)
    return {name: hints[name] for name in parameters if name in hints}


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain value from YAML is of the annotated type; numbers must be finite."""
    from beartype import BeartypeConf
    from beartype.door import is_bearable
    from beartype.roar import BeartypeException

    leaves = list(_leaves(value))
    kinds = set(_innermost(hint))
    if any(isinstance(leaf, dict) for leaf in leaves):
        # A section with `_target_`: what it makes is checked where it is used.
        return not kinds <= PLAIN
    if not is_finite(value):
        return False
    if any(isinstance(leaf, bool) for leaf in leaves) and not {Any, object, bool} & kinds:
        return False  # to Python, true is the whole number 1
    conf = BeartypeConf(is_pep484_tower=True)
    # YAML has no tuples.
    forms = (value, tuple(value)) if isinstance(value, list) else (value,)
    try:
        return any(is_bearable(form, hint, conf=conf) for form in forms)
    except BeartypeException:  # a hint that cannot be checked at run time
        return True


def is_finite(value: Any) -> bool:
    """Whether a value holds neither NaN nor an infinite number."""
    return all(math.isfinite(leaf) for leaf in _leaves(value) if isinstance(leaf, float))


def told(hint: Any) -> str:
    """A type in words."""
    words = dict.fromkeys(_word(part) for part in _with_one_literal(hint))
    plain = [word for word in words if word not in (OBJECT, "null")]
    if plain:  # what only Python code can give is not worth telling
        words = [word for word in words if word != OBJECT]
    return " or ".join(words)


def _with_one_literal(hint: Any) -> Iterator[Any]:
    """The alternatives of a type, the values of all its Literals listed in the first one."""
    found = [part for part in parts(hint) if typing.get_origin(part) is typing.Literal]
    values = {str(value): value for part in found for value in typing.get_args(part)}
    for part in parts(hint):
        if part not in found:
            yield part
        elif part is found[0]:
            yield typing.Literal[tuple(values.values())]


def shown(value: Any) -> str:
    """A value as it is written on the command line."""
    words = {True: "true", False: "false", None: "null"}
    if value is None or isinstance(value, bool):
        return words[value]
    return f"[{', '.join(map(shown, value))}]" if isinstance(value, list) else repr(value)


def _word(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in WORDS:
        return WORDS[hint]
    if origin is typing.Literal:
        return "one of " + ", ".join(str(value) for value in arguments)
    if origin is tuple and Ellipsis not in arguments:
        return f"a list of {len(arguments)} {PLURALS.get(_plain(arguments[0]), 'values')}"
    if origin in SEQUENCES and arguments:
        return f"a list of {PLURALS.get(arguments[0], told(arguments[0]))}"
    if (origin or hint) in (dict, collections.abc.Mapping):
        return "a mapping"
    return OBJECT


def _plain(hint: Any) -> Any:
    """The first alternative of a type that YAML can give."""
    return next((part for part in parts(hint) if part in PLAIN), hint)


def parts(hint: Any) -> Iterator[Any]:
    """The alternatives of a type."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        for part in typing.get_args(hint):
            yield from parts(part)
    else:
        yield hint


def _innermost(hint: Any) -> Iterator[Any]:
    """The types that a type is written with, and those of a Literal's values."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        yield from map(type, arguments)
    elif arguments and typing.get_origin(hint) is not collections.abc.Callable:
        for part in arguments:
            yield from _innermost(part)
    else:
        yield hint


def _leaves(value: Any) -> Iterator[Any]:
    """The values in nested lists; of plain mappings theirs, of sections themselves."""
    if isinstance(value, dict) and "_target_" not in value:
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value
