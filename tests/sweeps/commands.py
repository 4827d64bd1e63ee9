"""Sweeps as commands, and what they leave in their folders."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.conftest import ROOT
from tests.sweeps.sweeping import BAD

# Four jobs that count, see `sweeping.py`.
JOBS = ("model=rnn,gru", "seed=1,2")
SCRIPT = str(ROOT / "tests" / "sweeps" / "sweeping.py")
COUNTING = (SCRIPT, *JOBS)
THREE = "seed=1,2,3"


def start(folder: Path, script: str, *words: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, script, "-m", *words, f"hydra.sweep.dir={folder}"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


def finish(folder: Path, *command: str, status: int = 0, **environment: str) -> str:
    """Runs a sweep to its end; what it wrote on the screen beside the tables."""
    running = start(folder, *command, **environment)
    try:
        _, errors = running.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        running.kill()
        raise
    assert running.returncode == status, errors
    assert "Traceback" not in errors
    return errors


def spoil(folder: Path, wishes: dict[str, str] | None = None) -> None:
    """Lets jobs of these seeds misbehave, or none."""
    folder.mkdir(exist_ok=True)
    (folder / BAD).write_text(json.dumps(wishes or {}))


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open() as file:
        return list(csv.DictReader(file))


def metrics(folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    """What each job of a sweep came to, where all of them are finished."""
    found = rows(folder)
    assert {row["status"] for row in found} == {"finished"}
    changing = ("run", "seconds", "reason")
    return {
        (row["model"], row["seed"]): {k: v for k, v in row.items() if k not in changing}
        for row in found
    }


def begun(folder: Path) -> list[dict]:
    """What counting jobs wrote when they began, in that order."""
    path = folder / "log.txt"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def await_until(condition: Callable[[], object], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def halfway(folder: Path) -> list[str]:
    """The jobs that have counted to five."""
    saved = folder.glob("*/checkpoints/last.ckpt")
    return [path.parts[-3] for path in saved if json.loads(path.read_text())["number"] == 5]


def interrupt(folder: Path, *launcher: str, at_once: int = 2, **environment: str) -> None:
    """Ctrl-C for a sweep of three jobs, when so many of them are half-way and wait."""
    spoil(folder, {"1": "wait", "2": "wait", "3": "wait"})
    running = start(folder, SCRIPT, THREE, *launcher, **environment)
    await_until(lambda: len(halfway(folder)) == at_once or running.poll() is not None)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 1, errors
    assert "goes on" in errors
    assert "Traceback" not in errors, errors


def check_goes_on(folder: Path, *launcher: str, at_once: int = 2, **environment: str) -> None:
    """The sweep that `interrupt` ended goes on from what its jobs saved."""
    await_until(lambda: not any(alive(entry["pid"]) for entry in begun(folder)), seconds=20)
    spoil(folder)
    finish(folder, SCRIPT, THREE, *launcher, **environment)
    assert sorted(entry["from"] for entry in begun(folder)) == [0] * 3 + [5] * at_once


def alive(pid: int) -> bool:
    """Whether a process is there, and not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
