"""The settings of a search, checked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from seqlab.errors import InputError, check_at_least
from seqlab.sweeps.search_space import SearchSpace
from seqlab.trials.storage import is_url

JOURNAL = "study.log"
DEFAULT_TRIALS = 20


@dataclass(frozen=True)
class Settings:
    """The entries of `conf/hydra/sweeper/optuna.yaml`, which explains them."""

    sampler: Any
    pruner: Any
    metric: Any
    direction: Any
    n_trials: int | None
    n_jobs: int
    seed: int
    storage: str | None
    study: str | None
    heartbeat: float

    def __post_init__(self) -> None:
        for name in ("sampler", "pruner", "metric", "direction"):
            value = getattr(self, name)
            if OmegaConf.is_config(value):
                object.__setattr__(self, name, OmegaConf.to_container(value, resolve=True))
        for name in ("sampler", "pruner"):
            value = getattr(self, name)
            if not isinstance(value, dict):
                raise InputError(
                    f"hydra.sweeper.{name}={value} should name a file of settings; write "
                    f"hydra/sweeper/{name}={value}"
                )
        for name in ("n_trials", "n_jobs", "seed"):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole and not (name == "n_trials" and value is None):
                raise InputError(f"hydra.sweeper.{name}={value} must be a whole number")
        check_at_least("hydra.sweeper.n_trials", 1 if self.n_trials is None else self.n_trials)
        check_at_least("hydra.sweeper.n_jobs", self.n_jobs)
        check_at_least("hydra.sweeper.seed", self.seed, 0)
        if not isinstance(self.heartbeat, (int, float)) or self.heartbeat <= 0:
            raise InputError(f"hydra.sweeper.heartbeat={self.heartbeat} must be seconds above 0")
        if self.storage is not None and not self.study:
            raise InputError(
                "hydra.sweeper.storage may hold many studies; add hydra.sweeper.study=NAME"
            )

    def place(self, folder: Path) -> str:
        """Where the study is kept: a database's URL, or an absolute path."""
        if self.storage is not None and is_url(self.storage):
            return self.storage
        path = Path(self.storage) if self.storage else folder / JOURNAL
        # Jobs may run in other working directories.
        return os.path.abspath(path)  # noqa: PTH100  # resolve() would follow links

    def total(self, space: SearchSpace) -> int:
        """The number of trials; a grid has no more than its points."""
        if self.sampler.get("name") != "grid":
            return self.n_trials or DEFAULT_TRIALS
        points = len(space.grid())
        return min(self.n_trials or points, points)
