"""Jobs one after the other in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from seqlab.sweeps.jobs import Job
from seqlab.sweeps.launching import Ended, Work, Workers
from seqlab.sweeps.running import run


class SerialWorkers(Workers):
    """One worker: this process."""

    capacity = 1
    shares_screen = True

    def start(self, work: Work, jobs: Sequence[Job]) -> None:
        self._work, self._jobs = work, list(jobs)

    def wait(self) -> Iterator[Ended]:
        for job in self._jobs:
            yield job, run(job, self._work.context, self._work.task)
