"""What is set before anything is built: seeds, and a quiet screen."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

from seqlab.errors import InputError
from seqlab.escaping import one_line
from seqlab.runs.processes import watch_processes

OURS = Path(__file__).parents[1]

# What Lightning says on every run and no user of ours can act on.
NOISE = (
    r"The '.*_dataloader' does not have many workers",
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    r"Checkpoint directory .* exists and is not empty",
    r".*Experiment logs directory .* exists",
    r"The number of training batches .* is smaller than the logging interval",
    r".*does not have many workers which may be a bottleneck",
    # Ours is resumed by the datamodule.
    r"You're resuming from a checkpoint that ended before the epoch ended",
    # A callback that is left out when a run is resumed is told as a changed setting.
    r"Be aware that when using `ckpt_path`, callbacks used to create the checkpoint",
    r"You requested to overfit but enabled",
    # Where training ends before its first validation, that comes afterwards.
    r"`ModelCheckpoint\(monitor=.*could not find the monitored key",
)


def prepare(seed: int) -> None:
    """Seeds all generators.

    Raises:
        InputError: a seed that is not a whole number from 0 to 2³²−1.
    """
    import lightning

    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 1 << 32:
        raise InputError(f"seed={seed!r} must be a whole number from 0 to {(1 << 32) - 1}")
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        for handler in logging.getLogger(name).handlers:
            handler.addFilter(_worth_the_screen)
    for pattern in NOISE:
        warnings.filterwarnings("ignore", pattern)
    warnings.formatwarning = _format_warning
    watch_processes()
    lightning.seed_everything(seed, workers=True, verbose=False)


_format_others = warnings.formatwarning


def _format_warning(
    message: Warning | str, category: type[Warning], filename: str, *place: Any
) -> str:
    """Shows what our own code tells about the data without the line of code that tells it."""
    if category is UserWarning and Path(filename).is_relative_to(OURS):
        return f"warning: {one_line(message)}\n"
    return _format_others(message, category, filename, *place)


def _worth_the_screen(record: logging.LogRecord) -> bool:
    """Warnings, and what a profiler was asked for; all else goes to the run's log only."""
    return record.levelno >= logging.WARNING or "Profiler Report" in record.getMessage()
