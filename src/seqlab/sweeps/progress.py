"""How far a sweep is, on the screen."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from seqlab.sweeps.jobs import Job


class Display:
    """Tells which job is run, how many are done, and how long the rest will take."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)

    @contextmanager
    def shown(self, jobs: Sequence[Job]) -> Iterator[None]:
        """Shows the state of these jobs while they run."""
        finished = sum(job.status == "finished" for job in jobs)
        if finished:
            self._say(f"{finished} of {len(jobs)} jobs are finished already")
        self._left = len(jobs) - finished
        self._begin = time.monotonic()
        self._count = 0
        yield

    def started(self, job: Job) -> None:
        rest = ""
        if self._count:
            seconds = (time.monotonic() - self._begin) / self._count
            rest = f"  (about {_duration(seconds * (self._left - self._count))} left)"
        self._count += 1
        self._say(f"[{self._count}/{self._left}] {job.name}{rest}")

    def ended(self, job: Job, reason: str | None) -> None:
        if reason is not None:
            self._say(f"failed: {reason}")

    def _say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True, highlight=False, markup=False)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
