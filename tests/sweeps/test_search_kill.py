"""kill -9 of a search at a random moment, and the same command again."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from optuna.trial import TrialState

from tests.conftest import ROOT
from tests.sweeps.searching import METRIC, SPACE, study

pytestmark = pytest.mark.usefixtures("script_conf")
WORDS = (*SPACE, METRIC, "hydra.sweeper.sampler.n_startup_trials=2", "hydra.sweeper.n_trials=6")


def start(folder: Path, *words: str, step: float = 0.01) -> subprocess.Popen:
    return subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "tests" / "sweeps" / "searching.py"),
            "-m",
            "hydra/sweeper=optuna",
            *words,
            f"hydra.sweep.dir={folder}",
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
            "SEQLAB_TEST_STEP": str(step),
        },
    )


def finish(running: subprocess.Popen) -> str:
    _, errors = running.communicate(timeout=300)
    assert running.returncode == 0, errors
    return errors


def begun(folder: Path) -> list[dict]:
    path = folder / "log.txt"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def kill(running: subprocess.Popen, folder: Path, more: int, wait: float) -> None:
    """Kills a search `wait` seconds after it has begun so many more jobs."""
    wanted, deadline = len(begun(folder)) + more, time.monotonic() + 200
    while len(begun(folder)) < wanted and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(wait)
    running.kill()
    running.communicate()


def done(folder: Path) -> list[tuple[dict, float]]:
    """What was found, in the order of the search."""
    found = study(folder).get_trials(states=(TrialState.COMPLETE,))
    return [(trial.params, trial.values[0]) for trial in found]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The search in one go."""
    folder = tmp_path_factory.mktemp("whole")
    finish(start(folder, *WORDS))
    assert len(done(folder)) == 6
    return done(folder)


def check(folder: Path, kills: list[tuple[int, float]], whole: list) -> None:
    for more, wait in kills:
        kill(start(folder, *WORDS, step=0.05), folder, more, wait)
    finish(start(folder, *WORDS))
    assert done(folder) == whole
    # No job that was finished was begun again, and none from the start that had saved.
    finished = {}
    for entry in begun(folder):
        assert entry["from"] >= finished.get(entry["job"], 0)
        finished[entry["job"]] = entry["from"]
    results = [json.loads(path.read_text())["status"] for path in folder.glob("*/results.json")]
    assert results == ["finished"] * len(whole)


def test_a_killed_search_finishes_as_if_it_had_not_been(tmp_path, whole):
    running, deadline = start(tmp_path, *WORDS, step=0.2), time.monotonic() + 200
    while len(list(tmp_path.glob("*/checkpoints/last.ckpt"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.002)
    running.kill()
    running.communicate()
    check(tmp_path, [], whole)
    # The job that was killed went on from what it had saved, and no other was begun again.
    log = begun(tmp_path)
    assert log[3]["job"] == log[2]["job"]
    assert log[3]["from"] > 0
    assert len(log) == 7


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(7))
def test_killed_again_and_again(tmp_path, whole, seed):
    """Three kills a search, from the start of a job to well into the next ones."""
    moments = random.Random(seed)
    check(tmp_path, [(1, moments.uniform(0, 0.8)) for _ in range(3)], whole)
