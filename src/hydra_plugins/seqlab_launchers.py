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
    _composer: Any = None

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
        from seqlab.sweeps.composing import Composer
        from seqlab.sweeps.launching import Work, launch
        from seqlab.sweeps.progress import Display

        if self._composer is None:
            self._composer = Composer(self.config, self.hydra_context.config_loader)
        if self._display is None:
            self._display = Display(shares=self._workers.shares_screen, total=self.total)
        return launch(
            self.config,
            Work(self.task_function, self.hydra_context),
            [list(overrides) for overrides in job_overrides],
            first=initial_job_idx,
            workers=self._workers,
            display=self._display,
            composer=self._composer,
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


class SubmititLocalLauncher(SweepLauncher):
    """Each job in a process of its own on this machine, which submitit starts.

    Args:
        n_jobs: how many at a time.
        threads: of each job.
        timeout_min: minutes after which a job is stopped and started again; None for no limit.
    """

    def __init__(self, n_jobs: int = 1, threads: int = 1, timeout_min: float | None = None) -> None:
        self.options = (n_jobs, threads, timeout_min)

    def make_workers(self) -> Any:
        from seqlab.sweeps.submitit_workers import LocalWorkers

        return LocalWorkers(self.config, *self.options)


class SubmititSlurmLauncher(SweepLauncher):
    """Each job as a job of Slurm's, which submitit hands over.

    Args:
        name: the jobs' name in Slurm's queue.
        array_parallelism: how many at a time.
        timeout_min: minutes that a job may take before it is stopped and started again.
        cpus_per_task: cores of a job, and threads.
        gpus: accelerators of a job.
        mem_gb: memory of a job in GiB; None for the cluster's default, as all that follow.
        partition: where the jobs wait.
        account: who is charged.
        qos: quality of service.
        constraint: what the nodes must have.
        setup: lines for the script before the job.
        sbatch: further options of sbatch.
    """

    def __init__(
        self,
        *,
        name: str = "seqlab",
        array_parallelism: int = 16,
        timeout_min: float = 240,
        cpus_per_task: int = 1,
        gpus: int = 0,
        mem_gb: float | None = None,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        constraint: str | None = None,
        setup: Sequence[str] | None = None,
        sbatch: dict[str, Any] | None = None,
    ) -> None:
        self.options = {key: value for key, value in locals().items() if key != "self"}

    def make_workers(self) -> Any:
        from seqlab.sweeps.slurm_workers import SlurmWorkers

        return SlurmWorkers(self.config, self.options)


class RayLauncher(SweepLauncher):
    """Each job as a task of a Ray cluster that exists already.

    Args:
        address: `auto`, or `host:port` of its head.
        num_cpus: cores of a job.
        num_gpus: accelerators of a job.
    """

    def __init__(self, address: str = "auto", num_cpus: float = 1, num_gpus: float = 0) -> None:
        self.options = (address, num_cpus, num_gpus)

    def make_workers(self) -> Any:
        from seqlab.sweeps.ray_workers import RayWorkers

        return RayWorkers(*self.options)
