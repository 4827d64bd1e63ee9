"""What a search found: its best trials with their commands, and what its values depend on."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.importance import get_param_importances
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from seqlab.command import single_run
from seqlab.reports.screen import print_table, screen
from seqlab.reports.study_file import Study as StudyRecord
from seqlab.reports.tables import Table
from seqlab.saving import write_json
from seqlab.sweeps.objective import Objective
from seqlab.sweeps.search_space import SearchSpace
from seqlab.sweeps.study_trials import RUN, SAME, Trials
from seqlab.terminal import say

BEST_FILE = "best.json"


def report_best(trials: Trials, objective: Objective, space: SearchSpace, folder: Path) -> None:
    """Prints the best trial, or of two objectives all that no other beats in both; writes them.

    `best.json` in the sweep's folder has for each its values, parameters, run and command.
    """
    best = best_trials(trials)
    if not best:
        return
    rows = [_row(trial, trials, objective, space) for trial in best]
    write_json(folder / BEST_FILE, rows)
    states = [trial.state for trial in trials.all()]
    complete, pruned = states.count(TrialState.COMPLETE), states.count(TrialState.PRUNED)
    console = screen()
    title = "Best trial" if len(objective.metrics) == 1 else f"Pareto front: {len(best)} trials"
    told = _table(f"{title} of {complete} complete, {pruned} pruned", rows, objective)
    print_table(console, told, len(rows))
    for row in rows:
        say(console, f"again   {row['command']}", whole=True)


def best_trials(trials: Trials) -> list[FrozenTrial]:
    """The trials that no other beats, one of each configuration, in the order of their numbers."""
    if not trials.all(TrialState.COMPLETE):
        return []
    study = trials.study
    found = [study.best_trial] if len(study.directions) == 1 else study.best_trials
    return sorted((t for t in found if SAME not in t.user_attrs), key=lambda t: t.number)


def study_record(study: Study, objective: Objective, space: SearchSpace) -> StudyRecord:
    """What reports need to know of the search, see `seqlab.reports.study_file`."""
    logarithmic = [one.name for one in space.parameters if getattr(one.distribution, "log", False)]
    return StudyRecord(list(objective.metrics), logarithmic, _importances(study))


def _importances(study: Study) -> dict[str, float]:
    """Each key's importance for the first objective, as Optuna has it; empty if it has none."""
    values = {trial.values[0] for trial in study.get_trials(states=[TrialState.COMPLETE])}
    if len(values) < 2:
        return {}
    # Of one objective Optuna knows which values are better; of two it takes the lower ones.
    sign = -1 if study.directions[0] is StudyDirection.MAXIMIZE else 1
    several = len(study.directions) > 1
    target = (lambda trial: sign * trial.values[0]) if several else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is experimental, and takes the lower values
        try:
            return get_param_importances(study, target=target)
        except (ImportError, RuntimeError, ValueError):  # nothing varies, or too few trials
            return {}


def _row(
    trial: FrozenTrial, trials: Trials, objective: Objective, space: SearchSpace
) -> dict[str, Any]:
    words = space.words(trial.params)
    return {
        "trial": trial.number,
        "values": dict(zip(objective.metrics, trial.values, strict=True)),
        "parameters": trial.params,
        "run": trial.user_attrs.get(RUN),
        "sweep_folder": trials.folder_of(trial),
        "command": single_run(_own(words)),
    }


def _own(overrides: Sequence[str]) -> list[str]:
    """The overrides that say what is trained; the others say how the search goes."""
    return [word for word in overrides if not word.startswith(("hydra", "sweep."))]


def _table(title: str, rows: Sequence[Mapping[str, Any]], objective: Objective) -> Table:
    return Table(
        title=title,
        columns=("trial", *objective.metrics, "run"),
        rows=[
            [str(row["trial"]), *(f"{v:.6g}" for v in row["values"].values()), row["run"] or ""]
            for row in rows
        ],
        numbers=frozenset({"trial", *objective.metrics}),
        raw=[dict(row) for row in rows],
    )
