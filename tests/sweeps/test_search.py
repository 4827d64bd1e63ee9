"""A search: what it tries, takes over, goes on with, records and refuses."""

from __future__ import annotations

import importlib.util
import itertools
import json
from functools import partial
from pathlib import Path

import optuna
import pytest
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from optuna.importance import get_param_importances
from optuna.samplers import CmaEsSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import TrialState

import seqlab.reports.results
import seqlab.runs.folder
from seqlab.errors import FailedJobsError, InputError, StorageError
from seqlab.sweeps.elsewhere import outcome
from seqlab.sweeps.jobs import Job
from seqlab.sweeps.lock import sweep_lock
from tests.sweeps import sweeping
from tests.sweeps.searching import METRIC, SPACE, Task, bowl, directly, study


@pytest.fixture(scope="module")
def conf(tmp_path_factory):
    return sweeping.write_conf(tmp_path_factory.mktemp("search") / "conf")


@pytest.fixture
def search(conf, tmp_path):
    """`search(task, *words, folder=…)`: `train.py -m hydra/sweeper=optuna words`."""

    def run(task, *words, folder=tmp_path / "sweep"):
        words = words if any(METRIC[:20] in word for word in words) else (*words, METRIC)
        return sweeping.sweep(task, "hydra/sweeper=optuna", *words, conf=conf, folder=folder)

    return run


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "sweep"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(seqlab.runs.folder, "environment", dict)
    monkeypatch.setattr(seqlab.reports.results, "draw", lambda *args, **options: [])


@pytest.fixture
def quick(monkeypatch):
    """Jobs are run without being composed."""

    def launch(self, points, initial_job_idx):
        return self.task_function.launch(points, Path(self.config.hydra.sweep.dir))

    monkeypatch.setattr(launchers(), "launch", launch)


def launchers() -> type:
    """The base of our launchers, which Hydra imports anew when it looks for plugins."""
    Plugins.instance()
    return importlib.import_module("hydra_plugins.seqlab_launchers").SweepLauncher


def params(found: optuna.Study, *states: TrialState) -> list[dict]:
    return [trial.params for trial in found.get_trials(states=states or None)]


SAMPLERS = {
    "tpe": (partial(TPESampler, n_startup_trials=4), ("hydra.sweeper.sampler.n_startup_trials=4",)),
    "cmaes": (partial(CmaEsSampler, warn_independent_sampling=False), ()),
    "random": (RandomSampler, ()),
    "nsga2": (
        partial(NSGAIISampler, population_size=4),
        ("hydra.sweeper.sampler.population_size=4",),
    ),
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", SAMPLERS)
def test_tries_what_optuna_itself_would(search, folder, name):
    sampler, options = SAMPLERS[name]
    search(Task(), *SPACE, f"hydra/sweeper/sampler={name}", "hydra.sweeper.n_trials=9", *options)
    assert params(study(folder)) == params(directly(sampler, 9))


@pytest.mark.usefixtures("quick")
def test_two_objectives(search, folder, capsys):
    two = "hydra.sweeper.metric=[val/loss,val/accuracy]"
    options = ("hydra/sweeper/sampler=nsga2", "hydra.sweeper.sampler.population_size=4")
    search(Task(), *SPACE, two, *options, "hydra.sweeper.n_trials=10")
    oracle = directly(
        partial(NSGAIISampler, population_size=4), 10, directions=("minimize", "maximize")
    )
    found = study(folder).get_trials()
    assert [trial.params for trial in found] == params(oracle)
    values = {tuple(trial.values) for trial in found}
    front = {
        (loss, right)
        for loss, right in values
        if not any(a <= loss and b >= right and (a, b) != (loss, right) for a, b in values)
    }
    best = json.loads((folder / "best.json").read_text())
    assert {tuple(row["values"].values()) for row in best} == front
    assert len(best) == len(front)
    assert 1 < len(front) < 10
    assert f"Pareto front: {len(front)} trials" in capsys.readouterr().out


@pytest.mark.usefixtures("quick")
def test_the_best_and_its_command(search, folder, capsys):
    task = Task()
    search(task, *SPACE, "trainer.max_epochs=3", "hydra.sweeper.n_trials=6")
    losses = [bowl(**job) for job in task.ran]
    (best,) = json.loads((folder / "best.json").read_text())
    assert best["trial"] == losses.index(min(losses))
    assert best["values"] == {"val/loss": min(losses)}
    results = json.loads((folder / best["run"] / "results.json").read_text())
    assert results["metrics"]["val/loss"] == min(losses)
    screen = capsys.readouterr()
    assert best["command"] in screen.out
    assert best["command"].endswith(" trainer.max_epochs=3")
    assert f"optuna-dashboard {folder / 'study.log'}" in screen.err
    assert len((folder / "results.csv").read_text().splitlines()) == 7
    found = json.loads((folder / "study.json").read_text())
    assert found["metrics"] == ["val/loss"]
    assert found["logarithmic"] == ["y"]
    importances = get_param_importances(study(folder))
    assert found["importances"] == pytest.approx(importances)


@pytest.mark.usefixtures("quick")
def test_goes_on_to_the_total_as_if_never_stopped(search, folder, tmp_path):
    whole = tmp_path / "whole"
    options = (*SPACE, "hydra.sweeper.sampler.n_startup_trials=3")
    search(Task(), *options, "hydra.sweeper.n_trials=8", folder=whole)
    task = Task()
    search(task, *options, "hydra.sweeper.n_trials=3")
    search(task, *options, "hydra.sweeper.n_trials=8")
    assert len(task.ran) == 8
    assert params(study(folder)) == params(study(whole))
    search(task, *options, "hydra.sweeper.n_trials=8")
    assert len(task.ran) == 8


@pytest.mark.usefixtures("quick")
def test_a_grid_has_every_point_once(search, folder):
    task = Task()
    words = ("model=rnn,gru", "+x=range(0,1,0.5)", "+y=tag('model=gru',choice(1,2))")
    search(task, *words, "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=4")
    search(task, *words, "hydra/sweeper/sampler=grid")
    ran = [(job["size"], job["x"], job["y"]) for job in task.ran]
    assert ran == [
        *((0, x, 0.0) for x in (0.0, 0.5)),
        *itertools.product((1,), (0.0, 0.5), (1, 2)),
    ]
    assert len(study(folder).trials) == 6


@pytest.mark.usefixtures("quick")
def test_conditions(search, folder):
    words = ("+y=tag('model=gru,lstm',interval(1,2))", "model=rnn,gru,lstm")
    search(Task(), *words, "hydra.sweeper.n_trials=12")
    for trial in study(folder).trials:
        assert ("y" in trial.params) == (trial.params["model"] != "rnn")
    assert {trial.params["model"] for trial in study(folder).trials} == {"rnn", "gru", "lstm"}


@pytest.mark.usefixtures("quick")
def test_what_was_tried_before_is_not_run_again(search, folder, capsys):
    task = Task()
    search(task, "model=rnn,gru", "hydra/sweeper/sampler=random", "hydra.sweeper.n_trials=6")
    assert len(task.ran) == 2
    trials = study(folder).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 6
    assert {(t.params["model"], t.value) for t in trials} == {("rnn", 0.1), ("gru", 0.11)}
    assert "whose result it takes" in capsys.readouterr().err
    assert len((folder / "results.csv").read_text().splitlines()) == 3


@pytest.mark.usefixtures("quick")
def test_trials_at_once_are_one_batch(search, folder, monkeypatch):
    launch, sizes = launchers().launch, []

    def count(self, points, initial_job_idx):
        sizes.append((initial_job_idx, len(points)))
        return launch(self, points, initial_job_idx)

    monkeypatch.setattr(launchers(), "launch", count)
    search(Task(), *SPACE, "hydra.sweeper.n_jobs=3", "hydra.sweeper.n_trials=7")
    assert sizes == [(0, 3), (3, 3), (6, 1)]
    assert [trial.state for trial in study(folder).trials] == [TrialState.COMPLETE] * 7
    # Two trials of a batch with the same parameters are one job.
    task = Task()
    search(
        task, "model=rnn,gru", "hydra.sweeper.n_jobs=5", "hydra.sweeper.n_trials=5",
        folder=folder.with_name("same"),
    )  # fmt: skip
    assert len(task.ran) == 2
    assert len(params(study(folder.with_name("same")), TrialState.COMPLETE)) == 5


def test_jobs_are_handed_their_trials(search, folder):
    task = Task()
    search(task, *SPACE, "hydra.sweeper.n_trials=3", "hydra/sweeper/pruner=median")
    assert [handed.number for handed in task.handed] == [0, 1, 2]
    handed = task.handed[0]
    assert (handed.storage, handed.study) == (str(folder / "study.log"), "search")
    assert handed.metric == "val/loss"
    assert handed.pruner == {
        "name": "median", "n_startup_trials": 5, "n_warmup_steps": 0, "interval_steps": 1,
    }  # fmt: skip


def fail(folder):
    raise RuntimeError("something broke")


def diverge(folder):
    folder.end("finished", metrics={"val/loss": float("nan")})
    raise SystemExit(0)


def test_failures_are_told_and_tried_again(search, folder):
    task = Task({2: fail})
    with pytest.raises(FailedJobsError, match="1 of 4 trials failed"):
        search(task, *SPACE, "hydra.sweeper.n_trials=4")
    trials = study(folder).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert "something broke" in trials[1].user_attrs["reason"]
    mended = Task()
    search(mended, *SPACE, "hydra.sweeper.n_trials=4")
    assert mended.ran == task.ran[1:2]
    trials = study(folder).trials
    assert (trials[4].state, trials[4].params) == (TrialState.COMPLETE, trials[1].params)
    search(mended, *SPACE, "hydra.sweeper.n_trials=4")
    assert len(mended.ran) == 1


def test_stop_on_failure(search, folder):
    task = Task({2: fail})
    options = (*SPACE, "hydra.sweeper.n_trials=4", "sweep.stop_on_failure=true")
    with pytest.raises(FailedJobsError):
        search(task, *options)
    assert len(task.ran) == 2
    search(task, *options)
    assert len(task.ran) == 5
    assert len(params(study(folder), TrialState.COMPLETE)) == 4


def test_not_a_number_is_a_failure(search, folder, monkeypatch):
    monkeypatch.setattr("tests.sweeps.searching.bowl", lambda x, y, size: float("nan"))
    with pytest.raises(FailedJobsError, match="2 of 2"):
        search(Task(), *SPACE, "hydra.sweeper.n_trials=2")
    assert "val/loss nan" in study(folder).trials[0].user_attrs["reason"]


def test_ctrl_c_and_on_from_last(search, folder):
    def press(run):
        (run.path / "checkpoints").mkdir()
        (run.path / "checkpoints" / "last.ckpt").touch()
        raise KeyboardInterrupt

    task = Task({2: press})
    with pytest.raises(KeyboardInterrupt):
        search(task, *SPACE, "hydra.sweeper.n_trials=3")
    assert [t.state.name for t in study(folder).trials] == ["COMPLETE", "FAIL", "WAITING"]
    again = Task()
    search(again, *SPACE, "hydra.sweeper.n_trials=3")
    assert again.ran[0] == task.ran[1]
    assert len(again.ran) == 2
    assert params(study(folder), TrialState.COMPLETE) == params(directly(TPESampler, 3))


def test_a_trial_that_its_sweeper_left_is_run_again(search, folder):
    """As `kill -9` leaves it: running, with or without parameters and owner."""
    search(Task(), *SPACE, "hydra.sweeper.n_trials=2")
    left = study(folder)
    left.sampler = RandomSampler(seed=5)
    trial = left.ask()
    x = trial.suggest_float("x", 0, 1)
    left.ask()
    task = Task()
    search(task, *SPACE, "hydra.sweeper.n_trials=5")
    states = [trial.state.name for trial in study(folder).trials]
    assert states == ["COMPLETE", "COMPLETE", "FAIL", "FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert task.ran[0]["x"] == pytest.approx(x, abs=1e-5)
    assert len(task.ran) == 3


@pytest.mark.usefixtures("quick")
def test_a_journal_cut_in_the_middle_of_a_line(search, folder):
    search(Task(), *SPACE, "hydra.sweeper.n_trials=2")
    journal = folder / "study.log"
    journal.write_bytes(journal.read_bytes()[:-20])
    search(Task(), *SPACE, "hydra.sweeper.n_trials=3")
    assert len(params(study(folder), TrialState.COMPLETE)) == 3


def test_a_storage_that_goes_away(search, folder):
    """The jobs' results stay, and are taken over by another search for the same."""
    task = Task({2: lambda run: (folder / "study.log").unlink()})
    with pytest.raises(StorageError, match=r"study\.log cannot be used .* goes on"):
        search(task, *SPACE, "hydra.sweeper.n_trials=3")
    found = [json.loads(path.read_text()) for path in folder.glob("*/results.json")]
    assert [results["status"] for results in found] == ["finished"] * 2
    again = Task()
    search(again, *SPACE, "hydra.sweeper.n_trials=3")
    assert len(again.ran) == 1
    assert len(params(study(folder), TrialState.COMPLETE)) == 3


def test_a_preset_and_the_command_line(search, folder):
    task = Task()
    preset = '+hydra.sweeper.params={model: "rnn,gru", +x: "tag(log,interval(0.1,1))"}'
    search(task, preset, "hydra.sweeper.n_trials=3", "model=lstm")
    assert [job["size"] for job in task.ran] == [2] * 3
    assert all(set(trial.params) == {"x"} for trial in study(folder).trials)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("seed=1",), "nothing to search"),
        (("model=rnn,gru", "hydra.sweeper.sampler=tpe"), "write hydra/sweeper/sampler=tpe"),
        (("model=rnn,gru", "hydra.sweeper.sampler.name=best"), "one of tpe, cmaes, random, grid"),
        (("model=rnn,gru", "hydra.sweeper.pruner.name=best"), "one of none, median, hyperband"),
        (("model=rnn,gru", "hydra/sweeper/sampler=cmaes"), "needs a range of numbers"),
        (("+x=interval(0,1)", "hydra/sweeper/sampler=grid"), "needs values"),
        (("model=rnn,gru", "hydra.sweeper.n_trials=0"), "n_trials=0 must be at least 1"),
        (("model=rnn,gruu",), "model=gruu does not exist; did you mean gru"),
        (("model=rnn,3",), "model=3 does not exist; use one of gru"),
        (("model=rnn,gru", "hydra.sweeper.n_jobs=two"), "n_jobs=two must be a whole number"),
        (("model=rnn,gru", "hydra.sweeper.metric=test/loss"), "use val/loss"),
        (("model=rnn,gru", "hydra.sweeper.metric=val/coverage"), "minimize or maximize"),
        (("model=rnn,gru", "hydra.sweeper.direction=up"), "must be minimize or maximize"),
        (
            (
                "model=rnn,gru",
                "hydra.sweeper.metric=[val/loss,parameters]",
                "hydra/sweeper/pruner=median",
            ),
            "judges by one metric",
        ),
        (
            (
                "+x=interval(0,1)",
                "hydra.sweeper.metric=[val/loss,parameters]",
                "hydra/sweeper/sampler=cmaes",
            ),
            "one objective",
        ),
        (("model=rnn,gru", "hydra.sweeper.storage=a.log"), "add hydra.sweeper.study=NAME"),
        (
            ("model=rnn,gru", "hydra.sweeper.storage=oops://x", "hydra.sweeper.study=a"),
            "PostgreSQL|database",
        ),
        (("model=rnn,gru", "sweep.zip=[[model,seed]]"), "leave it out of a search"),
        (("model=rnn,gru", "hydra.sweeper.metric=val/f1"), "val/f1 is not a known metric"),
        (("model=rnn,gru", "sweep.points=points.csv"), "leave it out of a search"),
        (
            (
                "model=rnn,gru",
                "hydra/sweeper/pruner=median",
                "hydra.sweeper.pruner.interval_steps=0",
            ),
            "interval",
        ),
    ],
)
def test_refused_before_anything_runs(search, words, message):
    task = Task()
    with pytest.raises(InputError, match=message):
        search(task, *words)
    assert task.ran == []


@pytest.mark.usefixtures("quick")
def test_another_search_under_the_same_name(search, folder):
    search(Task(), *SPACE, "hydra.sweeper.n_trials=2")
    before = (folder / "study.log").read_bytes()
    task = Task()
    for words, difference in (
        (("+x=interval(0,2)", *SPACE[1:]), r"x: 0\.0 to 1\.0 there, 0\.0 to 2\.0 here"),
        ((*SPACE, "trainer.max_epochs=7"), "trainer.max_epochs: not set there, 7 here"),
        ((*SPACE, "hydra.sweeper.metric=val/accuracy"), "minimize val/loss, .* maximize val/acc"),
    ):
        with pytest.raises(InputError, match=difference):
            search(task, *words, "hydra.sweeper.n_trials=3")
    assert task.ran == []
    assert (folder / "study.log").read_bytes() == before  # nothing was lost, nothing added
    # Where and how it is run makes no other search.
    search(task, *SPACE, "hydra.sweeper.n_trials=3", "trainer.accelerator=cpu", "logger=none")
    assert len(task.ran) == 1


def test_a_metric_that_the_runs_lack(search, folder):
    task = Task()
    with pytest.raises(InputError, match=r"val/bleu is not among .*; use one of .*val/accuracy"):
        search(task, *SPACE, "hydra.sweeper.n_trials=3", "hydra.sweeper.metric=val/bleu")
    assert len(task.ran) == 1
    # Nothing was found out by then: the study is made anew, and the run is not repeated.
    search(task, *SPACE, "hydra.sweeper.n_trials=3")
    assert len(task.ran) == 3
    assert params(study(folder), TrialState.COMPLETE) == params(directly(TPESampler, 3))


def test_a_mistyped_key_leaves_nothing_in_the_way(search, folder):
    task = Task()
    with pytest.raises(HydraException, match="traner"):
        search(task, "traner.max_epochs=1,2", "hydra.sweeper.n_trials=2")
    assert task.ran == []
    search(task, "trainer.max_epochs=1,2", "hydra.sweeper.n_trials=2")
    assert task.ran


@pytest.mark.parametrize(("status", "reason"), [("pruned", None), ("failed", "failed")])
def test_pruned_is_no_failure_wherever_the_job_ran(tmp_path, status, reason):
    (tmp_path / "results.json").write_text(json.dumps({"status": status}))
    job = Job(0, [], "", tmp_path, None, "", None)
    assert outcome(job, "died") == reason


def test_two_in_a_folder(search, folder):
    folder.mkdir()
    with sweep_lock(folder), pytest.raises(InputError, match="in use by another sweep"):
        search(Task(), *SPACE)
    assert not Path(folder / "study.log").exists()


def test_without_optuna(search, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "optuna" else find(name)
    )
    with pytest.raises(InputError, match=r"pip install 'seqlab\[optuna\]'"):
        search(Task(), *SPACE)
