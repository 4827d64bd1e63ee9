"""A real Ray cluster on this machine, of one head, which is stopped again."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from seqlab.errors import InputError
from seqlab.sweeps.ray_workers import RayWorkers
from tests.sweeps.commands import (
    COUNTING,
    SCRIPT,
    begun,
    check_goes_on,
    finish,
    interrupt,
    metrics,
    rows,
    spoil,
)
from tests.sweeps.test_joblib import BAD

RAY = str(Path(sys.executable).with_name("ray"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def cluster(script_conf):
    """The launcher's words for a cluster of two cores."""
    # Paths of its sockets may not be long.
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    address = f"127.0.0.1:{free_port()}"
    environment = {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "OMP_NUM_THREADS": "1",
    }
    words = [RAY, "start", "--head", "--block", "--node-ip-address=127.0.0.1", "--num-cpus=2"]
    words += [f"--port={address.partition(':')[2]}", "--include-dashboard=false"]
    words += [f"--temp-dir={folder}", "--object-store-memory=100000000"]
    head = subprocess.Popen(
        words,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    )
    assert head.stdout is not None
    for line in head.stdout:
        if "Ray runtime started" in line:
            break
    else:
        pytest.fail("no Ray head")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
            patch.setenv(name, environment[name])
        yield ("hydra/launcher=ray", f"hydra.launcher.address='{address}'")
    head.terminate()
    head.communicate(timeout=60)
    shutil.rmtree(folder)


def test_like_one_after_the_other(tmp_path, counted, cluster):
    finish(tmp_path, *COUNTING, *cluster)
    assert metrics(tmp_path) == counted
    assert {entry["OMP_NUM_THREADS"] for entry in begun(tmp_path)} == {"1"}
    # Ray hides the accelerators from a job that asked for none.
    assert {path.read_text() for path in tmp_path.glob("*/output.txt")} == {"counting\n"}


def test_a_job_that_fails_dies_or_runs_out_of_memory_is_alone(tmp_path, cluster):
    spoil(tmp_path, BAD)
    screen = finish(tmp_path, SCRIPT, "seed=1,2,3,4,5,6,7", *cluster, status=1)
    assert "4 of 7 jobs failed" in screen
    found = {row["seed"]: row for row in rows(tmp_path)}
    assert {seed for seed, row in found.items() if row["status"] == "failed"} == set(BAD)
    assert "something broke" in found["2"]["reason"]
    assert "Ray says" in found["5"]["reason"]


def test_ctrl_c_ends_all(tmp_path, cluster):
    interrupt(tmp_path, *cluster)
    check_goes_on(tmp_path, *cluster)


def test_no_cluster():
    with pytest.raises(InputError, match=r"no Ray cluster answers .*ray start --head"):
        RayWorkers(f"127.0.0.1:{free_port()}", 1, 0).connect()


@pytest.mark.parametrize("wrong", [("", 1, 0), ("auto", 0, 0), ("auto", 1, -1), ("auto", "x", 0)])
def test_wrong_options(wrong):
    with pytest.raises(InputError, match=r"hydra\.launcher\."):
        RayWorkers(*wrong)
