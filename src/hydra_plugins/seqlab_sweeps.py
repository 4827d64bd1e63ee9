"""Our sweeper of grids, as Hydra finds it, and what all of our sweepers share.

Hydra imports this file at every start. Hence nothing but Hydra is imported here; what they do
stands in `seqlab.sweeps`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from hydra.errors import HydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.seqlab_launchers import SweepLauncher


class LaunchingSweeper(Sweeper):
    """What all of ours share: presets of swept keys, and a launcher that is closed at the end.

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
        from seqlab.keys import check_sweep

        if not isinstance(self.launcher, SweepLauncher):
            raise HydraException(
                f"{type(self.launcher).__name__} can neither go on with a sweep nor survive a "
                "failed job; use hydra/launcher=serial, joblib, submitit_local, submitit_slurm, ray"
            )
        overrides = [f"{key}={value}" for key, value in self.params.items()] + arguments
        assert self.config is not None
        check_sweep(self.config)
        assert self.hydra_context is not None
        try:
            return self.run(self.config, self.hydra_context, self.launcher, overrides)
        finally:
            self.launcher.close()

    @abstractmethod
    def run(
        self,
        config: DictConfig,
        context: HydraContext,
        launcher: SweepLauncher,
        overrides: list[str],
    ) -> Any:
        """Runs the jobs that the overrides ask for."""


class GridSweeper(LaunchingSweeper):
    """Every combination of the swept values; those that `sweep.zip` ties vary together."""

    def run(
        self,
        config: DictConfig,
        context: HydraContext,
        launcher: SweepLauncher,
        overrides: list[str],
    ) -> Any:
        from seqlab.sweeps.grid import sweep

        return sweep(config, context, launcher, overrides)
