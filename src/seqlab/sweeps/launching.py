"""What all launchers share: which jobs are left, handing them out, and counting how they end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from signal import SIGINT, SIGTERM, Signals

from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from seqlab.interrupts import Terminated
from seqlab.sweeps.composing import Composer
from seqlab.sweeps.jobs import Job, plan
from seqlab.sweeps.progress import Display

# A job that ended, and the reason if it failed.
Ended = tuple[Job, str | None]
# The reason of a job that a signal ended, which is its status too.
INTERRUPTED = "interrupted"
# Seconds that jobs in other processes have to save what they have and end.
GRACE = {SIGINT: 60.0, SIGTERM: 8.0}


@dataclass(frozen=True)
class Work:
    """What the jobs of a sweep share.

    Attributes:
        task: the job, `seqlab.runs.main.job`.
        context: Hydra's: it composes configurations and holds its callbacks.
    """

    task: TaskFunction
    context: HydraContext


class Workers(ABC):
    """Where jobs run.

    Attributes:
        capacity: how many jobs it takes at a time.
        shares_screen: whether jobs write to the screen of the sweep.
    """

    capacity: int
    shares_screen = False

    def check(self, jobs: Sequence[Job]) -> None:  # noqa: B027  # nothing to refuse, mostly
        """Raises InputError for a job that cannot run here; called before any is started."""

    @abstractmethod
    def start(self, work: Work, jobs: Sequence[Job]) -> None:
        """Takes jobs, at most as many as there is room for."""

    @abstractmethod
    def wait(self) -> Iterable[Ended]:
        """Waits a while for jobs to end; those that did."""

    def begun(self, job: Job) -> bool:
        """Whether a job that was taken is at work by now, not only waiting for its turn."""
        return True

    def interrupt(self, signal: Signals) -> None:  # noqa: B027  # one in this process hears it
        """Has the jobs at work save what they have and end, and forgets those that wait.

        Args:
            signal: SIGINT to wait for them as long as may be, SIGTERM to be done in `GRACE`.
        """

    def close(self) -> None:  # noqa: B027
        """Ends whatever the workers hold."""


def launch(
    config: DictConfig,
    work: Work,
    points: Sequence[list[str]],
    *,
    first: int,
    workers: Workers,
    display: Display,
    composer: Composer | None = None,
) -> list[JobReturn]:
    """Runs every job that is not finished; one that fails is recorded, and the rest go on.

    A job that a former sweep began goes on from its last checkpoint. Ctrl-C and SIGTERM end the
    sweep, to whichever of its jobs they are sent.

    Args:
        config: the sweep's configuration.
        work: what all jobs share.
        points: the overrides of each job.
        first: the number of the first job.
        workers: where the jobs run.
        display: tells how far the sweep is.
        composer: composes the jobs' configurations, and remembers parts from call to call.

    Returns:
        In the order of the points one for each job that is finished or failed, whose
        `return_value` is None or the reason; points of one identity are one job, and those that
        `sweep.stop_on_failure` kept from starting or interrupted have none.
    """
    setup_globals()
    jobs = plan(config, work.context.config_loader, points, first=first, composer=composer)
    waiting = deque(job for job in jobs if job.status != "finished")
    workers.check(list(waiting))
    reasons: dict[int, str | None] = {}
    reasons |= {job.number: None for job in jobs if job.status == "finished"}
    stops = bool(config.get("sweep") and config.sweep.stop_on_failure)
    running: list[Job] = []
    taken: list[Job] = []  # of these, those that wait for their turn
    with display.shown(jobs):
        try:
            while waiting or running:
                room = min(workers.capacity - len(running), len(waiting))
                if room:
                    batch = [waiting.popleft() for _ in range(room)]
                    workers.start(work, batch)
                    taken += batch
                    running += batch
                for job in [job for job in taken if workers.begun(job)]:
                    taken.remove(job)
                    display.started(job)
                for job, reason in workers.wait():
                    running.remove(job)
                    if job in taken:
                        taken.remove(job)
                    reasons[job.number] = reason
                    display.ended(job, reason)
                    if reason == INTERRUPTED:  # and this process was not
                        raise Terminated
                    if stops and reason is not None:
                        workers.interrupt(SIGINT)
                        waiting.clear()
                        running.clear()
                        break
        except KeyboardInterrupt as error:
            workers.interrupt(SIGTERM if isinstance(error, Terminated) else SIGINT)
            raise
    return [_returned(job, reasons[job.number]) for job in jobs if job.number in reasons]


def _returned(job: Job, reason: str | None) -> JobReturn:
    """What Hydra's sweepers get; without the configuration, of which there may be thousands."""
    done = JobReturn(overrides=job.overrides)
    done.status = JobStatus.COMPLETED
    # A failure is a value: the sweeper counts it, and nothing raises before the others are done.
    done.return_value = reason
    done.working_dir = str(job.folder)
    return done
