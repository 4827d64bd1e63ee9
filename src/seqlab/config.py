"""The command line: resolvers, and errors told in a line. Imports nothing heavy."""

from __future__ import annotations

import os
import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from omegaconf import OmegaConf

from seqlab.command import training
from seqlab.config_folders import check_user_folders, groups, options_of
from seqlab.errors import FailedJobsError, InputError, NonFiniteLossError, StorageError
from seqlab.escaping import one_line
from seqlab.hints import (
    check_words,
    missing_key,
    missing_option,
    several_values,
    unknown_key,
)
from seqlab.interrupts import Terminated, interruption, interrupts
from seqlab.overrides import resumed_command
from seqlab.renamed import current_words

FULL_ERROR = "HYDRA_FULL_ERROR"
# Set beside it when it was not the user who set it; the processes that a run starts inherit both.
TELLS_ERRORS = "SEQLAB_TELLS_ERRORS"

HELP = """SeqLab: trains one configuration, tests its best checkpoint, and fills the run's folder.

  {command}                                   BiGRU with attention on magic_token
  {command} data=parity model=lstm            other data, another model
  {command} model.encoder.hidden_size=128     any key that `--cfg job` shows
  {command} -m model=rnn,gru,lstm seed=1,2,3  a sweep

Choose one option of each group with group=option:
{groups}

`{command} --cfg job` shows every key and its value, `--hydra-help` the flags of Hydra.
"""

# Cached, so that a run's folder keeps its name; random, so that two jobs never share one.
OmegaConf.register_new_resolver("short_hash", lambda: secrets.token_hex(3), use_cache=True)


def _run_folder() -> str:
    from hydra.core.hydra_config import HydraConfig

    return HydraConfig.get().runtime.output_dir if HydraConfig.initialized() else "."


# What stands for the run's folder in its config.yaml, so that the folder can be moved and copied;
# the current folder where nothing is run.
OmegaConf.register_new_resolver("run_folder", _run_folder)


def run(main: Callable[..., Any]) -> None:
    """Runs a Hydra main function; what a user can cause ends in one line and exit status 1 or 2.

    `HYDRA_FULL_ERROR=1` shows the traceback instead.
    """
    import_from_working_folder()
    sys.argv[1:] = resumed_command(current_words(sys.argv[1:]))
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(HELP.format(command=training([]), groups="\n".join(_choices())))  # noqa: T201
        return
    with interrupts.heard():
        if wants_traceback():
            check_user_folders()
            main()
            return
        # Hydra would otherwise print errors in its own words and exit.
        os.environ[FULL_ERROR] = os.environ[TELLS_ERRORS] = "1"
        threading.excepthook = _in_thread
        _compose_once()
        try:
            check_user_folders()
            check_words(sys.argv[1:])
            main()
        except (KeyboardInterrupt, SystemExit) as error:
            signal = interruption(error)
            if signal is None:
                raise
            # What there is to go on from has been told.
            sys.exit(143 if isinstance(signal, Terminated) else 1)
        except Exception as error:
            leave(error)


def import_from_working_folder() -> None:
    """Lets a `_target_` be a module of the working folder, behind all that is installed."""
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)


def _compose_once() -> None:
    """Keeps Hydra from composing everything twice: here `-m` alone makes a sweep."""
    if not any("hydra.mode" in word for word in sys.argv):
        from seqlab.private.hydra import skip_mode_lookup

        skip_mode_lookup()


def _in_thread(failed: threading.ExceptHookArgs) -> None:
    """A writer's thread that meets a full disk leaves it to the main thread to tell."""
    if not isinstance(failed.exc_value, OSError):
        threading.__excepthook__(failed)


def wants_traceback() -> bool:
    """Whether the user asked for tracebacks."""
    return os.environ.get(FULL_ERROR) == "1" and TELLS_ERRORS not in os.environ


def tells_errors() -> bool:
    """Whether an error ends this process in a line, as `run` has it; a function raises errors."""
    return TELLS_ERRORS in os.environ


def leave(error: BaseException) -> NoReturn:
    """Tells an error of the user's making in a line and exits; raises any other again."""
    message = explain(error)
    if message is None:
        raise error
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"error: {one_line(message)}", file=sys.stderr)  # noqa: T201
    on_the_way = (NonFiniteLossError, FailedJobsError, StorageError, OSError)
    failed_on_the_way = isinstance(error, on_the_way) or _lost_a_process(error)
    sys.exit(1 if failed_on_the_way and "MissingConfig" not in type(error).__name__ else 2)


def explain(error: BaseException) -> str | None:
    """What to tell the user about an error of his making; None where it is ours."""
    from hydra.errors import HydraException, MissingConfigException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException

    message: str | None = None
    if isinstance(error, MissingConfigException):
        message = missing_option(error) or _first_line(error)
    elif isinstance(error, OverrideParseException):
        message = f"cannot read the override {error.override!r}: {_first_line(error)}"
        if "=" not in error.override:
            message = f"{error.override!r} has no value; write {error.override}=VALUE"
    elif isinstance(error, (HydraException, OmegaConfBaseException)):
        told = unknown_key(error) or several_values(str(error)) or missing_key(error)
        message = told or _first_line(error)
        if message.startswith("Error merging override") and error.__cause__ is not None:
            message = f"{message.split(maxsplit=3)[3].rstrip('.')}: {_first_line(error.__cause__)}"
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
    elif _lacks_memory(error):
        reason = _first_line(error).rstrip(".") or type(error).__name__
        message = (
            f"there is not enough memory ({reason}); lower "
            "loader.batch_size, or the sizes of data or model"
        )
    elif _lost_a_process(error):
        message = (
            "the connection to another process of this run is gone: that process has ended, which "
            "was perhaps killed for want of memory; what it printed stands above"
        )
    return message


def _lacks_memory(error: BaseException) -> bool:
    """Whether NumPy, torch on a CPU or an accelerator asked for more memory than there is."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )


def _lost_a_process(error: BaseException) -> bool:
    """Whether an error is how torch.distributed tells that another process is gone."""
    kinds = ("DistBackendError", "DistNetworkError", "DistStoreError")
    return type(error).__name__ in kinds or (
        isinstance(error, RuntimeError) and "gloo/transport" in str(error)
    )


def _choices() -> Iterator[str]:
    """A line for each group with its options."""
    width = max(map(len, groups())) + 2
    for group in groups():
        yield f"  {group:{width}}{' '.join(options_of(group))}"


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
