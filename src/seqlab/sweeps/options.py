"""Checks of what `hydra.launcher` is given."""

from __future__ import annotations

from typing import Any

from seqlab.errors import InputError


def whole(name: str, value: Any, minimum: int = 1) -> int:
    """The value of `hydra.launcher.NAME` as a whole number.

    Raises:
        InputError: it is none, or too small.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise InputError(
            f"hydra.launcher.{name}={value} must be a whole number, at least {minimum}"
        )
    return value


def number(name: str, value: Any, above: float = 0) -> float:
    """The value of `hydra.launcher.NAME` as a number greater than `above`.

    Raises:
        InputError: it is none, or too small.
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not value > above:
        raise InputError(f"hydra.launcher.{name}={value} must be a number greater than {above:g}")
    return value


def text(name: str, value: Any) -> str:
    """The value of `hydra.launcher.NAME` as text.

    Raises:
        InputError: it is none.
    """
    if not isinstance(value, str) or not value:
        raise InputError(f"hydra.launcher.{name}={value} must be text")
    return value
