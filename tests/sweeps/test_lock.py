"""One sweep at a time in a folder; the dead hold nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from seqlab.errors import InputError
from seqlab.sweeps.lock import LOCK, sweep_lock

HOLD = """
import sys, time
from pathlib import Path
from seqlab.sweeps.lock import sweep_lock
with sweep_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the folder's lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_living_hold_it(tmp_path, other):
    with pytest.raises(InputError, match=rf"process {other.pid} .*hydra.sweep.dir=PATH"):
        sweep_lock(tmp_path).__enter__()
    assert json.loads((tmp_path / LOCK).read_text())["pid"] == other.pid


@pytest.mark.parametrize("reaped", [True, False])
def test_the_dead_do_not(tmp_path, other, reaped):
    other.kill()
    if reaped:
        other.wait()
    else:  # a zombie: dead, but its number is still taken
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    with sweep_lock(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()


def test_free_again_after_use_and_after_an_error(tmp_path):
    def fail():
        with sweep_lock(tmp_path):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with sweep_lock(tmp_path), pytest.raises(InputError):
        sweep_lock(tmp_path).__enter__()
    with sweep_lock(tmp_path):
        pass


def test_a_number_used_again_is_another_process(tmp_path):
    with sweep_lock(tmp_path):
        owner = json.loads((tmp_path / LOCK).read_text())
    if owner["began"] is None:
        pytest.skip("this system does not tell when a process began")
    (tmp_path / LOCK).write_text(json.dumps(owner | {"began": "1"}))
    with sweep_lock(tmp_path):
        pass


def test_another_machine_cannot_be_asked(tmp_path):
    owner = {"pid": 1, "host": "elsewhere", "began": None}
    (tmp_path / LOCK).write_text(json.dumps(owner))
    with pytest.raises(InputError, match=r"on elsewhere.*delete .*\.lock"):
        sweep_lock(tmp_path).__enter__()


def test_half_a_lock_is_none(tmp_path):
    (tmp_path / LOCK).write_text('{"pid": 1')
    with sweep_lock(tmp_path):
        pass
