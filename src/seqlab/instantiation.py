"""Objects from nodes of the configuration, whose values are checked against annotated types."""

from __future__ import annotations

import difflib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from inspect import Parameter
from typing import Any, NoReturn

from hydra.errors import InstantiationException
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import DictConfig, OmegaConf

from seqlab.errors import ArgumentError, InputError, SectionError
from seqlab.hints import choice_for
from seqlab.value_types import OBJECT, annotated_types, fits, is_finite, shown, told


def instantiate(node: Any, key: str, *, optional: bool = False) -> Any:
    """Makes what a node of the configuration describes.

    Args:
        node: the node, with `_target_`.
        key: where it stands in the configuration, for messages.
        optional: an empty node or null makes None.

    Raises:
        InputError: no node, a value of the wrong type, an unknown or a missing argument.
    """
    if optional and (node is None or node == {}):
        return None
    _check_section(node, key, optional=optional)
    values: Any = OmegaConf.to_container(node, resolve=True)
    # Checked as a whole first: then what goes wrong inside is the target's own error, unwrapped.
    _check(values, OmegaConf.to_container(node, resolve=False), key)
    return _make(values, key)


def _make(values: Any, key: str) -> Any:
    """Makes what plain values describe: every target below, the innermost first."""
    if isinstance(values, list):
        return [_make(value, f"{key}[{number}]") for number, value in enumerate(values)]
    if not isinstance(values, dict):
        return values
    if "_target_" not in values:
        return {name: _make(value, f"{key}.{name}") for name, value in values.items()}
    target = locate(values["_target_"], f"{key}._target_")
    # Hydra would turn dataclasses that it is handed into nodes, and says whatever goes wrong below
    # in its own words: it gets plain values, and Python the objects made of the nodes below.
    objects = {name: _make(v, f"{key}.{name}") for name, v in values.items() if _has_target(v)}
    plain = {name: value for name, value in values.items() if name not in objects}
    try:
        make = hydra_instantiate(plain | {"_partial_": True}, _convert_="all")
    except InstantiationException as error:
        raise InputError(f"{key}: {error.__cause__ or error}") from error
    layer = str(target.__module__).startswith("seqlab.nn.")
    names = inspect.signature(target).parameters
    call = placed(key, names, partial(make, **objects), all_errors=layer)
    if _is_foreign(values):
        call = partial(_call_foreign, key, call)
    return call if values.get("_partial_") else call()


def _has_target(value: Any) -> bool:
    """Whether a value becomes an object, or holds one that does."""
    if isinstance(value, dict):
        return "_target_" in value or any(map(_has_target, value.values()))
    return isinstance(value, list) and any(map(_has_target, value))


def placed(
    key: str, names: Iterable[str], make: Callable[..., Any], *, all_errors: bool = False
) -> Callable[..., Any]:
    """A constructor whose errors say where its arguments stand in the configuration.

    Args:
        key: the section with its settings.
        names: its arguments.
        make: the constructor. Arguments that are handed over when it is called do not stand in this
            section.
        all_errors: the constructor is a layer's, which never says where it stands itself: so its
            errors that are of no single argument are given the section too.
    """
    return partial(_call_placed, key, frozenset(names), all_errors, make)


def _call_placed(
    key: str,
    names: frozenset[str],
    all_errors: bool,
    make: Callable[..., Any],
    /,
    *args: Any,
    **kwargs: Any,
) -> Any:
    try:
        return make(*args, **kwargs)
    except ArgumentError as error:
        named = error if error.name in kwargs else error.within(key, names)
        if named is error:  # an error that is its own cause would be looked through forever
            raise
        raise named from error
    except InputError as error:
        if not all_errors or isinstance(error, SectionError):
            raise
        raise SectionError(f"{key}: {error}") from error


def _check_section(node: Any, key: str, *, optional: bool) -> None:
    """Raises InputError unless a node can become an object."""
    if isinstance(node, DictConfig) and isinstance(node.get("_target_"), str):
        return
    if node is None or isinstance(node, DictConfig):
        wrong = f"{key} is missing" if node is None else f"{key} lacks its _target_"
    else:
        wrong = f"{key}={shown(node)} is one value, but {key} must be a section with _target_"
    value = None if isinstance(node, DictConfig) else node
    remedies = [None if optional and value is None else choice_for(key, value)]
    if optional:
        remedies.append(f"{key}=null to leave it out")
    raise InputError(f"{wrong}; use {', or '.join(filter(None, remedies)) or 'one'}")


def locate(target: str, key: str) -> Any:
    """The class or function of that dotted path.

    Args:
        target: the dotted path.
        key: where it stands in the configuration, for messages.

    Raises:
        InputError: there is none.
    """
    try:
        found = pkgutil.resolve_name(target)
    except ModuleNotFoundError as error:
        if error.name is None or not target.startswith(error.name.split(".")[0]):
            reason = f"to import it needs {error.name}, which is not installed"
        else:
            reason = f"there is no module {error.name}; install it, or add its folder to PYTHONPATH"
    except ImportError as error:
        reason = f"it cannot be imported: {error}"
    except (AttributeError, ValueError):
        module, _, name = target.rpartition(".")
        reason = f"{module or 'it'} has no {name}"
        with suppress(ImportError, AttributeError, ValueError):
            close = difflib.get_close_matches(name, dir(pkgutil.resolve_name(module)), 1)
            reason += f"; did you mean {module}.{close[0]}?" if close else "; correct the name"
    else:
        if callable(found):
            return found
        reason = "it is no class or function; name one"
    raise InputError(f"{key}={target!r}: {reason}")


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
    # ModuleNotFoundError: Lightning's, for an accelerator or precision whose package is missing.
    kinds = (ValueError, TypeError, ModuleNotFoundError)
    known = isinstance(error, kinds) or "Misconfiguration" in type(error).__name__
    if not known or isinstance(error, InputError):
        return error
    message = str(error).strip().partition("\n")[0].rstrip("!.")
    if isinstance(error, ModuleNotFoundError):
        message += "; install it, or use trainer.accelerator=auto and trainer.precision=32-true"
    elif "accelerator" in message or "backend" in message:
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
    arguments = {name: v for name, v in values.items() if name not in ("_target_", "_partial_")}
    _check_names(arguments, parameters, target, key)
    if values.get("_partial_"):
        _check_given(arguments, parameters, key)
    else:
        _check_complete(arguments, parameters, target, key)
    try:
        hints = annotated_types(target)
    except (NameError, TypeError):  # annotations that only a type checker can resolve
        return
    for name, value in arguments.items():
        if name in hints and not fits(value, hints[name]):
            source = re.fullmatch(r"\$\{([\w.]+)\}", str(written[name]))
            refuse_type(source[1] if source else f"{key}.{name}", value, hints[name])


def refuse_type(key: str, value: Any, hint: Any) -> NoReturn:
    """Raises InputError for a value that is not of the type that its key needs."""
    if not is_finite(value):
        raise InputError(f"{key}={shown(value)} must be finite")
    choice = choice_for(key, value) if told(hint).startswith(OBJECT) else None
    remedy = f"; use {choice}" if choice else ""
    raise InputError(f"{key}={shown(value)} must be {told(hint)}{remedy}")


def _check_names(
    arguments: Mapping[str, Any], parameters: Mapping[str, Parameter], target: Any, key: str
) -> None:
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for name in arguments:
        if name not in parameters:
            close = difflib.get_close_matches(name, parameters, 1)
            hint = f"did you mean {key}.{close[0]}?" if close else f"it has {_names(parameters)}"
            raise InputError(f"{key}.{name} is not a setting of {target.__name__}; {hint}")


def _check_given(
    arguments: Mapping[str, Any], parameters: Mapping[str, Parameter], key: str
) -> None:
    """Refuses what the caller of a constructor gives in any case: its first arguments."""
    for name in arguments:
        parameter = parameters.get(name)
        if parameter is None or parameter.default is not parameter.empty:
            continue
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            raise InputError(f"{key}.{name} follows from the other settings; leave it out")


def _check_complete(
    arguments: Mapping[str, Any], parameters: Mapping[str, Parameter], target: Any, key: str
) -> None:
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and name not in arguments
    ]
    if missing:
        raise InputError(f"{key} lacks {', '.join(missing)}, which {target.__name__} needs")


def _names(parameters: Any) -> str:
    return ", ".join(name for name in parameters if name not in ("self", "kwargs"))
