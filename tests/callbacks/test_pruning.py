"""What a trial reports, and when it is stopped: held to the median rule written out."""

from __future__ import annotations

import csv
import json
import os
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

import optuna
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from seqlab.errors import InputError
from seqlab.trials.handover import VARIABLE, HandedTrial
from seqlab.trials.pruners import make_pruner
from seqlab.trials.storage import open_storage
from tests.conftest import ROOT, SMALL

METRIC = "val/loss"
MEDIAN = {"name": "median", "n_startup_trials": 1, "n_warmup_steps": 0, "interval_steps": 1}
RUN = (
    *SMALL,
    "trainer.max_epochs=4",
    "optimizer.lr=0.005",
    "trainer.enable_progress_bar=false",
    "trainer.enable_model_summary=false",
    "trainer.accelerator=cpu",
    "logger=csv",
)


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "study.log"


@pytest.fixture
def hand(journal, monkeypatch):
    """`hand(others)`: puts a new trial beside complete ones into the environment; the study."""

    def make(others=(), *, metric=METRIC, pruner=MEDIAN):
        storage = open_storage(str(journal), create=True)
        study = optuna.create_study(storage=storage, study_name="s", load_if_exists=True)
        for values in others:
            study.add_trial(
                create_trial(
                    state=TrialState.COMPLETE,
                    value=values[-1],
                    params={"x": 0.5},
                    distributions={"x": FloatDistribution(0, 1)},
                    intermediate_values=dict(enumerate(values)),
                )
            )
        trial = study.ask()
        handed = HandedTrial(str(journal), "s", trial.number, metric, pruner)
        monkeypatch.setenv(VARIABLE, json.dumps(handed.__dict__))
        return study

    return make


def reported(study: optuna.Study) -> list[float]:
    values = study.trials[-1].intermediate_values
    assert list(values) == list(range(len(values)))
    return list(values.values())


def measured(folder: Path, metric: str = METRIC) -> list[float]:
    """The metric's values as the run's own log has them."""
    with (folder / "metrics.csv").open() as file:
        return [float(row["value"]) for row in csv.DictReader(file) if row["metric"] == metric]


@pytest.fixture
def history(train, tmp_path, _known=[]):  # noqa: B006  # trained once for all tests
    """The losses of the run below when nothing stops it."""
    if not _known:
        train(*RUN, folder=tmp_path / "history")
        _known += measured(tmp_path / "history")
    assert len(_known) == 4
    assert _known[0] > _known[1] > _known[2] > _known[3]
    return _known


def steps_by_the_median_rule(history: list[float], others: list[list[float]]) -> int:
    """How many validations there are before the best so far is worse than the others' median."""
    for step in range(len(history)):
        if min(history[: step + 1]) > statistics.median(values[step] for values in others):
            return step + 1
    return len(history)


@pytest.mark.parametrize("last", [1, 2, 4])
def test_stops_where_the_median_rule_does(history, train, hand, last):
    """`last` validations, then two of three others are better."""
    shifts = [[0.1, 0.1, -0.1], [-0.1, -0.1, 0.1]]
    others = [
        [loss + shifts[step >= last - 1][number] for step, loss in enumerate(history)]
        for number in range(3)
    ]
    if last == 4:
        others[0][3] += 0.3
    wanted = steps_by_the_median_rule(history, others)
    assert wanted == last
    study = hand(others)
    results = train(*RUN)
    assert reported(study) == pytest.approx(history[:wanted], abs=1e-6)
    assert results["status"] == ("pruned" if wanted < 4 else "finished")
    # What is pruned is not tested; what it got in validation is kept.
    assert ("test/loss" in results["metrics"]) == (wanted == 4)
    assert results["metrics"][METRIC] == pytest.approx(min(history[:wanted]), abs=1e-6)


def play(study: optuna.Study, values: list[float]) -> int:
    """A trial that reports values until it is pruned; how many it reported."""
    trial = study.ask()
    for step, value in enumerate(values):
        trial.report(value, step)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return step + 1
    study.tell(trial, values[-1])
    return len(values)


# The options, the metric's direction, and after how many validations it stops.
RULES = [
    ("hydra/sweeper/pruner=hyperband", "minimize", 2),
    ("hydra/sweeper/pruner=successive_halving", "minimize", 2),
    # The losses fall: whoever wants them high sees nothing better.
    ("hydra/sweeper/pruner=patient hydra.sweeper.pruner.patience=1", "maximize", 3),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule[0].split("=")[1])
def test_stops_where_optuna_does(history, train, hand, journal, rule):
    """The same pruner on a study in memory; every former trial was better."""
    words, direction, stops = rule
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        overrides = ["hydra/sweeper=optuna", "trainer.max_epochs=4", *words.split()]
        config = compose("train", overrides, return_hydra_config=True)
        settings = OmegaConf.to_container(config.hydra.sweeper.pruner, resolve=True)
    make = partial(
        optuna.create_study, study_name="s", direction=direction, pruner=make_pruner(settings)
    )
    alone, kept = make(), make(storage=open_storage(str(journal), create=True))
    for number in range(7):
        better = [value - 0.1 - number / 100 for value in history]
        assert play(kept, better) == play(alone, better)
    assert play(alone, history) == stops
    study = hand(pruner=settings)
    results = train(*RUN)
    assert results["status"] == "pruned"
    assert reported(study) == pytest.approx(history[:stops], abs=1e-6)


def test_gone_on_with_another_trial_reports_all(history, train, hand, tmp_path):
    never = {"name": "none"}
    study = hand(pruner=never)
    short = [word.replace("max_epochs=4", "max_epochs=2") for word in RUN]
    train(*short)
    assert len(reported(study)) == 2
    study = hand(pruner=never)
    train(*RUN, "ckpt_path=last")
    assert reported(study) == pytest.approx(history, abs=1e-6)
    assert measured(tmp_path / "run") == pytest.approx(history, abs=1e-6)


def test_a_study_out_of_reach_judges_nothing(train, hand, journal, capsys):
    hand([[0.0] * 4] * 2)
    journal.unlink()
    results = train(*RUN, "trainer.max_epochs=1")
    assert results["status"] == "finished"
    assert "training goes on without being judged" in capsys.readouterr().err


def test_a_metric_that_is_not_measured(train, hand):
    hand(metric="val/f1")
    with pytest.raises(InputError, match=r"val/f1 is not among .* use one of val/accuracy, .*loss"):
        train(*RUN)


def test_all_processes_stop_together(history, hand, tmp_path):
    """Two of them on gloo: the second one asks nobody and stops with the first."""
    study = hand([[history[0] + 0.1, -1.0, -1.0, -1.0]] * 3)
    folder = tmp_path / "run"
    done = subprocess.run(
        [
            sys.executable, "train.py", *RUN, f"hydra.run.dir={folder}",
            "trainer.devices=2", "trainer.strategy=ddp",
        ],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "results.json").read_text())["status"] == "pruned"
    assert reported(study) == pytest.approx(history[:2], abs=1e-4)
