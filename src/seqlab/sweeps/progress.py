"""How far a sweep is, on the screen: done, running, failed, best so far, time left."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from seqlab.data.direction import direction
from seqlab.reports.collect import results_of
from seqlab.sweeps.jobs import Job
from seqlab.terminal import say

# Running jobs that are shown by name.
NAMED = 8


@dataclass(frozen=True)
class Best:
    """The best value of a metric so far, and whose it is."""

    metric: str
    value: float
    name: str

    def __str__(self) -> str:
        return f"{self.metric} {self.value:.4g} ({self.name})"


class Display:
    """The state of a whole sweep, which may be launched in several parts.

    On a terminal that is the sweep's alone it is a few lines that change; where jobs write to the
    screen themselves, or where the screen is a file, a line for each job's start and end.

    Args:
        console: where it is shown.
        shares: whether the jobs write to the screen, too.
        total: how many jobs there will be in all; None for as many as are told of.
    """

    def __init__(
        self, console: Console | None = None, *, shares: bool = False, total: int | None = None
    ) -> None:
        self.console = console or Console(stderr=True)
        self.total = total
        self.failed = 0
        self.best: dict[str, Best] = {}
        self._lively = self.console.is_terminal and not shares
        self._told = 0  # jobs that it was told of
        self._done = 0  # finished or failed, now or before
        self._ended = 0  # of these, now
        self._seconds = 0.0  # that this took
        self._running: dict[int, tuple[Job, float]] = {}
        self._begin = 0.0

    @contextmanager
    def shown(self, jobs: Sequence[Job]) -> Iterator[None]:
        """Shows the state while these jobs run, too."""
        finished = [job for job in jobs if job.status == "finished"]
        self._told += len(jobs)
        self._done += len(finished)
        self._begin = time.monotonic()
        if finished and self.total is None:
            self._say(f"{len(finished)} of {len(jobs)} jobs are finished already")
        if len(finished) == len(jobs):
            return (yield)
        for job in finished:
            self._compare(job, _results(job))
        if not self._lively:
            return (yield)
        with Live(
            get_renderable=self._lines, console=self.console, refresh_per_second=2, transient=True
        ):
            yield
        return None

    def started(self, job: Job) -> None:
        """A job is at work."""
        self._running[job.number] = (job, time.monotonic())
        if not self._lively:
            number = self._done + len(self._running)
            self._say(f"[{number}/{self._all}] {job.name}")

    def ended(self, job: Job, reason: str | None) -> None:
        """A job is finished, or failed for a reason."""
        _, since = self._running.pop(job.number, (job, time.monotonic()))
        now = time.monotonic()
        self._seconds += now - self._begin
        self._begin = now
        self._done += 1
        self._ended += 1
        if reason is None:
            told = self._compare(job, _results(job))
            ended = _results(job).get("status", "finished")
            line = f"{ended}: {job.name}  {told}".rstrip() + f", {_duration(now - since)}"
        else:
            self.failed += 1
            line = f"failed: {job.name}: {reason}"
        if reason is not None or not self._lively:
            self._say(line)
        if not self._lively and self._done < self._all:
            best = [f"best {best}" for best in self.best.values()]
            self._say("  " + " · ".join([self.counts(), *best]))

    def counts(self) -> str:
        """How many are done, running and failed, and how long the rest will take."""
        parts = [f"{self._done} of {self._all} done"]
        if self._running:
            parts.append(f"{len(self._running)} running")
        if self.failed:
            parts.append(f"{self.failed} failed")
        left = self.seconds_left()
        return " · ".join(
            [*parts, *([f"about {_duration(left)} left"] if left is not None else [])]
        )

    def seconds_left(self) -> float | None:
        """At the rate of the jobs that ended till now; None before the first and after the last."""
        if not self._ended or self._done >= self._all:
            return None
        since = time.monotonic() - self._begin if self._running else 0.0
        left = self._seconds / self._ended * (self._all - self._done)
        return max(left - since, 0.0)

    @property
    def _all(self) -> int:
        return max(self.total or 0, self._told)

    def _compare(self, job: Job, results: dict[str, Any]) -> str:
        """Keeps a run's headline metric if it is the best; the metric and its value in words."""
        name = (results.get("reference") or {}).get("metric") or "loss"
        metrics = results.get("metrics") or {}
        metric = next((m for m in (f"test/{name}", f"val/{name}") if m in metrics), None)
        if metric is None:
            return ""
        value, way, best = metrics[metric], direction(metric), self.best.get(metric)
        better = best is None or (value > best.value if way == "larger" else value < best.value)
        if way is not None and not math.isnan(value) and better:
            self.best[metric] = Best(metric, value, job.name)
        return f"{metric} {value:.4g}"

    def _lines(self) -> RenderableType:
        top = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=max(self._all, 1), completed=self._done, width=30)
        top.add_row("sweep", bar, Text(self.counts()))
        best = [Text(f"  best {best}", style="green") for best in self.best.values()]
        names = Table.grid(padding=(0, 2))
        now = time.monotonic()
        running = list(self._running.values())
        for job, since in running[:NAMED]:
            names.add_row("", Text(job.name, style="dim"), Text(_duration(now - since), "dim"))
        if len(running) > NAMED:
            names.add_row("", Text(f"and {len(running) - NAMED} more", style="dim"), "")
        return Group(top, *best, names)

    def _say(self, text: str) -> None:
        say(self.console, text, whole=True)


def _results(job: Job) -> dict[str, Any]:
    return results_of(job.folder)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
