"""Writes files that a crash leaves whole: the old content or the new one, never a part."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

# The checkpoint to go on from, and the one before it, in a run's folder.
LAST, PREVIOUS = Path("checkpoints", "last.ckpt"), Path("checkpoints", "previous.ckpt")


def can_go_on(folder: Path) -> bool:
    """Whether a run's folder has a checkpoint to go on from."""
    return any((folder / name).is_file() for name in (LAST, PREVIOUS))


def write_atomically(path: Path, content: str | bytes | memoryview) -> None:
    """Writes a file so that readers, a crash and a power cut see the old content or the new one.

    The content goes into a file beside it, which is synced to the disk and then renamed.

    Raises:
        OSError: the file cannot be written; the error names it, and the old content is still there.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        # A full disk is found out by a call that knows no name.
        raise type(error)(error.errno, error.strerror, str(path)) from error
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Writes strict JSON atomically.

    JSON has no numbers that are not finite: they become the strings "NaN", "Infinity" and
    "-Infinity", which `seqlab.files.number_of` reads. What is no value of JSON becomes its text.

    Raises:
        OSError: as `write_atomically`.
    """
    text = json.dumps(_strict(content), indent=2, default=str, allow_nan=False)
    write_atomically(path, text + "\n")


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def sync_folder(folder: Path) -> None:
    """Syncs the names in a folder to the disk, so that a renaming outlives a power cut."""
    if os.name == "nt":  # Windows opens no folders
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
