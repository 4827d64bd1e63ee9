"""What we use of Lightning that is not its to show. Tried with lightning 2.6.6."""

from __future__ import annotations

from lightning import Trainer

CURRENT_HOOK = "_current_fx_name"
"""The attribute of a LightningModule in which the trainer notes the hook that runs.

It is set some fifty times a step; a module's own way of setting an attribute, which looks for
weights, would take a tenth of a millisecond of each step for it.
"""


def leave_signals_alone(trainer: Trainer) -> None:
    """Keeps the trainer from handling signals itself, for which it has no option.

    Lightning's way loses the exit status, and speaks to the other processes from inside a signal's
    handler, where it waits for them without end.
    """
    trainer._signal_connector.register_signal_handlers = lambda: None


def validation_is_due(trainer: Trainer) -> bool:
    """Whether a validation follows the training batch that has just ended."""
    loop = trainer.fit_loop
    assert loop._data_fetcher is not None  # it fetched the batch
    return loop.epoch_loop._should_check_val_fx(loop._data_fetcher)


def set_logged_step(trainer: Trainer, step: int) -> None:
    """Sets the step at which the trainer logs what comes next, without training.

    A checkpoint within an epoch is saved before the trainer counts its last step.
    """
    trainer.fit_loop.epoch_loop._batches_that_stepped = step
