"""Which way a metric gets better: the one place that knows. Imports nothing."""

from __future__ import annotations

from typing import Literal

Direction = Literal["larger", "smaller"]

# Errors and losses, also as parts of a name: `scaled_mae`, `naive_mae`, `free_loss`.
SMALLER = ("loss", "perplexity", "mae", "mse", "rmse", "smape", "mase", "rmsse", "crps", "pinball")
SMALLER += ("edit_distance", "calibration_error")
# Neither way is better: what is wanted is a certain value, or nothing at all.
NEITHER = ("coverage", "width", "margin", "entropy", "monotonicity", "lr-", "parameters")


def direction(metric: str) -> Direction | None:
    """Which values of a metric are better; None where neither are.

    Args:
        metric: its name, with or without the stage: `accuracy`, `test/loss`.
    """
    name = metric.rpartition("/")[2]
    if any(word in name for word in NEITHER):
        return None
    if any(name == word or name.endswith(f"_{word}") for word in SMALLER):
        return "smaller"
    return "larger"
