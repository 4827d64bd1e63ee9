"""What a run prints when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.table import Table

from seqlab.callbacks.last import LastCheckpoint
from seqlab.callbacks.pruning import PruningCallback
from seqlab.callbacks.validation import BestValidation
from seqlab.data.spec import Spec
from seqlab.terminal import cell, say


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


def was_pruned(trainer: Trainer) -> bool:
    """Whether a search stopped the run because it was not worth going on with."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return any(isinstance(call, PruningCallback) and call.pruned for call in callbacks)


def print_results(scores: Mapping[str, float], spec: Spec, folder: Path) -> None:
    """Prints the test scores, the headline's first, beside what is trivial and what is possible."""
    console = Console()
    stages = [s for s in ("test", "test_long") if any(k.startswith(f"{s}/") for k in scores)]
    names = dict.fromkeys(
        key.partition("/")[2] for key in scores if key.partition("/")[0] in stages
    )
    table = Table(title="Results of the best checkpoint", title_justify="left")
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
    console.print(table)
    # Paths are printed whole, to be copied.
    say(console, f"run folder   {folder}", whole=True)
    say(console, f"to look at   tensorboard --logdir {folder}", whole=True)


def _number(value: float | None, missing: str = "") -> str:
    if value is None:
        return missing
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e7 else f"{value:.3g}"
