"""Our sweeper and launcher, as Hydra finds them: it imports this file at every start.

Hence nothing but Hydra is imported here; what they do stands in `seqlab.sweeps`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class GridSweeper(Sweeper):
    """Every combination of the swept values; those that `sweep.zip` ties vary together.

    Args:
        params: swept keys of a preset, as `{model: "rnn,gru"}`; the command line wins.
    """

    def __init__(self, params: Mapping[str, Any] | None = None) -> None:
        self.params = dict(params or {})

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        from hydra.core.plugins import Plugins

        self.hydra_context = hydra_context
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        from seqlab.sweeps.grid import sweep

        overrides = [f"{key}={value}" for key, value in self.params.items()] + arguments
        assert self.config is not None
        assert self.hydra_context is not None
        assert self.launcher is not None
        return sweep(self.config, self.hydra_context, self.launcher, overrides)


class SerialLauncher(Launcher):
    """One job after the other in this process, each that is not finished yet."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        from seqlab.sweeps.serial import launch

        return launch(
            self.config,
            self.hydra_context,
            self.task_function,
            [list(overrides) for overrides in job_overrides],
            first=initial_job_idx,
        )
