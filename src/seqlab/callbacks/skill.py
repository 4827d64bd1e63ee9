"""Whether a forecaster beats what needs no training, printed and kept."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.table import Table
from torch import Tensor

from seqlab.tasks.base import Task
from seqlab.terminal import say

COLUMNS = ("mae", "rmse", "smape", "mase", "rmsse")


class SkillCallback(Callback):
    """Prints the model's test errors beside the baselines', and writes all of them by step.

    Says so where the model does not beat the last value beyond the confidence interval.

    Args:
        folder: the run's folder; the errors go into its `errors_by_step.csv`.
    """

    def __init__(self, folder: str) -> None:
        self.path = Path(folder) / "errors_by_step.csv"

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        task = cast(Task, pl_module)
        meter = task.meter("test")
        if not meter.by_step or not trainer.is_global_zero:
            return
        with self.path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("forecast", "metric", "step", "value"))
            for key, values in meter.by_step.items():
                name, slash, metric = key.rpartition("/")
                for step, value in enumerate(values.tolist(), start=1):
                    writer.writerow((name if slash else "model", metric, step, value))
        if not meter.baselines:
            return
        scores = {k.removeprefix("test/"): v.item() for k, v in trainer.callback_metrics.items()}
        title = "The forecaster and what needs no training"
        Console().print(skill_table(title, scores, meter.baselines, task.spec.metric))
        skill, margin = scores.get("skill_vs_naive"), scores.get("skill_vs_naive_margin")
        if skill is not None and skill - (margin or 0.0) <= 0:
            told = _digits(skill) if margin is None else f"{_digits(skill)} ± {_digits(margin)}"
            message = (
                f"the model does not beat the last value: skill {told} in "
                f"{task.spec.metric}; on a random walk nothing can, elsewhere train longer "
                "or change task.normaliser, task.difference or the model"
            )
            say(Console(stderr=True), f"warning: {message}", style="yellow")


def skill_table(
    title: str,
    scores: Mapping[str, float],
    baselines: Mapping[str, Mapping[str, Tensor]],
    headline: str,
) -> Table:
    """The model's errors above the baselines', and its skill against each.

    Args:
        title: printed above.
        scores: the model's metrics.
        baselines: each baseline's metrics.
        headline: the metric that the skill is in.
    """
    table = Table(title=title, title_justify="left")
    columns = [name for name in COLUMNS if name in scores]
    skills = {name: scores.get(f"skill_vs_{name}") for name in baselines}
    margin = scores.get("skill_vs_naive_margin")
    table.add_column("forecast")
    for column in columns:
        table.add_column(column, justify="right")
    if any(skill is not None for skill in skills.values()):
        table.add_column("model's skill", justify="right")
        table.caption = f"skill = 1 - {headline} / the baseline's"
        table.caption += "" if margin is None else "; ± half of the 95 % interval"
    table.add_row("model", *(f"{scores[name]:.4g}" for name in columns), style="bold")
    for name, errors in baselines.items():
        skill = skills[name]
        told = "" if skill is None else _digits(skill)
        told += f" ± {_digits(margin)}" if name == "naive" and margin is not None else ""
        cells = (f"{errors[key].item():.4g}" if key in errors else "" for key in columns)
        table.add_row(name, *cells, *([told] if len(table.columns) > len(columns) + 1 else []))
    return table


def _digits(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1e4 else f"{value:.3g}"
