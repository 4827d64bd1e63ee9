"""A job on its way into another process, and how its end is found out."""

from __future__ import annotations

import importlib
import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hydra import version
from hydra.core.utils import JobRuntime, setup_globals
from omegaconf import DictConfig, OmegaConf, open_dict

from seqlab.config import import_from_working_folder
from seqlab.errors import InputError
from seqlab.interrupts import interrupts
from seqlab.reports.collect import DONE, results_of
from seqlab.reports.records import JOB_FILE
from seqlab.sweeps.jobs import Job
from seqlab.sweeps.launching import INTERRUPTED, Work
from seqlab.sweeps.lock import Process
from seqlab.sweeps.running import record, run

# What a job in another process prints; the screen is the sweep's.
OUTPUT_FILE = "output.txt"


def threads_environment(threads: int) -> dict[str, str]:
    """What keeps numerical libraries to some threads; it must be set before they are imported.

    Two processes with two threads each on two cores wait for one another most of their time.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    # Threads that wait shall not keep a core from another job's.
    return {**dict.fromkeys(names, str(threads)), "GOMP_SPINCOUNT": "0"}


@dataclass(frozen=True)
class Parcel:
    """A job with all that another process needs to run it.

    Attributes:
        job: the job.
        work: what it shares with the others.
        threads: of the numerical libraries; None leaves them to the process.
        environment: variables that the job gets.
        owner: the process without which it shall not live.
        script: what is run as `python script …` where a job starts further processes.
        directory: where the command was given; paths of the configuration are relative to it.
        version_base: the version whose ways Hydra is asked for.
    """

    job: Job
    work: Work
    threads: int | None = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    owner: Process | None = None
    script: str = field(default_factory=lambda: str(Path(sys.argv[0]).absolute()))
    directory: str = field(default_factory=lambda: str(Path.cwd()))
    version_base: str = field(default_factory=lambda: str(version.getbase()))

    def __call__(self) -> str | None:
        """Runs the job in this process; the reason if it failed."""
        if self.owner is not None:
            die_with(self.owner)
        if self.threads is not None:
            use_threads(self.threads)
        os.environ.update(self.environment)
        os.chdir(self.directory)
        sys.argv = [self.script]
        # Lightning starts a job's further processes as it finds this one to be started.
        sys.modules["__main__"].__spec__ = None
        version.setbase(self.version_base)
        setup_globals()
        import_from_working_folder()
        config = self.job.config()
        JobRuntime.instance().set("name", config.hydra.job.name)
        _quieten(config)
        with _output_to(self.job.folder), interrupts.heard():
            try:
                return run(self.job, self.work.context, self.work.task, config=config)
            except KeyboardInterrupt:
                return INTERRUPTED


def use_threads(threads: int) -> None:
    """Keeps the numerical libraries of this process to some threads."""
    os.environ.update(threads_environment(threads))
    torch = sys.modules.get("torch")
    if torch is not None:  # it has read the environment already
        torch.set_num_threads(threads)


def die_with(owner: Process) -> None:
    """Ends this process when another one is gone, as nobody would take its results."""

    def watch() -> None:
        while owner.lives():
            time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)

    name = f"dies with {owner.pid}"
    if name not in {thread.name for thread in threading.enumerate()}:
        threading.Thread(target=watch, name=name, daemon=True).start()


def run_script(script: str, arguments: list[str], owner: Process) -> None:
    """Runs a script as `python script arguments` does, in a process that dies with its owner."""
    die_with(owner)
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).parent)
    runpy.run_path(script, run_name="__main__")


def outcome(job: Job, otherwise: str | None) -> str | None:
    """How a job ended, as its folder tells: None if as it should, else the reason.

    Args:
        job: a job that ended.
        otherwise: what is recorded of a job that left no word.
    """
    results = results_of(job.folder)
    status = results.get("status")
    if status in DONE or (status is None and otherwise is None):
        return None
    if status is not None:
        return str(results.get("reason") or status)
    assert otherwise is not None
    if (job.folder / OUTPUT_FILE).is_file():
        otherwise += f"; what it printed is in {job.folder / OUTPUT_FILE}"
    record(job.folder, otherwise)
    return otherwise


def begin_mark(job: Job) -> int | None:
    """What changes when a job begins, wherever it runs."""
    try:
        return (job.folder / JOB_FILE).stat().st_mtime_ns
    except OSError:
        return None


def told_exit(code: int | None) -> str:
    """The end of a process in words."""
    if code is None:
        return "its process ended without a word"
    if code >= 0:
        return f"the job ended its process with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ", perhaps for want of memory" if name == "SIGKILL" else ""
    return f"the job's process was ended by {name}{hint}"


def require(package: str, launcher: str, extra: str) -> None:
    """Raises InputError unless a launcher's package can be imported."""
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f"hydra/launcher={launcher} needs the package {package}, which cannot be imported "
            f"({error}); pip install 'seqlab[{extra}]'"
        ) from error


def refuse_several_processes(jobs: Sequence[Job], launcher: str) -> None:
    """Raises InputError for a job that would start further processes of its own."""
    for job in jobs:
        if job.several:
            raise InputError(
                f"{job.several} ({job.name}) makes a job of several processes, and under "
                f"hydra/launcher={launcher} each job has one; use hydra/launcher=serial, or "
                "trainer.devices=1"
            )


def _quieten(config: DictConfig) -> None:
    """No progress bar, since nobody sees it."""
    if OmegaConf.select(config, "trainer.enable_progress_bar") is not None:
        with open_dict(config):
            config.trainer.enable_progress_bar = False


@contextmanager
def _output_to(folder: Path) -> Iterator[None]:
    """What is printed meanwhile, also by libraries and further processes, goes into a file."""
    folder.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    with (folder / OUTPUT_FILE).open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
