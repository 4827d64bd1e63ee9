"""Where configuration files come from: SeqLab's own folder, and those of the user."""

from __future__ import annotations

import filecmp
from pathlib import Path

from seqlab.command import composing_flags
from seqlab.errors import InputError

# In the repository a link to the top-level conf/; in an installed package the folder itself.
CONF = Path(__file__).parent / "conf"


def user_folders() -> list[Path]:
    """The user's own: `conf/` in the working folder, and what `--config-dir` names.

    Raises:
        InputError: `--config-dir` names no folder.
    """
    folders = []
    working = Path("conf").absolute()
    if working.is_dir() and not working.samefile(CONF):
        folders.append(working)
    words = iter(composing_flags())
    for word in words:
        name, equals, value = word.partition("=")
        if name in ("--config-dir", "-cd"):
            folder = Path(value if equals else next(words, ""))
            if not folder.is_dir():
                raise InputError(f"--config-dir {folder}: there is no such folder")
            folders.append(folder.absolute())
    return folders


def check_user_folders() -> None:
    """Refuses a user's file that would never be read, as one of SeqLab's has its name.

    Raises:
        InputError: there is one, or `--config-dir` names no folder.
    """
    for folder in user_folders():
        for path in sorted(folder.rglob("*.yaml")):
            ours = CONF / path.relative_to(folder)
            if ours.is_file() and not filecmp.cmp(ours, path, shallow=False):
                raise InputError(
                    f"{path}: SeqLab has a file of this name, which would be read instead; rename "
                    f"yours, and choose it by its new name"
                )


def groups() -> list[str]:
    """All config groups."""
    found = {
        str(path.relative_to(folder))
        for folder in (CONF, *user_folders())
        for path in folder.rglob("*")
        if path.is_dir() and path.relative_to(folder).parts[0] != "hydra"
    }
    return sorted(found)


def options_of(group: str) -> list[str]:
    """The options of a group; those that start with `_` are parts of others."""
    folders = (CONF, *user_folders())
    return sorted({path.stem for f in folders for path in (f / group).glob("[!_]*.yaml")})
