"""Jobs one after the other in this process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from hydra.types import TaskFunction

from seqlab.command import CHECKOUT, SCRIPT
from seqlab.interrupts import Terminated
from seqlab.runs.main import job as main_job
from seqlab.sweeps.elsewhere import outcome, run_script, told_exit
from seqlab.sweeps.jobs import Job
from seqlab.sweeps.launching import Ended, Work, Workers
from seqlab.sweeps.lock import Process
from seqlab.sweeps.running import begin, run


class SerialWorkers(Workers):
    """One worker: this process.

    A job that a former sweep began and that left no word may be what ended that sweep: it gets a
    process of its own, so that it ends nothing else this time.
    """

    capacity = 1
    shares_screen = True

    def start(self, work: Work, jobs: Sequence[Job]) -> None:
        self._work, self._jobs = work, list(jobs)

    def wait(self) -> Iterator[Ended]:
        for job in self._jobs:
            if job.status == "unfinished" and _can_start_again(self._work.task):
                yield job, run_alone(job)
            else:
                yield job, run(job, self._work.context, self._work.task)


def _can_start_again(task: TaskFunction) -> bool:
    """Whether this process is a script whose job this is; only such can be started again."""
    script = Path(sys.argv[0]).absolute()
    if getattr(task, "__module__", None) == "__main__":
        return script.is_file()
    return task is main_job and script in (SCRIPT, CHECKOUT)


def run_alone(job: Job) -> str | None:
    """Runs a job by a command of its own; the reason if it failed.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed, or SIGTERM came; the job has ended, too.
    """
    config = job.config()
    arguments = [*begin(job, config), f'hydra.run.dir="{job.folder.absolute()}"']
    call = (str(Path(sys.argv[0]).absolute()), arguments, Process.current())
    program = f"from {run_script.__module__} import Process, run_script; run_script(*{call!r})"
    environment = {**os.environ, **config.hydra.job.env_set}
    command = [sys.executable, "-c", program]
    # In a group of its own, so that Ctrl-C is heard once, here, and passed on.
    with subprocess.Popen(command, env=environment, process_group=0) as process:
        try:
            code = process.wait()
        except KeyboardInterrupt as error:
            _end(process, signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)
            raise
    return outcome(job, told_exit(code) if code else None)


def _end(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Has a job and its further processes save what they have; a second signal ends them."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
        try:
            process.wait()
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGKILL)
