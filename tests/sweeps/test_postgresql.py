"""Sweepers that share a study in a real PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from seqlab.trials.storage import open_storage
from tests.sweeps.searching import METRIC, SPACE
from tests.sweeps.test_search_kill import begun, finish, kill, start

pytestmark = pytest.mark.usefixtures("script_conf")


class Server:
    """A server of its own, which listens on a socket in its folder and on no port."""

    def __init__(self, programs: Path, folder: Path, user: str | None) -> None:
        self.programs, self.folder, self.user = programs, folder, user
        self.url = f"postgresql://seqlab@/postgres?host={folder}"
        self.data = folder / "data"
        self._run("initdb", "-D", str(self.data), "-U", "seqlab", "-A", "trust", "--no-sync")
        self.process: subprocess.Popen | None = None

    def begin(self) -> None:
        options = ("listen_addresses=", f"unix_socket_directories={self.folder}", "fsync=off")
        words = [word for option in options for word in ("-c", option)]
        self.process = subprocess.Popen(
            [self.programs / "postgres", "-D", self.data, *words],
            user=self.user,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self._ready():
                return
            time.sleep(0.05)
        raise AssertionError("the server did not start")

    def end(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # ends the sessions, too
            self.process.wait(60)
            self.process = None

    def _ready(self) -> bool:
        words = [self.programs / "pg_isready", "-h", self.folder]
        return subprocess.run(words, capture_output=True, check=False).returncode == 0

    def _run(self, program: str, *words: str) -> None:
        subprocess.run(
            [self.programs / program, *words],
            user=self.user,
            cwd=self.folder,
            capture_output=True,
            check=True,
        )


def programs() -> Path | None:
    """Where PostgreSQL is installed; Debian keeps it off the path."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "pg_isready").exists()), None)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    place = programs()
    if place is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    user = None
    if os.geteuid() == 0:  # it refuses to run as root
        users = {entry.pw_name for entry in pwd.getpwall()}
        user = "postgres" if "postgres" in users else "nobody"
    folder = Path(tempfile.mkdtemp(prefix="seqlab-pg-"))  # a socket's path must be short
    if user is not None:
        shutil.chown(folder, user)
    try:
        server = Server(place, folder, user)
        server.begin()
        yield server
        server.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def words(server: Server, name: str, total: int) -> tuple[str, ...]:
    storage = f"hydra.sweeper.storage='{server.url}'"
    options = (f"hydra.sweeper.study={name}", f"hydra.sweeper.n_trials={total}")
    return (*SPACE, METRIC, storage, *options)


def study(server: Server, name: str) -> list[optuna.trial.FrozenTrial]:
    storage = open_storage(server.url)
    try:
        return optuna.load_study(study_name=name, storage=storage).trials
    finally:
        storage.remove_session()
        storage.engine.dispose()  # type: ignore[attr-defined]


def complete(trials: list[optuna.trial.FrozenTrial]) -> list[optuna.trial.FrozenTrial]:
    return [trial for trial in trials if trial.state is TrialState.COMPLETE]


def test_two_sweepers_of_one_study(server, tmp_path):
    """They begin at once on an empty database, share the trials, and fail none."""
    folders = [tmp_path / name for name in ("one", "other")]
    command = words(server, "shared", 10)
    running = [start(folder, *command, step=0.2) for folder in folders]
    for sweeper in running:
        finish(sweeper)
    trials = study(server, "shared")
    assert len(complete(trials)) == 10
    # One may have asked for a trial too many, which it then did not run.
    rest = [trial for trial in trials if trial.state is not TrialState.COMPLETE]
    assert all(trial.user_attrs.get("surplus") for trial in rest)
    ran = [len(begun(folder)) for folder in folders]
    assert min(ran) >= 1
    assert sum(ran) == 10
    by_folder = [
        sum(trial.user_attrs["owner"]["folder"] == str(folder) for trial in complete(trials))
        for folder in folders
    ]
    assert by_folder == ran


def test_what_a_killed_sweeper_left_another_does(server, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    command = words(server, "killed", 5)
    kill(start(one, *command, step=0.2), one, 2, 0.1)
    left = study(server, "killed")
    assert [trial.state.name for trial in left] == ["COMPLETE", "RUNNING"]
    finish(start(other, *command))
    trials = study(server, "killed")
    assert len(complete(trials)) == 5
    assert [trial.number for trial in trials if trial.state is TrialState.FAIL] == [1]
    assert trials[2].params == left[1].params
    assert len(begun(other)) == 4


@pytest.mark.slow
def test_a_server_that_goes_away(server, tmp_path):
    """One line, status 1, and the same command finishes when it is back."""
    folder = tmp_path / "sweep"
    command = words(server, "gone", 4)
    running = start(folder, *command, step=0.2)
    deadline = time.monotonic() + 200
    while len(begun(folder)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    server.end()
    _, errors = running.communicate(timeout=300)
    server.begin()
    assert running.returncode == 1
    assert "Traceback" not in errors
    (told,) = [line for line in errors.splitlines() if line.startswith("error:")]
    assert "postgresql://seqlab@/postgres" in told
    assert "cannot be used" in told
    finish(start(folder, *command))
    assert len(complete(study(server, "gone"))) == 4
    # The job whose result could not be told was not run again.
    jobs = [entry["job"] for entry in begun(folder)]
    assert len(jobs) == len(set(jobs)) == 4
