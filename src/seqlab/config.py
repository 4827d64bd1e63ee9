"""The command line: resolvers, and errors told in a line. Imports nothing heavy."""

from __future__ import annotations

import difflib
import os
import re
import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from omegaconf import DictConfig, OmegaConf

from seqlab.errors import FailedJobsError, InputError, NonFiniteLossError, StorageError

CONF = Path(__file__).parents[2] / "conf"
FULL_ERROR = "HYDRA_FULL_ERROR"
# Set beside it when it was not the user who set it; the processes that a run starts inherit both.
TELLS_ERRORS = "SEQLAB_TELLS_ERRORS"

HELP = """SeqLab: trains one configuration, tests its best checkpoint, and fills the run's folder.

  python train.py                                   BiGRU with attention on magic_token
  python train.py data=parity model=lstm            other data, another model
  python train.py model.encoder.hidden_size=128     any key that `--cfg job` shows
  python train.py -m model=rnn,gru,lstm seed=1,2,3  a sweep

Choose one option of each group with group=option:
{groups}

`python train.py --cfg job` shows every key and its value, `--hydra-help` the flags of Hydra.
"""

# Cached, so that a run's folder keeps its name; random, so that two jobs never share one.
OmegaConf.register_new_resolver("short_hash", lambda: secrets.token_hex(3), use_cache=True)


def run(main: Callable[..., Any]) -> None:
    """Runs a Hydra main function; what a user can cause ends in one line and exit status 1 or 2.

    `HYDRA_FULL_ERROR=1` shows the traceback instead.
    """
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(HELP.format(groups="\n".join(_choices())))  # noqa: T201
        return
    if wants_traceback():
        main()
        return
    # Hydra would otherwise print errors in its own words and exit.
    os.environ[FULL_ERROR] = os.environ[TELLS_ERRORS] = "1"
    threading.excepthook = _in_thread
    _compose_once()
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(1)  # what there is to go on from has been told
    except Exception as error:
        leave(error)


def _compose_once() -> None:
    """Keeps Hydra from composing everything beforehand only to look up `hydra.mode`.

    That would be a third of the time to an answer; here `-m` alone makes a sweep.
    """
    from hydra._internal.hydra import Hydra

    if not any("hydra.mode" in word for word in sys.argv):
        Hydra.get_mode = lambda *_, **__: None


def _in_thread(failed: threading.ExceptHookArgs) -> None:
    """A writer's thread that meets a full disk leaves it to the main thread to tell."""
    if not isinstance(failed.exc_value, OSError):
        threading.__excepthook__(failed)


def wants_traceback() -> bool:
    """Whether the user asked for tracebacks."""
    return os.environ.get(FULL_ERROR) == "1" and TELLS_ERRORS not in os.environ


def leave(error: BaseException) -> NoReturn:
    """Tells an error of the user's making in a line and exits; raises any other again."""
    message = explain(error)
    if message is None:
        raise error
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"error: {message}", file=sys.stderr)  # noqa: T201
    on_the_way = (NonFiniteLossError, FailedJobsError, StorageError, OSError)
    failed_on_the_way = isinstance(error, on_the_way)
    sys.exit(1 if failed_on_the_way and "MissingConfig" not in type(error).__name__ else 2)


def explain(error: BaseException) -> str | None:
    """What to tell the user about an error of his making; None where it is ours."""
    from hydra.errors import HydraException, MissingConfigException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException

    message: str | None = None
    if isinstance(error, MissingConfigException):
        message = _missing_option(error)
    elif isinstance(error, OverrideParseException):
        message = f"cannot read the override {error.override!r}: {_first_line(error)}"
    elif isinstance(error, (HydraException, OmegaConfBaseException)):
        message = _unknown_key(error) or _first_line(error)
    elif isinstance(error, (InputError, NonFiniteLossError, FailedJobsError, StorageError)):
        message = str(error)
    elif isinstance(error, OSError) and error.strerror:
        place = f" {error.filename!r}" if error.filename else ""
        message = (
            f"cannot read or write{place}: {error.strerror}; free some space, or choose another "
            "folder with hydra.run.dir=PATH (a sweep: hydra.sweep.dir=PATH)"
        )
    elif type(error).__name__ == "MisconfigurationException":
        message = _first_line(error)
    return message


def _missing_option(error: Any) -> str:
    group, _, name = str(error.missing_cfg_file or "").rpartition("/")
    options = [option for option in error.options or [] if not option.startswith("_")]
    if not options:
        return _first_line(error)
    return f"{group}={name} does not exist{nearest(name, options)} one of {', '.join(options)}"


def _unknown_key(error: BaseException) -> str | None:
    """Names the nearest key or group for an override that fits nothing."""
    message = str(error)
    match = re.search(r"Could not override '([^']+)'", message)
    if match is None:
        return None
    key = match[1].partition("@")[0]
    composed = _root(error)
    if "/" in key or composed is None:
        return f"{key} is not a config group{nearest(key, groups(), 'the groups are')}"
    keys = list(keys_of(composed))
    parent, _, leaf = key.rpartition(".")
    siblings = [name for name in keys if name.rpartition(".")[0] == parent]
    elsewhere = [name for name in keys if name.rpartition(".")[2] == leaf]
    close = difflib.get_close_matches(leaf, [name.rpartition(".")[2] for name in siblings], 1)
    if close:
        hint = f"did you mean {'.'.join(filter(None, (parent, close[0])))}?"
    elif elsewhere:
        hint = f"did you mean {' or '.join(elsewhere[:3])}?"
    elif siblings:
        hint = (
            f"{parent or 'the top level'} has {', '.join(s.rpartition('.')[2] for s in siblings)}"
        )
    else:
        hint = "`python train.py --cfg job` shows all"
    return f"{key} is not a setting; {hint}"


def _root(error: BaseException) -> DictConfig | None:
    """The configuration that an override did not fit."""
    cause = error.__cause__
    node = getattr(cause, "parent_node", None)
    return None if node is None else node._get_root()


def nearest(name: str, options: list[str], otherwise: str = "use") -> str:
    """A hint at the nearest option, and the options where none is near."""
    close = difflib.get_close_matches(name, options, 1, 0.5)
    if close and otherwise == "use":
        return f"; did you mean {close[0]}? Use"
    if close:
        return f"; did you mean {close[0]}?"
    return f"; {otherwise} {', '.join(options[:20])}" if otherwise != "use" else "; use"


def groups() -> list[str]:
    """All config groups."""
    folders = (path.relative_to(CONF) for path in CONF.rglob("*") if path.is_dir())
    return sorted(str(path) for path in folders if path.parts[0] != "hydra")


def _choices() -> Iterator[str]:
    """A line for each group with its options; those that start with `_` are parts of others."""
    width = max(map(len, groups())) + 2
    for group in groups():
        names = sorted(path.stem for path in (CONF / group).glob("[!_]*.yaml"))
        yield f"  {group:{width}}{' '.join(names)}"


def keys_of(node: DictConfig, prefix: str = "") -> Iterator[str]:
    """Every key below a node, as it is written on the command line."""
    for key, child in node._content.items():  # type: ignore[union-attr]
        yield f"{prefix}{key}"
        if isinstance(child, DictConfig) and not child._is_none() and not child._is_missing():
            yield from keys_of(child, f"{prefix}{key}.")


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """A resolved configuration as one level of dotted keys; lists as text."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            simple = isinstance(value, (bool, int, float, str))
            flat[f"{prefix}{key}"] = value if simple else str(value)
    return flat


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") + "."
