"""kill -9 of a sweep at a random moment, and the same command again."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.sweeps.sweeping import CONF_OF_SCRIPT, write_conf

JOBS = ("model=rnn,gru", "seed=1,2")


@pytest.fixture(scope="module", autouse=True)
def _conf(tmp_path_factory):
    """The counting script's configuration."""
    with pytest.MonkeyPatch.context() as patch:
        conf = write_conf(tmp_path_factory.mktemp("sweeps") / "conf")
        patch.setenv(CONF_OF_SCRIPT, str(conf))
        yield


def start(folder: Path, script: str, *words: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, script, "-m", *words, f"hydra.sweep.dir={folder}"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(folder: Path, *command: str) -> None:
    running = start(folder, *command)
    _, errors = running.communicate(timeout=600)
    assert running.returncode == 0, errors


def metrics(folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["status"] for row in rows} == {"finished"}
    changing = ("run", "seconds", "reason")
    return {
        (row["model"], row["seed"]): {k: v for k, v in row.items() if k not in changing}
        for row in rows
    }


def begun(folder: Path) -> list[dict]:
    path = folder / "log.txt"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def kill_in_a_job(folder: Path, wait: float, *command: str) -> set[str]:
    """Kills a sweep `wait` seconds after it begins its next job; the jobs then finished."""
    before = len(begun(folder))
    running = start(folder, *command)
    deadline = time.monotonic() + 300
    while len(begun(folder)) == before and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(wait)
    running.kill()
    running.communicate()
    return {
        path.parent.name
        for path in folder.glob("*/results.json")
        if json.loads(path.read_text())["status"] == "finished"
    }


COUNTING = (str(ROOT / "tests" / "sweeps" / "sweeping.py"), *JOBS)


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """The sweep of counting jobs in one go."""
    folder = tmp_path_factory.mktemp("counted")
    finish(folder, *COUNTING)
    return metrics(folder)


def check_survives(folder: Path, kills: list[float], counted: dict) -> None:
    for wait in kills:
        finished = kill_in_a_job(folder, wait, *COUNTING)
        seen = len(begun(folder))
        # What is begun later must not be among what is finished now.
        (folder / "seen.json").write_text(json.dumps([sorted(finished), seen]))
        if len(finished) == len(counted):
            break
    finish(folder, *COUNTING)
    assert metrics(folder) == counted
    finished, seen = json.loads((folder / "seen.json").read_text())
    later = begun(folder)[seen:]
    assert not {entry["job"] for entry in later} & set(finished)
    assert {entry["job"] for entry in later} | set(finished) >= {
        path.name for path in folder.iterdir() if path.is_dir()
    }


def test_a_killed_sweep_finishes(tmp_path, counted):
    """Killed in its first job's counting: that job goes on from what it saved."""
    check_survives(tmp_path, [0.03], counted)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_killed_again_and_again(tmp_path, counted, seed):
    """Four kills a sweep, at moments from the start of a job to well into the next ones."""
    moments = random.Random(seed)
    check_survives(tmp_path, [moments.uniform(0, 0.4) for _ in range(4)], counted)


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
