"""What we use of Optuna that is not its to show. Tried with optuna 5.0.0."""

from __future__ import annotations

import optuna
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.trial import FrozenTrial

# The base of the locks that JournalFileBackend takes. Optuna's own locks outlive a killed process.
JournalLock = BaseJournalFileLock


def trial_id(trial: optuna.Trial | FrozenTrial) -> int:
    """The trial's place in its storage, which the public `Trial(study, id)` and storages ask for.

    The public `number` counts within the study.
    """
    return trial._trial_id
