"""What a study searches and judges by; nothing else gets into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import TrialState

from seqlab.errors import InputError
from seqlab.sweeps.objective import Objective
from seqlab.sweeps.search_space import SearchSpace

DEFINITION = "definition"


def open_study(
    storage: BaseStorage,
    name: str,
    *,
    objective: Objective,
    space: SearchSpace,
    pruner: BasePruner,
    settings: Mapping[str, str],
    place: str,
    alone: bool,
) -> Study:
    """The study of this name, made if there is none; one without a result may be made anew.

    Args:
        storage: where it is kept.
        name: its name.
        objective: what it judges by.
        space: what is searched.
        pruner: ends hopeless trials.
        settings: the fixed settings that decide over what its values mean.
        place: the storage in words.
        alone: no other sweeper can use the storage, so that what seems to run does not.

    Raises:
        InputError: the study that is there searches or judges otherwise.
    """
    definition = {"objective": objective.told(), "space": space.told(), "settings": dict(settings)}
    if name in optuna.get_all_study_names(storage):
        study = optuna.load_study(study_name=name, storage=storage, pruner=pruner)
        found = study.user_attrs.get(DEFINITION)
        states = {trial.state for trial in study.get_trials(deepcopy=False)}
        without = {TrialState.FAIL, *((TrialState.RUNNING, TrialState.WAITING) if alone else ())}
        if found in (None, definition) or not states <= without:
            _check_same(found, definition, f"study {name} in {place}")
            return study
        optuna.delete_study(study_name=name, storage=storage)
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=list(objective.directions),
        pruner=pruner,
        load_if_exists=True,  # another sweeper may make it meanwhile
    )
    if study.user_attrs.get(DEFINITION) is None and not study.get_trials(deepcopy=False):
        study.set_user_attr(DEFINITION, definition)
    _check_same(study.user_attrs.get(DEFINITION), definition, f"study {name} in {place}")
    return study


def _check_same(found: Any, wanted: Mapping[str, Any], where: str) -> None:
    if found == wanted:
        return
    if not found:
        raise InputError(f"the {where} was not made by SeqLab; give another hydra.sweeper.study")
    differences = []
    if found["objective"] != wanted["objective"]:
        differences.append(f"it {found['objective']}, this command {wanted['objective']}")
    for part in ("space", "settings"):
        for key in dict.fromkeys([*found[part], *wanted[part]]):
            there, here = found[part].get(key), wanted[part].get(key)
            if there != here:
                differences.append(f"{key}: {there or 'not set'} there, {here or 'not set'} here")
    raise InputError(
        f"the {where} searches something else ({'; '.join(differences)}); give the command that "
        "began it, or another hydra.sweep.dir or hydra.sweeper.study"
    )
