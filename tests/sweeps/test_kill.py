"""kill -9 of a sweep at a random moment, and the same command again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.sweeps.commands import (
    COUNTING,
    SCRIPT,
    alive,
    await_until,
    begun,
    finish,
    halfway,
    metrics,
    rows,
    spoil,
    start,
)

LAUNCHERS = {
    "serial": (),
    "joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
    "submitit": ("hydra/launcher=submitit_local", "hydra.launcher.n_jobs=2"),
}


def kill(running: subprocess.Popen, folder: Path) -> None:
    running.kill()
    running.communicate()
    # No worker lives longer, or it would write where the next sweep does.
    await_until(lambda: not any(alive(entry["pid"]) for entry in begun(folder)), seconds=20)


def kill_in_a_job(folder: Path, wait: float, *command: str) -> None:
    """Kills a sweep `wait` seconds after it begins its next job."""
    before = len(begun(folder))
    running = start(folder, *command)
    await_until(lambda: len(begun(folder)) > before or running.poll() is not None)
    time.sleep(wait)
    kill(running, folder)


def finished_jobs(folder: Path) -> set[str]:
    return {
        path.parent.name
        for path in folder.glob("*/results.json")
        if json.loads(path.read_text())["status"] == "finished"
    }


def check_finishes(folder: Path, counted: dict, *command: str) -> None:
    """The killed sweep comes to what one in one go does, and begins no finished job again."""
    finished, seen = finished_jobs(folder), len(begun(folder))
    finish(folder, *command)
    assert metrics(folder) == counted
    later = {entry["job"] for entry in begun(folder)[seen:]}
    assert not later & finished
    jobs = {path.parent.name for path in folder.glob("*/job.json")}
    assert len(jobs) == len(counted)
    assert later | finished == jobs


@pytest.mark.parametrize("launcher", ["serial", "joblib"])
def test_a_killed_sweep_finishes(tmp_path, counted, launcher):
    """Killed while its first job, half-way, counts no further; it goes on from what it saved."""
    command = (*COUNTING, *LAUNCHERS[launcher])
    spoil(tmp_path, {"1": "wait", "2": "wait"})
    running = start(tmp_path, *command)
    await_until(lambda: halfway(tmp_path) or running.poll() is not None)
    first = halfway(tmp_path)[0]
    kill(running, tmp_path)
    spoil(tmp_path)
    check_finishes(tmp_path, counted, *command)
    assert [entry["from"] for entry in begun(tmp_path) if entry["job"] == first] == [0, 5]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize("seed", range(5))
def test_killed_again_and_again(tmp_path, counted, seed, launcher):
    """Four kills a sweep, at moments from the start of a job to well into the next ones."""
    moments = random.Random(seed)
    command = (*COUNTING, *LAUNCHERS[launcher])
    for _ in range(4):
        kill_in_a_job(tmp_path, moments.uniform(0, 0.4), *command)
        if len(finished_jobs(tmp_path)) == len(counted):
            break
    check_finishes(tmp_path, counted, *command)


@pytest.mark.parametrize(
    ("launcher", "whose"), [("serial", "sweep"), ("joblib", "sweep"), ("joblib", "job")]
)
def test_sigterm_stops_a_sweep(tmp_path, script_conf, launcher, whose):
    """Docker and Slurm end it so, whichever process they signal: it stops, and can be resumed."""
    command = (SCRIPT, "seed=1,2,3", *LAUNCHERS[launcher][:1])
    command += ("hydra.launcher.n_jobs=1",) if launcher == "joblib" else ()
    spoil(tmp_path, {"1": "wait"})
    running = start(tmp_path, *command)
    await_until(lambda: halfway(tmp_path) or running.poll() is not None)
    os.kill(running.pid if whose == "sweep" else begun(tmp_path)[0]["pid"], signal.SIGTERM)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 143, errors
    assert "Traceback" not in errors
    assert "goes on" in errors
    assert [row["status"] for row in rows(tmp_path)] == ["interrupted"]
    spoil(tmp_path)
    finish(tmp_path, *command)
    assert [row["status"] for row in rows(tmp_path)] == ["finished"] * 3


TRAINING = (
    "train.py",
    "model=rnn,gru",
    "seed=1,2",
    "trainer.accelerator=cpu",
    "trainer.max_epochs=3",
    "trainer.enable_progress_bar=false",
    "trainer.enable_model_summary=false",
    "data.train_size=256",
    "data.val_size=64",
    "data.test_size=64",
    "model.dropout=0.2",
    "callbacks=default",
)


@pytest.mark.slow
def test_killed_while_training(tmp_path):
    """Real trainings end with the same metrics to the last digit."""
    finish(tmp_path / "whole", *TRAINING)
    folder = tmp_path / "killed"
    for wait in (0.5, 2.0, 4.0):
        running = start(folder, *TRAINING)
        deadline = time.monotonic() + 300
        while not list(folder.rglob("last.ckpt")) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(wait)
        running.kill()
        running.communicate()
    finish(folder, *TRAINING)
    assert metrics(folder) == metrics(tmp_path / "whole")
