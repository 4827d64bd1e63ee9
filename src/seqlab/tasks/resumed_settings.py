"""Optimizer and schedule of a resumed run: progress from the checkpoint, settings from the user."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from seqlab.private.torch import set_last_rates

# How far a plateau schedule is; the rest of its state are settings.
PLATEAU_PROGRESS = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch", "_last_lr")


def group_settings(optimizer: Optimizer) -> list[dict[str, Any]]:
    """The settings of each parameter group."""
    groups = optimizer.param_groups
    return [{key: value for key, value in group.items() if key != "params"} for group in groups]


def apply_settings(
    optimizer: Optimizer, settings: list[dict[str, Any]], former_rates: list[float]
) -> None:
    """Gives an optimizer whose state was restored its settings back.

    A learning rate that was reduced on the way stays reduced by as much.

    Args:
        optimizer: with the state of the checkpoint.
        settings: of each parameter group, as `group_settings` found them when it was made.
        former_rates: the learning rate of each group with which the run was begun.
    """
    for group, wanted, former in zip(optimizer.param_groups, settings, former_rates, strict=True):
        rate = group["lr"]
        if wanted["lr"] != former:
            rate = wanted["lr"] * (rate / former if former else 1.0)
        group.update(wanted)
        group["lr"] = rate


def continue_schedule(scheduler: LRScheduler, settings: list[dict[str, Any]], steps: int) -> None:
    """Puts a schedule that is a function of the step to where it would be after some steps."""
    if not isinstance(scheduler, LambdaLR):
        return
    scheduler.base_lrs = [group["lr"] for group in settings]
    scheduler.last_epoch = steps
    rates = [
        base * factor(steps)
        for base, factor in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
    ]
    for group, base, rate in zip(
        scheduler.optimizer.param_groups, scheduler.base_lrs, rates, strict=True
    ):
        group["lr"], group["initial_lr"] = rate, base
    set_last_rates(scheduler, rates)


def continue_plateau(scheduler: ReduceLROnPlateau, state: dict[str, Any]) -> None:
    """Puts a plateau schedule to where it was, with its own settings."""
    scheduler.load_state_dict({key: state[key] for key in PLATEAU_PROGRESS if key in state})
