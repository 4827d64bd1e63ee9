"""Journals that survive killed writers, and errors that tell what is out of reach."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time

import optuna
import pytest

from seqlab.errors import InputError, StorageError
from seqlab.trials import storage as under_test
from seqlab.trials.storage import open_storage, reaching, told

WRITE = """
import sys, optuna
from seqlab.trials.storage import open_storage
study = optuna.load_study(study_name="s", storage=open_storage(sys.argv[1]))
print("ready", flush=True)
while True:
    study.ask().suggest_float("x", 0, 1)
"""


def test_writers_that_are_killed_block_and_spoil_nothing(tmp_path):
    place = str(tmp_path / "study.log")
    study = optuna.create_study(study_name="s", storage=open_storage(place, create=True))
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITE, place], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(0.05)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        before = len(study.trials)
        study.ask()
        assert len(study.trials) == before + 1
    again = optuna.load_study(study_name="s", storage=open_storage(place))
    assert len(again.trials) == len(study.trials)


def test_half_a_line_is_cut_off_before_the_next(tmp_path):
    place = tmp_path / "study.log"
    study = optuna.create_study(study_name="s", storage=open_storage(str(place), create=True))
    study.ask()
    with place.open("a") as file:
        file.write('{"op_code":4,"wor')
    optuna.load_study(study_name="s", storage=open_storage(str(place))).ask()
    assert len(optuna.load_study(study_name="s", storage=open_storage(str(place))).trials) == 2


def test_a_journal_that_is_gone_is_not_begun_anew(tmp_path):
    place = tmp_path / "study.log"
    with pytest.raises(StorageError, match="no such file"):
        open_storage(str(place))
    study = optuna.create_study(study_name="s", storage=open_storage(str(place), create=True))
    place.unlink()
    with pytest.raises(StorageError, match="No such file"), reaching(str(place)):
        study.ask()
    assert not place.exists()


def test_a_folder_in_the_way(tmp_path):
    (tmp_path / "study.log").mkdir()
    with pytest.raises(StorageError, match="directory"), reaching("there"):
        optuna.create_study(storage=open_storage(str(tmp_path / "study.log"), create=True))


def test_a_locked_database(tmp_path, monkeypatch):
    monkeypatch.setattr(under_test, "SECONDS_TO_WAIT_FOR_A_LOCK", 0.1)
    place = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(study_name="s", storage=open_storage(place))
    holder = sqlite3.connect(tmp_path / "study.db")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match="database is locked"), reaching(place):
        study.ask()
    holder.rollback()
    holder.close()
    study.ask()
    study._storage.remove_session()
    study._storage._backend.engine.dispose()


def test_no_server(tmp_path):
    place = "postgresql://me:secret@127.0.0.1:1/db"
    with pytest.raises(StorageError, match=r"postgresql://me:\*\*\*@127.0.0.1:1/db") as failed:
        open_storage(place)
    assert "secret" not in str(failed.value)
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("place", ["oops://x", "mysql+nothing://x/y"])
def test_no_driver(place):
    with pytest.raises(InputError, match="driver"):
        open_storage(place)


def test_passwords_are_not_told():
    assert told("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"
    assert "secret" not in told("postgresql://me:secret@host:port/db")
    assert told("/a/b") == "/a/b"


@pytest.mark.parametrize(
    "line",
    ["[]", "3", "null", "{}", '{"op_code": 99}', '{"op_code": 0}', "[" * 100_000, "\xff\xfe"],
)
def test_an_odd_journal_is_told_in_a_line(tmp_path, line):
    place = tmp_path / "study.log"
    place.write_bytes(f"{line}\n".encode("latin-1"))
    with pytest.raises(StorageError, match=rf"{place} cannot be used \(.*\w+\)") as caught:
        open_storage(str(place))
    assert len(str(caught.value).splitlines()) == 1
