"""Our sweeper that searches, as Hydra finds it: Hydra imports this file at every start.

Hence nothing but Hydra is imported here; what it does stands in `seqlab.sweeps.search`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hydra.types import HydraContext
from omegaconf import DictConfig

from hydra_plugins.seqlab_launchers import SweepLauncher
from hydra_plugins.seqlab_sweeps import LaunchingSweeper


class OptunaSweeper(LaunchingSweeper):
    """Trial after trial, each chosen by what those before it got.

    Args:
        params: the search space of a preset, in the grammar of the command line, which wins.
        settings: the other entries of `conf/hydra/sweeper/optuna.yaml`.
    """

    def __init__(self, params: Mapping[str, Any] | None = None, **settings: Any) -> None:
        super().__init__(params)
        self.settings = settings

    def run(
        self,
        config: DictConfig,
        context: HydraContext,
        launcher: SweepLauncher,
        overrides: list[str],
    ) -> Any:
        from importlib.util import find_spec

        from seqlab.errors import InputError

        if find_spec("optuna") is None:
            raise InputError("hydra/sweeper=optuna needs Optuna; pip install 'seqlab[optuna]'")
        from seqlab.sweeps.search import search
        from seqlab.sweeps.search_settings import Settings

        return search(config, context, launcher, overrides, Settings(**self.settings))
