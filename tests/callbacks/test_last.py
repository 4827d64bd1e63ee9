"""The last checkpoint outlives kills, full disks and damage."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
import torch

from seqlab.callbacks.last import keep_previous
from seqlab.errors import InputError
from seqlab.runs.checkpoint import find_checkpoint
from seqlab.saving import write_atomically
from tests.conftest import SHORT, SMALL

RUN = ("model=gru", "logger=none", *SMALL, *SHORT)


def save(path: Path, step: int) -> None:
    torch.save({"state_dict": {}, "global_step": step}, path)


def step_of(path: Path | None) -> int:
    assert path is not None
    return torch.load(path, weights_only=True)["global_step"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    save(tmp_path / "checkpoints" / "last.ckpt", 2)
    save(tmp_path / "checkpoints" / "previous.ckpt", 1)
    return tmp_path


@pytest.mark.parametrize("size", [0, 1, 500, None])
def test_a_damaged_last_falls_back_to_the_one_before_and_says_so(folder, capsys, size):
    last = folder / "checkpoints" / "last.ckpt"
    if size is None:
        last.unlink()
    else:
        os.truncate(last, size)
    assert step_of(find_checkpoint("last", folder)) == 1
    assert "previous.ckpt, the checkpoint before it" in capsys.readouterr().err


def test_a_good_last_is_used_without_a_word(folder, capsys):
    assert step_of(find_checkpoint("last", folder)) == 2
    assert capsys.readouterr().err == ""


def test_two_damaged_checkpoints_are_told(folder):
    for path in (folder / "checkpoints").iterdir():
        os.truncate(path, 100)
    with pytest.raises(InputError, match=r"last\.ckpt cannot be read.*no good one before"):
        find_checkpoint("last", folder)


def test_the_one_before_is_kept_with_and_without_hard_links(folder, monkeypatch):
    last = folder / "checkpoints" / "last.ckpt"
    keep_previous(last)
    assert step_of(last.with_name("previous.ckpt")) == step_of(last) == 2
    save(last, 3)

    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    write_atomically(last, last.read_bytes())
    keep_previous(last)
    assert step_of(last.with_name("previous.ckpt")) == step_of(last) == 3


class Killed(BaseException):
    """Stands for a kill: no `except` or `finally` of ours may help afterwards."""


def test_kills_in_the_middle_of_saves(train, tmp_path, monkeypatch):
    """Killed while saving, then killed again while saving: the run still goes on."""
    run, checkpoints = tmp_path / "run", tmp_path / "run" / "checkpoints"
    train(*RUN, "trainer.max_epochs=2")
    assert step_of(checkpoints / "last.ckpt") == 4
    assert step_of(checkpoints / "previous.ckpt") == 2
    # Damage by the first kill; the second one comes before anything new is whole.
    os.truncate(checkpoints / "last.ckpt", 1000)
    monkeypatch.setattr("seqlab.callbacks.checkpoint_io.write_atomically", _killed_while_writing)
    with pytest.raises(Killed):
        train(*RUN, "trainer.max_epochs=3", "ckpt_path=last")
    monkeypatch.undo()
    assert step_of(find_checkpoint("last", run)) == 2
    train(*RUN, "trainer.max_epochs=3", "ckpt_path=last")
    assert step_of(checkpoints / "last.ckpt") == 6
    # The damaged one was never kept as the one before.
    assert step_of(checkpoints / "previous.ckpt") == 4


def _killed_while_writing(path: Path, content: bytes) -> None:
    path.with_name(f".{path.name}.1").write_bytes(bytes(content)[:1000])
    raise Killed


def test_a_full_disk_names_the_checkpoint(train, tmp_path, monkeypatch):
    train(*RUN)
    before = (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes()
    monkeypatch.setattr("seqlab.callbacks.checkpoint_io.write_atomically", _write_to_a_full_disk)
    with pytest.raises(OSError, match="No space left") as caught:
        train(*RUN, "trainer.max_epochs=2", "ckpt_path=last")
    assert str(tmp_path / "run") in str(caught.value.filename)
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes() == before


def _write_to_a_full_disk(path: Path, content: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seqlab.saving.os.fsync", _full)
        write_atomically(path, content)


def _full(number: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_writer_that_was_killed_leaves_nothing_behind(train, tmp_path):
    checkpoints = tmp_path / "run" / "checkpoints"
    train(*RUN)
    shutil.copy(checkpoints / "last.ckpt", checkpoints / ".last.ckpt.99999")
    train(*RUN, "trainer.max_epochs=2", "ckpt_path=last")
    assert sorted(path.name for path in checkpoints.iterdir()) == [
        "best.ckpt",
        "last.ckpt",
        "previous.ckpt",
    ]
