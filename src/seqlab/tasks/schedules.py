"""Learning-rate schedules: `(optimizer, steps) → scheduler`."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from seqlab.errors import ArgumentError, InputError, check_at_least, check_probability


def constant(optimizer: Optimizer, steps: float) -> LambdaLR:
    """The same rate throughout."""
    return LambdaLR(optimizer, lambda step: 1.0)


def cosine(optimizer: Optimizer, steps: float, *, min_ratio: float = 0.0) -> LambdaLR:
    """Half a cosine from the full rate to `min_ratio` of it (Loshchilov & Hutter 2017)."""
    return warmup_cosine(optimizer, steps, warmup_ratio=0.0, min_ratio=min_ratio)


def warmup_cosine(
    optimizer: Optimizer, steps: float, *, warmup_ratio: float = 0.05, min_ratio: float = 0.0
) -> LambdaLR:
    """Rises in a line over the first `warmup_ratio` of the steps, then falls as `cosine` does.

    With a `min_ratio` of 1 the rate then stays as it is.

    Raises:
        InputError: the number of steps is not known beforehand, or a ratio is out of its range.
    """
    check_probability("warmup_ratio", warmup_ratio)
    if not 0 <= min_ratio <= 1:
        raise ArgumentError("min_ratio", min_ratio, "must be from 0 to 1")
    if not math.isfinite(steps):
        raise InputError(
            "a cosine schedule must know the number of steps; set trainer.max_epochs or "
            "trainer.max_steps, or use scheduler=constant or scheduler=plateau"
        )
    warmup = round(warmup_ratio * steps)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        progress = min(1.0, (step - warmup) / max(1, steps - warmup))
        return min_ratio + (1 - min_ratio) * (1 + math.cos(math.pi * progress)) / 2

    return LambdaLR(optimizer, factor)


def plateau(
    optimizer: Optimizer, steps: float, *, factor: float = 0.5, patience: int = 3
) -> ReduceLROnPlateau:
    """Multiplies the rate by `factor` after `patience` validations without a lower loss."""
    check_at_least("patience", patience, 0)
    if not 0 < factor < 1:
        raise ArgumentError("factor", factor, "must be above 0 and below 1")
    return ReduceLROnPlateau(optimizer, factor=factor, patience=patience)
