"""Several jobs at a time on this machine: what they share, and how they die."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from seqlab.errors import InputError
from tests.sweeps import sweeping
from tests.sweeps.commands import (
    COUNTING,
    SCRIPT,
    alive,
    await_until,
    begun,
    check_goes_on,
    finish,
    interrupt,
    metrics,
    rows,
    spoil,
    start,
)

JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
BAD = {"2": "raise", "3": "exit", "4": "memory", "5": "kill"}
REASONS = {
    "2": "RuntimeError: something broke",
    "3": "ended its process with status 3",
    "4": "MemoryError",
    "5": "SIGKILL",
}


def check_reasons(folder):
    found = {row["seed"]: row for row in rows(folder)}
    assert {seed for seed, row in found.items() if row["status"] == "failed"} == set(BAD)
    for seed, reason in REASONS.items():
        assert reason in found[seed]["reason"]
    return found


def test_like_one_after_the_other_in_processes_of_one_thread(tmp_path, counted):
    finish(tmp_path, *COUNTING, *JOBLIB, OMP_NUM_THREADS="4", CUDA_VISIBLE_DEVICES="5,3")
    assert metrics(tmp_path) == counted
    log = begun(tmp_path)
    assert {entry["OMP_NUM_THREADS"] for entry in log} == {"1"}
    assert {entry["GOMP_SPINCOUNT"] for entry in log} == {"0"}
    # Each process keeps the accelerator that it was dealt.
    assert {entry["CUDA_VISIBLE_DEVICES"] for entry in log} == {"5", "3"}
    assert len({(entry["pid"], entry["CUDA_VISIBLE_DEVICES"]) for entry in log}) == 2
    # The screen is the sweep's.
    assert {path.read_text() for path in tmp_path.glob("*/output.txt")} == {"counting\n"}
    await_until(lambda: not any(alive(entry["pid"]) for entry in log), seconds=20)


def test_a_job_that_fails_dies_or_runs_out_of_memory_is_alone(tmp_path, script_conf):
    command = (SCRIPT, "seed=1,2,3,4,5,6,7", *JOBLIB)
    spoil(tmp_path, BAD)
    screen = finish(tmp_path, *command, status=1)
    assert "4 of 7 jobs failed" in screen
    found = check_reasons(tmp_path)
    assert all(found[seed]["status"] == "finished" for seed in "167")
    # Mended, they go on from the number where they broke.
    seen = len(begun(tmp_path))
    spoil(tmp_path)
    finish(tmp_path, *command)
    assert {row["status"] for row in rows(tmp_path)} == {"finished"}
    assert [entry["from"] for entry in begun(tmp_path)[seen:]] == [5, 5, 5, 5]


def test_a_killed_worker_fails_its_job_only(tmp_path, script_conf):
    spoil(tmp_path, {"1": "wait"})
    running = start(tmp_path, SCRIPT, "seed=1,2,3", *JOBLIB)

    def slow():
        return [entry["pid"] for entry in begun(tmp_path) if entry["job"].startswith("seed_1-")]

    await_until(slow)
    await_until(lambda: len(list(tmp_path.glob("*/results.json"))) == 2)
    os.kill(slow()[0], signal.SIGKILL)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 1, errors
    assert [row["status"] for row in rows(tmp_path)] == ["failed", "finished", "finished"]
    assert "SIGKILL" in rows(tmp_path)[0]["reason"]


def test_ctrl_c_ends_all_and_keeps_what_they_have(tmp_path, script_conf):
    interrupt(tmp_path, *JOBLIB)
    assert not any(alive(entry["pid"]) for entry in begun(tmp_path))
    assert [row["status"] for row in rows(tmp_path)] == ["interrupted"] * 2
    check_goes_on(tmp_path, *JOBLIB)


@pytest.fixture(scope="module")
def conf(tmp_path_factory):
    return sweeping.write_conf(tmp_path_factory.mktemp("sweeps") / "conf")


def refused(conf, folder, *words):
    with pytest.raises(InputError) as caught:
        sweeping.sweep(lambda config: None, "seed=1,2", *words, conf=conf, folder=folder)
    # Nothing was begun.
    assert not list(folder.rglob("job.json"))
    return str(caught.value)


@pytest.mark.parametrize("wrong", ["0", "-1", "1.5", "two", "True"])
def test_wrong_numbers_of_jobs(conf, tmp_path, wrong):
    words = ("hydra/launcher=joblib", f"hydra.launcher.n_jobs={wrong}")
    told = refused(conf, tmp_path, *words)
    assert f"hydra.launcher.n_jobs={wrong} must be a whole number" in told


@pytest.mark.parametrize("devices", ["2", "[0,1]", "'0,1'", "-1"])
def test_several_processes_a_job_are_refused(conf, tmp_path, devices):
    told = refused(conf, tmp_path, *JOBLIB, f"trainer.devices={devices}")
    assert "trainer.devices=" in told
    assert "hydra/launcher=serial" in told


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "submitit_slurm", "ray"])
def test_packages_that_are_missing(conf, tmp_path, monkeypatch, launcher):
    package = launcher.partition("_")[0]
    monkeypatch.setitem(sys.modules, package, None)
    told = refused(conf, tmp_path, f"hydra/launcher={launcher}")
    assert f"pip install 'seqlab[{package}]'" in told
