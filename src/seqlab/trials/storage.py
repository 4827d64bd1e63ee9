"""Where a study is kept: a journal, a file to which every change is appended, or a database."""

from __future__ import annotations

import fcntl
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    IntegrityError,
    NoSuchModuleError,
    ProgrammingError,
    SQLAlchemyError,
)

from seqlab.errors import InputError, StorageError
from seqlab.private.optuna import JournalLock

# Two sweepers that start at once on an empty database both make its tables.
TRIES = 5
SECONDS_TO_WAIT_FOR_A_LOCK = 30
# What Optuna raises for a journal whose lines are not what it writes.
DAMAGED = (AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def open_storage(place: str, *, create: bool = False) -> BaseStorage:
    """Opens a study's storage.

    Args:
        place: the path of a journal, or a database's URL.
        create: make a journal that is not there yet.

    Raises:
        InputError: a URL that is none, or whose driver is not installed.
        StorageError: it cannot be reached.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with reaching(place):
        return _database(place) if is_url(place) else _journal(Path(place), create)


def is_url(place: str) -> bool:
    """Whether a place is a database's, not a journal's."""
    return "://" in place


def told(place: str) -> str:
    """The place as it may be shown: without a password."""
    if not is_url(place):
        return place
    try:
        return make_url(place).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return place.partition("://")[0] + "://…"


@contextmanager
def reaching(place: str) -> Iterator[None]:
    """Turns whatever the libraries below say of a storage that is gone into one clear error.

    Raises:
        StorageError: the storage was locked, gone, or is damaged.
    """
    try:
        yield
    except (SQLAlchemyError, StorageInternalError, JSONDecodeError, OSError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        told_by = getattr(cause, "orig", None) or getattr(cause, "strerror", None) or cause
        reason = str(told_by).strip().partition("\n")[0]
        raise StorageError(
            f"the study's storage {told(place)} cannot be used ({reason})"
        ) from error


def _database(url: str) -> RDBStorage:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise InputError(
            f"hydra.sweeper.storage={told(url)} is neither a path nor a database's URL; use "
            "postgresql://user@host/database, sqlite:////path/of.db, or leave it out"
        ) from error
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    sqlite = parsed.drivername.startswith("sqlite")
    wait = {"connect_args": {"timeout": SECONDS_TO_WAIT_FOR_A_LOCK}}
    options = wait if sqlite else {"pool_pre_ping": True}
    for left in range(TRIES - 1, -1, -1):
        try:
            return RDBStorage(parsed.render_as_string(hide_password=False), engine_kwargs=options)
        except (ImportError, NoSuchModuleError) as error:
            raise InputError(
                f"hydra.sweeper.storage={told(url)} needs a driver that is not installed; "
                "pip install 'seqlab[postgresql]' has that of PostgreSQL"
            ) from error
        except (IntegrityError, ProgrammingError):
            if not left:
                raise
            time.sleep(0.3)
    raise AssertionError


def _journal(path: Path, create: bool) -> JournalStorage:
    if not create and not path.is_file():
        raise FileNotFoundError("there is no such file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            return JournalStorage(JournalFileBackend(str(path), _KernelLock(path)))
        except DAMAGED as error:
            raise StorageError(
                f"the study's storage {path} cannot be used (it is damaged: "
                f"{type(error).__name__}); restore it, or move it away to begin the search anew"
            ) from error


class _KernelLock(JournalLock):
    """Lets one process write at a time; the kernel frees it when its holder is killed.

    A line that a killed writer left half written is cut off before the next one is appended.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def acquire(self) -> bool:
        # Opened for writing without creating it: a journal that is gone is not begun anew.
        self._file = os.open(self.path, os.O_RDWR)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        end = os.fstat(self._file).st_size
        if end and os.pread(self._file, 1, end - 1) != b"\n":
            whole = self.path.read_bytes().rfind(b"\n") + 1
            os.ftruncate(self._file, whole)
        return True

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
