"""What is set before anything is built: seeds, and a quiet screen."""

from __future__ import annotations

import logging
import warnings

from seqlab.errors import InputError

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
    r"The dirpath has changed from",
    r"You requested to overfit but enabled",
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
    lightning.seed_everything(seed, workers=True, verbose=False)


def _worth_the_screen(record: logging.LogRecord) -> bool:
    """Warnings, and what a profiler was asked for; all else goes to the run's log only."""
    return record.levelno >= logging.WARNING or "Profiler Report" in record.getMessage()
