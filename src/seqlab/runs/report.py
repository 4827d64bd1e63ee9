"""What a run prints when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lightning import LightningDataModule, Trainer
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.table import Table

from seqlab.callbacks.last import LastCheckpoint
from seqlab.callbacks.pruning import PruningCallback
from seqlab.callbacks.validation import BestValidation
from seqlab.data.direction import BASELINES
from seqlab.data.spec import Spec
from seqlab.tasks.base import Task
from seqlab.terminal import cell, say

# What the names of metrics begin with that are about a baseline.
COMPARED = ("skill_vs_", *(f"{name}_" for name in BASELINES))


def final_scores(trainer: Trainer) -> dict[str, float]:
    """What the trainer logged last, by name."""
    return {name: value.item() for name, value in trainer.callback_metrics.items()}


def fit_scores(trainer: Trainer) -> dict[str, float]:
    """What training logged last, and what the best checkpoint got in validation.

    Going on with a run that was stopped after its last epoch trains nothing; it has the scores that
    it had then.
    """
    former: dict[str, float] = {}
    best: dict[str, float] = {}
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, LastCheckpoint):
            former = callback.former_scores
        elif isinstance(callback, BestValidation):
            best = callback.scores
    return former | final_scores(trainer) | best


def validate_last(trainer: Trainer, task: Task, data: LightningDataModule) -> dict[str, float]:
    """Validates the weights that training ended with, unless its last validation has done so.

    A limit may end training before its first validation, or some steps after one.

    Returns:
        the scores, by name; none where no validation is wanted.
    """
    if task.validated_at == trainer.global_step or trainer.limit_val_batches == 0:
        return {}
    trainer.validate(task, data, verbose=False)
    return final_scores(trainer)


def tested_weights(trainer: Trainer, best: str | None) -> str | None:
    """Which weights were tested, in words; None where nothing was."""
    if not trainer.num_test_batches or not sum(trainer.num_test_batches):
        return None
    return "the best checkpoint" if best else f"the last weights (step {trainer.global_step})"


def was_pruned(trainer: Trainer) -> bool:
    """Whether a search stopped the run because it was not worth going on with."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return any(isinstance(call, PruningCallback) and call.pruned for call in callbacks)


def print_results(
    scores: Mapping[str, float], spec: Spec, folder: Path, *, tested: str | None
) -> None:
    """Prints the test scores, the headline's first, beside what is trivial and what is possible.

    Args:
        scores: all scores of the run.
        spec: tells the headline metric.
        folder: the run's.
        tested: which weights were tested, for the title; None where nothing was.
    """
    console = Console()
    stages = [s for s in ("test", "test_long") if any(k.startswith(f"{s}/") for k in scores)]
    found = (key.partition("/")[2] for key in scores if key.partition("/")[0] in stages)
    # A forecaster's baselines have a table of their own, see `SkillCallback`.
    names = dict.fromkeys(name for name in found if not name.startswith(COMPARED))
    table = Table(title=f"Results of {tested}", title_justify="left")
    table.add_column("metric")
    for stage in stages:
        table.add_column(stage, justify="right")
    table.add_column("trivial", justify="right")
    table.add_column("optimum", justify="right")
    for name in sorted(names, key=lambda name: name != spec.metric):
        headline = name == spec.metric
        table.add_row(
            cell(name),
            *(_number(scores.get(f"{stage}/{name}")) for stage in stages),
            _number(spec.trivial) if headline else "",
            _number(spec.optimum, "unknown") if headline else "",
            style="bold" if headline else None,
        )
    console.print(table if tested else "nothing was tested: trainer.limit_test_batches=0")
    # Paths are printed whole, to be copied.
    say(console, f"run folder   {folder}", whole=True)
    say(console, f"to look at   tensorboard --logdir {folder}", whole=True)


def _number(value: float | None, missing: str = "") -> str:
    if value is None:
        return missing
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e7 else f"{value:.3g}"
