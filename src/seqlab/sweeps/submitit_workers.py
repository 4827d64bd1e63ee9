"""Jobs in processes that submitit starts, on this machine or elsewhere."""

from __future__ import annotations

import os
import sys
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import Signals
from typing import Any

from omegaconf import DictConfig

from seqlab.reports.collect import DONE, results_of
from seqlab.reports.records import RESULTS_FILE
from seqlab.sweeps.accelerators import accelerators
from seqlab.sweeps.elsewhere import Parcel, outcome, require
from seqlab.sweeps.jobs import Job
from seqlab.sweeps.launching import GRACE, Ended, Work, Workers
from seqlab.sweeps.lock import Process
from seqlab.sweeps.options import number, whole

# Below the sweep's folder: submitit's scripts, pickles and logs.
FOLDER = ".submitit"
# Seconds from one look at the jobs to the next.
LOOK = 0.5
# No run is meant to take longer than this many minutes: thirty days.
ENDLESS = 30 * 24 * 60


class Call:
    """What submitit pickles and calls; a job that is stopped before its time is started again."""

    def __init__(self) -> None:
        self._moved = False

    def __call__(self, parcel: Parcel) -> str | None:
        reason = parcel()
        if self._moved:
            # What ended the job was submitit's own exit, which it waits for to start it again.
            (parcel.job.folder / RESULTS_FILE).unlink(missing_ok=True)
            from submitit.local.local import LOCAL_REQUEUE_RETURN_CODE

            local = os.environ.get("SUBMITIT_EXECUTOR") == "local"
            sys.exit(LOCAL_REQUEUE_RETURN_CODE if local else -1)
        return reason

    def checkpoint(self, parcel: Parcel) -> Any:
        """Called before a timeout or a preemption: the same again, which goes on from `last`."""
        from submitit.helpers import DelayedSubmission

        self._moved = True
        return DelayedSubmission(Call(), parcel)


class SubmititWorkers(Workers):
    """What both kinds share: a job's end is read from its run's folder.

    submitit's own pickle of a result, or its word on a job's state, may get lost; the run's folder
    says what became of it all the same.

    Args:
        folder: where submitit keeps scripts, pickles and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._running: dict[int, tuple[Job, Any]] = {}

    @abstractmethod
    def submit(self, parcels: Sequence[Parcel]) -> list[Any]:
        """Submitit's jobs for these parcels."""

    @abstractmethod
    def parcel(self, work: Work, job: Job) -> Parcel:
        """A job, packed."""

    def start(self, work: Work, jobs: Sequence[Job]) -> None:
        submitted = self.submit([self.parcel(work, job) for job in jobs])
        self._running |= {
            job.number: (job, other) for job, other in zip(jobs, submitted, strict=True)
        }

    def wait(self) -> Iterator[Ended]:
        ended = [pair for pair in self._running.values() if self._has_ended(*pair)]
        if not ended:
            time.sleep(LOOK)
        for job, other in ended:
            del self._running[job.number]
            yield job, self._reason(job, other)

    def _has_ended(self, job: Job, other: Any) -> bool:
        with suppress(OSError):
            if other.done():
                return True
        return results_of(job.folder).get("status") in DONE

    def _reason(self, job: Job, other: Any) -> str | None:
        path = other.paths.result_pickle
        told: str | None = None
        if path.exists():
            with suppress(Exception):  # half of a pickle, or one of another version
                error = other.exception()
                if error is None:
                    return other.result() or outcome(job, None)
                told = [line for line in str(error).splitlines() if "Error" in line][-1].strip()
        log = other.paths.stderr
        told = told or f"its process ended without a word (submitit says {other.state})"
        return outcome(job, f"{told}; its log is {log}")

    def interrupt(self, signal: Signals) -> None:
        for _, other in self._running.values():
            with suppress(Exception):  # it may have ended meanwhile
                other.cancel(check=False)
        until = time.monotonic() + min(10.0, GRACE[signal])
        while time.monotonic() < until and not all(o.done() for _, o in self._running.values()):
            time.sleep(0.1)
        self._running.clear()


class LocalWorkers(SubmititWorkers):
    """Processes of this machine, one a job, with a cap on how many there are at a time.

    Args:
        config: the sweep's configuration.
        n_jobs: the cap.
        threads: of each job's numerical libraries.
        timeout_min: minutes after which a job is stopped and started again from `last`; None for
            no limit.
    """

    def __init__(self, config: DictConfig, n_jobs: Any, threads: Any, timeout_min: Any) -> None:
        self.capacity = whole("n_jobs", n_jobs)
        self.threads = whole("threads", threads)
        minutes = ENDLESS if timeout_min is None else number("timeout_min", timeout_min)
        require("submitit", "submitit_local", "submitit")
        super().__init__(Path(config.hydra.sweep.dir) / FOLDER)
        self._minutes = minutes
        self._devices = accelerators(config) or [{}]
        self._slots: dict[int, int] = {}  # of each job at work

    def start(self, work: Work, jobs: Sequence[Job]) -> None:
        self._slots = {n: slot for n, slot in self._slots.items() if n in self._running}
        super().start(work, jobs)

    def parcel(self, work: Work, job: Job) -> Parcel:
        slot = min(set(range(self.capacity)) - set(self._slots.values()))
        self._slots[job.number] = slot
        environment = self._devices[slot % len(self._devices)]
        return Parcel(job, work, self.threads, environment, owner=Process.current())

    def submit(self, parcels: Sequence[Parcel]) -> list[Any]:
        import submitit

        executor = submitit.LocalExecutor(self.folder)
        # A job is warned so many seconds before its time is up.
        warned = min(30, round(self._minutes * 30))
        executor.update_parameters(timeout_min=self._minutes, signal_delay_s=warned)
        # The process that submitit starts beside each job ends in a traceback at Ctrl-C.
        with _errors_to(self.folder / "submitit.log"):
            return [executor.submit(Call(), parcel) for parcel in parcels]


@contextmanager
def _errors_to(path: Path) -> Iterator[None]:
    """Processes started in here write their errors to a file."""
    screen = os.dup(2)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.dup2(file, 2)
        yield
    finally:
        os.dup2(screen, 2)
        os.close(screen)
        os.close(file)
