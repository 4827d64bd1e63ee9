"""Our launchers, as Hydra finds them: it imports this file at every start.

Hence nothing but Hydra is imported here; what they do stands in `seqlab.sweeps`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class SweepLauncher(Launcher):
    """What all of ours share: a job that is finished is not run, and a failure is a value.

    A sweeper may launch again and again: the workers live until `close`.

    Attributes:
        total: how many jobs there will be in all, where the sweeper knows that before it launches
            the last; told on the screen only.
    """

    total: int | None = None
    _workers: Any = None
    _display: Any = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config
        self._workers = self.make_workers()

    @abstractmethod
    def make_workers(self) -> Any:
        """Where the jobs run, a `seqlab.sweeps.launching.Workers`; refuses wrong options."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        from seqlab.sweeps.launching import Work, launch
        from seqlab.sweeps.progress import Display

        if self._display is None:
            self._display = Display(shares=self._workers.shares_screen, total=self.total)
        return launch(
            self.config,
            Work(self.task_function, self.hydra_context),
            [list(overrides) for overrides in job_overrides],
            first=initial_job_idx,
            workers=self._workers,
            display=self._display,
        )

    def close(self) -> None:
        """Ends the workers."""
        self._workers.close()


class SerialLauncher(SweepLauncher):
    """One job after the other in this process."""

    def make_workers(self) -> Any:
        from seqlab.sweeps.serial import SerialWorkers

        return SerialWorkers()


class JoblibLauncher(SweepLauncher):
    """Several jobs at a time on this machine, each in a process of one thread.

    Args:
        n_jobs: how many; None for one an accelerator, or one a core where there is none.
    """

    def __init__(self, n_jobs: int | None = None) -> None:
        self.n_jobs = n_jobs

    def make_workers(self) -> Any:
        from seqlab.sweeps.joblib_workers import JoblibWorkers

        return JoblibWorkers(self.config, self.n_jobs)
