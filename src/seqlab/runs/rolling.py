"""A back-test as a part of a run: from where it stands in the configuration to its results."""

from __future__ import annotations

import copy
import csv
import io
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import cast

import lightning
import numpy as np
from lightning import Trainer
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console

from seqlab.build import build_datamodule, build_network, build_task, build_trainer
from seqlab.callbacks.figures import show, while_drawn
from seqlab.callbacks.skill import skill_table
from seqlab.data.datamodule import SequenceDataModule
from seqlab.data.past_series import PastSeries
from seqlab.data.series import SeriesStore
from seqlab.data.series_dataset import SeriesDataset
from seqlab.errors import InputError, check_at_least
from seqlab.escaping import one_line
from seqlab.instantiation import instantiate
from seqlab.runs.backtest import BackTest, back_test
from seqlab.runs.checkpoint import best_checkpoint, load_checkpoint
from seqlab.saving import write_atomically
from seqlab.tasks.base import Task
from seqlab.tasks.forecasting import Forecasting

# What of the callbacks decides which weights a training ends with.
DECISIVE = ("best", "early_stopping")


class RollingOrigin:
    """Which origins a back-test goes through, and how often it trains anew.

    Args:
        steps: values at each series' end to forecast; those of the test if None.
        stride: steps from one origin to the next; the data's if None.
        refit_every: origins that one training serves; None goes on with the run's forecaster.

    Raises:
        InputError: a number below 1.
    """

    def __init__(
        self,
        *,
        steps: int | None = None,
        stride: int | None = None,
        refit_every: int | None = None,
    ) -> None:
        for name, value in (("steps", steps), ("stride", stride), ("refit_every", refit_every)):
            if value is not None:
                check_at_least(f"backtest.{name}", value)
        self.steps = steps
        self.stride = stride
        self.refit_every = refit_every


class RunBackTest:
    """The back-test of one run.

    Args:
        config: the run's configuration, by which a forecaster is trained anew.
        plan: which origins.
        dataset: the run's series.

    Raises:
        InputError: data without series, or origins whose future or past is not free to be used.
    """

    def __init__(self, config: DictConfig, plan: RollingOrigin, dataset: SeriesDataset) -> None:
        self.config = config
        self.dataset = dataset
        self.steps = dataset.test_steps if plan.steps is None else plan.steps
        self.stride = dataset.stride if plan.stride is None else plan.stride
        self.refit_every = plan.refit_every
        if self.refit_every is None and self.steps > dataset.test_steps:
            raise InputError(
                f"backtest.steps={self.steps} reaches into what the forecaster was trained and "
                f"chosen on, as data.test_steps={dataset.test_steps}; lower it, raise "
                "data.test_steps, or train anew with backtest=refit"
            )
        if self.steps < dataset.horizon:
            raise InputError(
                f"backtest.steps={self.steps} is shorter than the horizon of {dataset.horizon} "
                "(task.horizon); raise it"
            )
        if self.refit_every is not None:
            first = dataset.store.lengths - self.steps
            PastSeries(dataset=dataset, store=dataset.store.head(first)).split("train")

    def run(self, trained: Task, trainer: Trainer, folder: Path) -> dict[str, float]:
        """Back-tests, prints and writes; returns the scores as `backtest/…`."""
        task = cast(Forecasting, trained)  # the data are series
        task.to(trainer.strategy.root_device)
        found = back_test(
            task,
            self.dataset.store,
            window=self.dataset.window,
            steps=self.steps,
            stride=self.stride,
            refit=None if self.refit_every is None else partial(self._refit, trainer),
            refit_every=self.refit_every,
            trainer=trainer,
        )
        if trainer.is_global_zero:
            self._tell(found, task, trainer, folder)
        return {f"backtest/{name}": score for name, score in found.scores.items()}

    def _refit(self, trainer: Trainer, store: SeriesStore, origin: int) -> Forecasting:
        """Trains as the run did, with the same seed, on the series up to an origin."""
        rank_zero_only(print)(
            one_line(f"back-test: training up to {_end(store)} (origin {origin + 1})")
        )
        lightning.seed_everything(self.config.seed, workers=True, verbose=False)
        with tempfile.TemporaryDirectory() as folder:
            config = quiet(self.config, folder)
            data = build_datamodule(config, PastSeries(dataset=self.dataset, store=store))
            network = build_network(config, data.spec)
            task = cast(Forecasting, build_task(config, network, data.spec))
            again = build_trainer(config)
            again.fit(task, data)
            best = best_checkpoint(again)
            if best is not None:
                task.load_state_dict(load_checkpoint(Path(best))["state_dict"])
        return task.to(trainer.strategy.root_device)

    def _tell(self, found: BackTest, task: Forecasting, trainer: Trainer, folder: Path) -> None:
        from seqlab.callbacks.plots import step_errors  # matplotlib, which few runs need

        headline = task.spec.metric
        origins = len(next(iter(found.by_origin.values())))
        title = f"Back-test: {found.windows} forecasts, origins: {origins}"
        title += "" if self.refit_every is None else f", trainings: {found.fits}"
        Console().print(skill_table(title, found.scores, found.baselines, headline))
        write_atomically(folder / "backtest.csv", as_csv(found, headline))
        by_step = {
            key.rpartition("/")[0] or "model": np.array(values)
            for key, values in found.by_step.items()
            if key.rpartition("/")[2] == headline
        }
        by_origin = {name: np.array(values) for name, values in found.by_origin.items()}
        pictures = (
            (
                f"backtest/error_by_{name}",
                step_errors(errors, f"Back-test, by {name}", metric=headline, along=along),
            )
            for name, errors, along in (
                ("step", by_step, "step of the horizon"),
                ("origin", by_origin, "origin"),
            )
        )
        for name, picture in while_drawn(pictures):
            show(trainer, name, picture, folder / "figures")


def plan_backtest(config: DictConfig, data: SequenceDataModule) -> RunBackTest | None:
    """The back-test that `backtest=` asks for; None where it asks for none.

    Raises:
        InputError: it cannot be done with this data, known before anything is trained.
    """
    plan = instantiate(config.backtest, "backtest", optional=True)
    if plan is None:
        return None
    if not isinstance(data.dataset, SeriesDataset):
        raise InputError(
            "backtest= goes through the origins of series, and this data has none; leave it out, "
            "or choose data such as data=sines"
        )
    return RunBackTest(config, plan, data.dataset)


def quiet(config: DictConfig, folder: str) -> DictConfig:
    """The configuration of a training beside the run's: nothing is logged, drawn or kept.

    Args:
        config: the run's.
        folder: where checkpoints go meanwhile.
    """
    config = copy.deepcopy(config)
    kept = {name: config.callbacks[name] for name in DECISIVE if name in (config.callbacks or {})}
    with open_dict(config):
        config.logger = {}
        config.task.callbacks = {}
        config.callbacks = kept
        config.trainer.enable_progress_bar = False
        config.trainer.enable_model_summary = False
        config.trainer.default_root_dir = folder
        if kept.get("best"):
            OmegaConf.update(config, "callbacks.best.dirpath", folder)
    return config


def as_csv(found: BackTest, headline: str) -> str:
    """All errors by step and the headline error by origin, a line each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("forecast", "metric", "by", "number", "value"))

    def write(name: str, metric: str, by: str, values: list[float]) -> None:
        rows = enumerate(values, start=1)
        writer.writerows((name, metric, by, number, value) for number, value in rows)

    for key, values in found.by_step.items():
        name, _, metric = key.rpartition("/")
        write(name or "model", metric, "step", values)
    origins: Mapping[str, list[float]] = found.by_origin
    for name, values in origins.items():
        write(name, headline, "origin", values)
    return text.getvalue()


def _end(store: SeriesStore) -> str:
    return store.time(0, int(store.lengths[0]) - 1)
