"""Several processes of this machine, each of one thread and one accelerator."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from signal import Signals
from typing import Any

from omegaconf import DictConfig

from seqlab.private.joblib import processes_of
from seqlab.sweeps.accelerators import accelerators
from seqlab.sweeps.elsewhere import (
    Parcel,
    die_with,
    outcome,
    refuse_several_processes,
    require,
    threads_environment,
    told_exit,
    use_threads,
)
from seqlab.sweeps.jobs import Job
from seqlab.sweeps.launching import GRACE, Ended, Work, Workers
from seqlab.sweeps.lock import Process
from seqlab.sweeps.options import whole


@dataclass
class _Slot:
    """Room for one job: a pool of one process, so that its death is that one job's alone."""

    environment: dict[str, str]
    pool: Any = None
    processes: dict[int, Any] = field(default_factory=dict)
    job: Job | None = None
    future: Future[str | None] | None = None

    def open(self) -> None:
        from joblib.externals.loky.process_executor import ProcessPoolExecutor

        if self.pool is None:
            self.pool = ProcessPoolExecutor(
                max_workers=1,
                env=self.environment,
                initializer=_begin,
                initargs=(Process.current(),),
            )

    def start(self, job: Job, parcel: Parcel) -> None:
        self.open()
        self.job, self.future = job, self.pool.submit(parcel)
        self.processes = processes_of(self.pool)

    def end(self) -> Ended:
        """The job that ended, and how; the slot is free then."""
        job, future = self.job, self.future
        assert job is not None
        assert future is not None
        self.job = self.future = None
        error = future.exception()
        if error is None:
            return job, future.result() or outcome(job, None)
        from joblib.externals.loky import BrokenProcessPool

        codes = [process.exitcode for process in self.processes.values()]
        self.close()
        died = isinstance(error, BrokenProcessPool)
        return job, outcome(job, told_exit(codes[0] if codes else None) if died else repr(error))

    def send(self, number: Signals) -> None:
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=True, kill_workers=True)
            self.pool = None


class JoblibWorkers(Workers):
    """Processes of loky's, which joblib brings along.

    A process serves many jobs, so that only its first one waits for imports. It lives no longer
    than this one, and one that dies fails its job only.

    Args:
        config: the sweep's configuration.
        n_jobs: how many jobs run at a time; None for one an accelerator, or without any one a core.
    """

    def __init__(self, config: DictConfig, n_jobs: Any = None) -> None:
        if n_jobs is not None:
            n_jobs = whole("n_jobs", n_jobs)
        require("joblib", "joblib", "joblib")
        from joblib.externals.loky import cpu_count

        devices = accelerators(config)
        self.capacity = n_jobs or len(devices) or cpu_count()
        dealt = devices or [{}]
        self._slots = [
            _Slot(threads_environment(1) | dealt[number % len(dealt)])
            for number in range(self.capacity)
        ]

    def check(self, jobs: Sequence[Job]) -> None:
        refuse_several_processes(jobs, "joblib")

    def start(self, work: Work, jobs: Sequence[Job]) -> None:
        free = (slot for slot in self._slots if slot.job is None)
        for job, slot in zip(jobs, free, strict=False):
            slot.start(job, Parcel(job, work))

    def wait(self) -> Iterator[Ended]:
        busy = {slot.future: slot for slot in self._slots if slot.future is not None}
        done, _ = wait(busy, timeout=0.5, return_when=FIRST_COMPLETED)
        for future in done:
            yield busy[future].end()

    def interrupt(self, signal: Signals) -> None:
        busy = [slot for slot in self._slots if slot.future is not None]
        for slot in busy:
            slot.send(signal)
        try:
            wait([slot.future for slot in busy if slot.future is not None], timeout=GRACE[signal])
        finally:  # after a second Ctrl-C, too
            self.close()

    def close(self) -> None:
        for slot in self._slots:
            slot.close()
            slot.job = slot.future = None


def _begin(owner: Process) -> None:
    """What a worker does first."""
    # Ctrl-C at the keyboard is for the sweep alone, which passes it on.
    os.setpgid(0, 0)
    die_with(owner)
    use_threads(1)
