"""Objects from nodes of the configuration, whose values are checked against annotated types."""

from __future__ import annotations

import difflib
import inspect
import re
import types
import typing
from collections.abc import Callable
from functools import partial
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import OmegaConf

from seqlab.errors import InputError


def instantiate(node: Any, key: str) -> Any:
    """Makes what a node of the configuration describes; None for an empty node.

    Args:
        node: the node, with `_target_`.
        key: where it stands in the configuration, for messages.

    Raises:
        InputError: a value of the wrong type, an unknown or a missing argument.
    """
    if not node:
        return None
    values: Any = OmegaConf.to_container(node, resolve=True)
    # Checked as a whole first: then what goes wrong inside is the target's own error, unwrapped.
    _check(values, OmegaConf.to_container(node, resolve=False), key)
    try:
        made = hydra_instantiate(values, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__ or error
        raise _ours(key, cause) if _is_foreign(values) else cause from error
    if isinstance(made, partial) and _is_foreign(values):
        return partial(_call_foreign, key, made)
    return made


def locate(target: str, key: str) -> Any:
    """The class or function of that dotted path.

    Args:
        target: the dotted path.
        key: where it stands in the configuration, for messages.

    Raises:
        InputError: there is none.
    """
    try:
        return get_object(target)
    except Exception as error:
        reason = str(error.__cause__ or error).strip().partition("\n")[0].rstrip(".")
        raise InputError(f"{key}={target!r} cannot be imported: {reason}") from error


def _is_foreign(values: dict[str, Any]) -> bool:
    return not values.get("_target_", "seqlab.").startswith("seqlab.")


def _call_foreign(key: str, make: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Calls another library's constructor; the values it refuses are the user's."""
    try:
        return make(*args, **kwargs)
    except Exception as error:
        raise _ours(key, error) from error


def _ours(key: str, error: BaseException) -> BaseException:
    """Another library's complaint about a value as our error; anything else as it is."""
    known = isinstance(error, (ValueError, TypeError)) or "Misconfiguration" in type(error).__name__
    if not known or isinstance(error, InputError):
        return error
    message = str(error).strip().partition("\n")[0].rstrip("!.")
    if "accelerator" in message or "backend" in message:
        message += "; use trainer.accelerator=auto, or cpu"
    return InputError(f"{key}: {message}")


def _check(values: Any, written: Any, key: str) -> None:
    """Checks names and types of the arguments of every target below.

    Args:
        values: the resolved values.
        written: the same as written, which names the key that the user sets where a value is
            taken from there.
        key: where they stand.
    """
    if isinstance(values, list):
        for number, value in enumerate(values):
            _check(value, value, f"{key}[{number}]")
        return
    if not isinstance(values, dict):
        return
    if not isinstance(written, dict):
        written = values
    for name, value in values.items():
        _check(value, written[name], f"{key}.{name}")
    if "_target_" not in values:
        return
    target = locate(values["_target_"], f"{key}._target_")
    parameters = inspect.signature(target).parameters
    hints = _hints(target)
    sink = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name, value in values.items():
        if name in ("_target_", "_partial_"):
            continue
        if name not in parameters and not sink:
            close = difflib.get_close_matches(name, parameters, 1)
            hint = f"did you mean {key}.{close[0]}?" if close else f"it has {_names(parameters)}"
            raise InputError(f"{key}.{name} is not a setting of {target.__name__}; {hint}")
        if name in hints and not fits(value, hints[name]):
            source = re.fullmatch(r"\$\{([\w.]+)\}", str(written[name]))
            place = source[1] if source else f"{key}.{name}"
            raise InputError(f"{place}={value!r} must be {told(hints[name])}")
    if not values.get("_partial_"):
        missing = [
            name
            for name, parameter in parameters.items()
            if parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            and name not in values
        ]
        if missing:
            raise InputError(f"{key} lacks {', '.join(missing)}, which {target.__name__} needs")


def _hints(target: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except (NameError, TypeError):  # annotations that only a type checker can resolve
        return {}


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain value from YAML is of the annotated type."""
    from beartype import BeartypeConf
    from beartype.door import is_bearable
    from beartype.roar import BeartypeException

    if isinstance(value, dict):
        return True  # a node that becomes an object
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return True
    if isinstance(value, bool) and not _allows_bool(hint):
        return False
    conf = BeartypeConf(is_pep484_tower=True)
    # YAML has no tuples.
    forms = (value, tuple(value)) if isinstance(value, list) else (value,)
    try:
        return any(is_bearable(form, hint, conf=conf) for form in forms)
    except BeartypeException:  # a hint that cannot be checked at run time
        return True


def _allows_bool(hint: Any) -> bool:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(_allows_bool(part) for part in typing.get_args(hint))
    return hint not in (int, float)


def told(hint: Any) -> str:
    """A type in words."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(told(part) for part in typing.get_args(hint)))
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(str(value) for value in typing.get_args(hint))
    words = {
        int: "a whole number",
        float: "a number",
        str: "text",
        bool: "true or false",
        type(None): "null",
    }
    name = getattr(hint, "__name__", str(hint))
    return words.get(hint, f"a {name.lower()}" if hint is not typing.Any else "anything")


def _names(parameters: Any) -> str:
    return ", ".join(name for name in parameters if name not in ("self", "kwargs"))
