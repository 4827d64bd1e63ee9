"""Asks the search that a run is a trial of whether the run is worth going on with."""

from __future__ import annotations

from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn
from rich.console import Console

from seqlab.errors import InputError, StorageError
from seqlab.terminal import say
from seqlab.trials.handover import NOT_MEASURED, HandedTrial, handed_trial


class PruningCallback(Callback):
    """Reports each validation to the study; where its pruner says so, training stops.

    The first process asks and tells the others, so that all of them stop together. A run that no
    search handed a trial to is left alone.

    Attributes:
        pruned: training was stopped because the trial is hopeless.
    """

    def __init__(self) -> None:
        self.pruned = False
        self._handed: HandedTrial | None = None
        self._judge: _Judge | None = None
        # One value a validation, those before a checkpoint that was gone on from among them.
        self._values: list[float] = []

    @property
    def metric(self) -> str | None:
        """The metric that is reported; None in a run of no search."""
        return None if self._handed is None else self._handed.metric

    def state_dict(self) -> dict[str, Any]:
        return {"values": self._values}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._values = list(state_dict["values"])

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        self._handed = handed_trial()
        if self._handed is not None and self._handed.metric and trainer.is_global_zero:
            self._judge = _Judge(self._handed)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._judge is not None:
            for step, value in enumerate(self._values):
                self._judge.report(step, value)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or trainer.state.fn != TrainerFn.FITTING:
            return
        if self._handed is None or self._handed.metric is None:
            return
        self._values.append(measured(trainer, self._handed.metric))
        hopeless = self._judge is not None and self._judge.report(
            len(self._values) - 1, self._values[-1], ask=True
        )
        if trainer.strategy.broadcast(hopeless):
            trainer.should_stop = self.pruned = True


def measured(trainer: Trainer, metric: str) -> float:
    """A metric as it was logged last.

    Raises:
        InputError: the run does not have it.
    """
    there = trainer.callback_metrics
    if metric not in there:
        names = ", ".join(sorted(name for name in there if name.startswith("val/")))
        raise InputError(f"hydra.sweeper.metric={metric} {NOT_MEASURED}; use one of {names}")
    return there[metric].item()


class _Judge:
    """The study, as far as one of its trials needs it; a study out of reach judges nothing."""

    def __init__(self, handed: HandedTrial) -> None:
        import optuna

        from seqlab.private.optuna import trial_id
        from seqlab.trials.pruners import make_pruner
        from seqlab.trials.storage import open_storage, reaching

        self._reaching = lambda: reaching(handed.storage)
        self._trial: optuna.Trial | None = None
        try:
            with self._reaching():
                study = optuna.load_study(
                    study_name=handed.study,
                    storage=open_storage(handed.storage),
                    sampler=optuna.samplers.RandomSampler(),
                    pruner=make_pruner(handed.pruner),
                )
                trials = study.get_trials(deepcopy=False)
                self._trial = optuna.Trial(study, trial_id(trials[handed.number]))
        except (StorageError, KeyError) as error:
            self._do_without(error)

    def report(self, step: int, value: float, *, ask: bool = False) -> bool:
        """Adds a value to the study; with `ask`, whether the trial is hopeless."""
        if self._trial is None:
            return False
        try:
            with self._reaching():
                self._trial.report(value, step)
                return ask and self._trial.should_prune()
        except (StorageError, KeyError) as error:
            self._do_without(error)
            return False

    def _do_without(self, error: Exception) -> None:
        """What is trained is worth more than being asked about: the run goes on."""
        self._trial = None
        told = f"warning: {error}; training goes on without being judged"
        say(Console(stderr=True), told, style="yellow")
