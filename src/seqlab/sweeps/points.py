"""The points of a sweep: which overrides each of its jobs gets."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.types import Override

from seqlab.errors import InputError


def points(
    overrides: Sequence[Override],
    tied: Sequence[Sequence[str]] = (),
    given: Sequence[Sequence[Override]] = (),
) -> list[list[str]]:
    """The overrides of every job: the product over keys, with tied keys as one.

    `model=rnn,gru seed=1,2` makes four points; with `tied=[["model", "seed"]]` two, (rnn, 1) and
    (gru, 2).

    Args:
        overrides: the parsed command line; of a key given twice the last one counts.
        tied: groups of swept keys that take their values side by side.
        given: points of a file, each of which meets each point of the product.

    Returns:
        Lists of overrides, the last key varying fastest.

    Raises:
        InputError: a range without steps or without a value in it; a tied key that is not swept or
            tied twice; tied keys with unequal numbers of values; a key of the file that is on the
            command line too, or has several values there.
    """
    _check_given(overrides, given)
    choices = {override.get_key_element(): _values(override) for override in overrides}
    names = {override.get_key_element(): override.key_or_group for override in overrides}
    groups = [_group(group, choices, names) for group in tied]
    tied_keys = list(itertools.chain.from_iterable(groups))
    for key in tied_keys:
        if tied_keys.count(key) > 1:
            raise InputError(f"sweep.zip names {names[key]} twice; tie each key once")
    factors: list[list[tuple[str, ...]]] = []
    for key in choices:
        group = next((group for group in groups if key in group), [key])
        first = next(other for other in choices if other in group)
        if key == first:  # a group stands where its first key does
            factors.append(list(zip(*(choices[member] for member in group), strict=True)))
    grid = [list(itertools.chain.from_iterable(point)) for point in itertools.product(*factors)]
    if not given:
        return grid
    words = [[word for override in point for word in _values(override)] for point in given]
    return [[*point, *rest] for point in words for rest in grid]


def _check_given(overrides: Sequence[Override], given: Sequence[Sequence[Override]]) -> None:
    there = {override.key_or_group for override in overrides}
    for number, point in enumerate(given, start=1):
        for override in point:
            if override.key_or_group in there:
                raise InputError(
                    f"{override.key_or_group} stands in the file of sweep.points and on the "
                    "command line; leave one of them out"
                )
            if override.is_sweep_override():
                raise InputError(
                    f"sweep.points: point {number} sweeps, {override.input_line}; give one value, "
                    "and sweep on the command line"
                )


def _values(override: Override) -> list[str]:
    key = override.get_key_element()
    if not override.is_sweep_override():
        if override.is_delete() and override.value() is None:
            return [key]
        return [f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep():
        raise InputError(
            f"{override.input_line}: a grid needs values; use {key}=1,2,3, choice(…) or "
            "range(start,stop,step)"
        )
    values = [f"{key}={value}" for value in override.sweep_string_iterator()]
    if not values:
        raise InputError(f"{override.input_line} gives no value, and so no job; widen the range")
    return values


def read_ties(zipped: object) -> list[list[str]]:
    """The groups of `sweep.zip`.

    Raises:
        InputError: it is no list of groups of two or more keys.
    """
    if zipped is None:
        return []
    groups: list[Any] = zipped if isinstance(zipped, list) else [zipped]
    if not all(isinstance(group, list) and len(group) > 1 for group in groups):
        told = str(zipped).replace("'", "")
        raise InputError(
            f"sweep.zip={told} must be a list of groups of two or more swept keys; use "
            "'sweep.zip=[[model,data]]'"
        )
    return [[str(key) for key in group] for group in groups]


def _group(group: Sequence[str], choices: dict[str, list[str]], names: dict[str, str]) -> list[str]:
    """The group as keys of `choices`, checked."""
    keys = []
    for name in group:
        key = next((key for key in choices if names[key] == name), None)
        if key is None or len(choices[key]) < 2:
            swept = ", ".join(names[key] for key in choices if len(choices[key]) > 1) or "no key"
            raise InputError(f"sweep.zip ties {name}, which is not swept ({swept} is); add it")
        keys.append(key)
    counts = {name: len(choices[key]) for name, key in zip(group, keys, strict=True)}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise InputError(f"sweep.zip: {told} values; give tied keys equally many")
    return keys
