"""One sweep at a time in a folder."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from seqlab.errors import InputError

LOCK = ".lock"


@contextmanager
def sweep_lock(folder: Path) -> Iterator[None]:
    """Holds the folder's lock, a file that names its owner, and takes over that of a dead one.

    The file itself is locked only while it is read and written, so that processes which outlive
    their sweep (a loader's workers after `kill -9`) do not hold it.

    Raises:
        InputError: another sweep that is alive, or on another machine, holds it.
    """
    path = folder / LOCK
    with _exclusive(path) as file:
        owner = _read(file)
        if owner is not None and _may_live(owner):
            raise InputError(_told(owner, folder))
        _write(file, _self())
    try:
        yield
    finally:
        with _exclusive(path) as file:
            if _read(file) == _self():
                _write(file, None)


@contextmanager
def _exclusive(path: Path) -> Iterator[IO[str]]:
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _read(file: IO[str]) -> dict[str, Any] | None:
    file.seek(0)
    try:
        owner = json.loads(file.read())
    except (ValueError, RecursionError):  # empty: free; cut off: its writer died
        return None
    return owner if isinstance(owner, dict) and {"pid", "host", "began"} <= owner.keys() else None


def _write(file: IO[str], owner: dict[str, Any] | None) -> None:
    file.seek(0)
    file.truncate()
    if owner is not None:
        file.write(json.dumps(owner))
    file.flush()
    os.fsync(file.fileno())


def _self() -> dict[str, Any]:
    me = Process.current()
    return {"pid": me.pid, "host": platform.node(), "began": me.began}


@dataclass(frozen=True)
class Process:
    """A process of this machine.

    Attributes:
        pid: its number.
        began: when it began, since numbers are used again; None where the system does not tell.
    """

    pid: int
    began: str | None

    @classmethod
    def current(cls) -> Process:
        return cls(os.getpid(), _began(os.getpid()))

    def lives(self) -> bool:
        """Whether it is still there; a zombie is not."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return self.began is None or self.began == _began(self.pid)


def _began(pid: int) -> str | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()
    return None if state == "Z" else fields[18]


def _may_live(owner: dict[str, Any]) -> bool:
    """Whether the owner may still be at work; of another machine's that cannot be known."""
    return owner["host"] != platform.node() or Process(owner["pid"], owner["began"]).lives()


def _told(owner: dict[str, Any], folder: Path) -> str:
    who = f"process {owner['pid']} on {owner['host']}"
    if owner["host"] == platform.node():
        remedy = "wait for it to end, or choose another folder with hydra.sweep.dir=PATH"
    else:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime((folder / LOCK).stat().st_mtime))
        remedy = (
            f"it began {since}; if it is dead, delete {folder / LOCK}, or choose another folder "
            "with hydra.sweep.dir=PATH"
        )
    return f"hydra.sweep.dir={folder} is in use by another sweep, {who}; {remedy}"
