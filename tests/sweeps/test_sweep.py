"""What a sweep runs, skips, records and tells."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.errors import MissingConfigException
from pyarrow import parquet

import seqlab.runs.folder
from seqlab.errors import FailedJobsError, InputError
from seqlab.reports.collect import sweep_runs
from seqlab.runs.folder import RunFolder
from seqlab.sweeps.lock import sweep_lock
from tests.sweeps import sweeping


class Task:
    """Writes results; `bad` maps a seed to what its job does instead."""

    def __init__(self, bad=None):
        self.bad = bad or {}
        self.ran = []
        self.started_from = {}

    def __call__(self, config):
        choices = HydraConfig.get().runtime.choices
        job = (choices["model"], config.seed)
        self.ran.append(job)
        self.started_from[job] = config.ckpt_path
        with RunFolder(HydraConfig.get().runtime.output_dir, config) as folder:
            if config.seed in self.bad:
                self.bad[config.seed](folder)
            folder.end("finished", metrics={"test/loss": config.seed / 8})


@pytest.fixture(scope="module")
def conf(tmp_path_factory):
    return sweeping.write_conf(tmp_path_factory.mktemp("sweeps") / "conf")


@pytest.fixture
def sweep(conf):
    return partial(sweeping.sweep, conf=conf)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(seqlab.runs.folder, "environment", dict)


def rows(folder: Path, name: str = "results.csv") -> list[dict[str, str]]:
    with (folder / name).open() as file:
        return list(csv.DictReader(file))


def test_jobs_tables_and_a_second_time(sweep, tmp_path, capsys):
    task = Task()
    sweep(task, "model=rnn,gru", "seed=1,2", "trainer.max_epochs=3", folder=tmp_path)
    assert task.ran == [("rnn", 1), ("rnn", 2), ("gru", 1), ("gru", 2)]
    found = rows(tmp_path)
    assert [(row["model"], int(row["seed"])) for row in found] == task.ran
    assert all(row["status"] == "finished" and row["trainer.max_epochs"] == "3" for row in found)
    assert [float(row["test/loss"]) for row in found] == [1 / 8, 2 / 8, 1 / 8, 2 / 8]
    # Folders are named by what tells them apart.
    assert all(row["run"].startswith(f"model_{row['model']}-seed_{row['seed']}-") for row in found)
    assert not [row["run"] for row in found if "max_epochs" in row["run"]]
    columns = parquet.read_table(tmp_path / "results.parquet").to_pydict()
    assert columns["seed"] == [1, 2, 1, 2]
    assert columns["model"] == ["rnn", "rnn", "gru", "gru"]
    assert columns["test/loss"] == [1 / 8, 2 / 8, 1 / 8, 2 / 8]
    summary = rows(tmp_path, "summary.csv")
    assert [(row["model"], row["n"], float(row["mean"])) for row in summary] == [
        ("rnn", "2", 3 / 16),
        ("gru", "2", 3 / 16),
    ]
    screen = capsys.readouterr()
    assert "test/loss" in screen.out
    assert "max_epochs" not in screen.out  # it is the same in all

    # What is shown and where it lies does not make another job; a further model does.
    again = Task()
    shown = ("trainer.enable_progress_bar=false", "logger=none", "trainer.max_epochs=3")
    sweep(again, "seed=2,1", "model=gru,lstm,rnn", *shown, folder=tmp_path)
    assert again.ran == [("lstm", 2), ("lstm", 1)]
    assert "4 of 6 jobs are finished already" in capsys.readouterr().err
    assert len(rows(tmp_path)) == 6
    moved = tmp_path.with_name("moved")
    tmp_path.rename(moved)
    sweep(again, "model=rnn,gru", "seed=1,2", "trainer.max_epochs=3", folder=moved)
    assert len(again.ran) == 2
    sweep(again, "model=rnn", "seed=1", "trainer.max_epochs=4", folder=moved)
    assert again.ran[2:] == [("rnn", 1)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("job.json", text) for text in ("[]", "{", '{"identity": 3}', "[" * 100_000)),
        *(("results.json", text) for text in ("[]", '{"metrics": [1]}', '{"status": 3}')),
        *((".identities.json", text) for text in ("[]", '{"fingerprint": []}')),
    ],
)
def test_an_odd_file_costs_its_own_job_at_most(sweep, tmp_path, capsys, name, content):
    task = Task()
    words = ("model=rnn,gru", "seed=1")
    sweep(task, *words, folder=tmp_path)
    (run,) = tmp_path.glob("model_rnn*")
    place = (tmp_path if name.startswith(".") else run) / name
    assert place.is_file()
    place.write_text(content)
    capsys.readouterr()
    sweep(task, *words, folder=tmp_path)
    again = [] if name.startswith(".") else [("rnn", 1)]
    assert task.ran == [("rnn", 1), ("gru", 1), *again]
    assert [row["status"] for row in rows(tmp_path)] == ["finished"] * 2


def fail(folder):
    raise RuntimeError("something\nbroke")


def misuse(folder):
    raise InputError("hidden_size=0 must be at least 1")


def leave(folder):
    raise SystemExit(3)


def press_ctrl_c(folder):
    (folder.path / "checkpoints").mkdir()
    (folder.path / "checkpoints" / "last.ckpt").touch()
    raise KeyboardInterrupt


def test_failures_are_recorded_and_tried_again(sweep, tmp_path, capsys):
    task = Task({2: fail, 3: misuse, 4: leave})
    with pytest.raises(FailedJobsError, match="3 of 5 jobs failed"):
        sweep(task, "seed=1,2,3,4,5", folder=tmp_path)
    assert [seed for _, seed in task.ran] == [1, 2, 3, 4, 5]
    reasons = {row["seed"]: row["reason"] for row in rows(tmp_path) if row["status"] == "failed"}
    assert reasons["2"].startswith("RuntimeError: something")
    assert reasons["3"] == "hidden_size=0 must be at least 1"
    assert "status 3" in reasons["4"]
    # A fault of ours keeps its traceback, a user's needs none.
    traces = {path.parent.name.split("-")[0]: path for path in tmp_path.rglob("error.txt")}
    assert set(traces) == {"seed_2", "seed_4"}
    assert "in fail" in traces["seed_2"].read_text()
    assert "Traceback" not in capsys.readouterr().err

    mended = Task()
    sweep(mended, "seed=1,2,3,4,5", folder=tmp_path)
    assert [seed for _, seed in mended.ran] == [2, 3, 4]
    assert {row["status"] for row in rows(tmp_path)} == {"finished"}
    assert not list(tmp_path.rglob("error.txt"))


def test_stop_on_failure(sweep, tmp_path):
    task = Task({2: misuse})
    with pytest.raises(FailedJobsError, match="1 of 3"):
        sweep(task, "seed=1,2,3", "sweep.stop_on_failure=true", folder=tmp_path)
    assert [seed for _, seed in task.ran] == [1, 2]


def test_ctrl_c_ends_the_sweep_and_it_goes_on_from_last(sweep, tmp_path):
    task = Task({2: press_ctrl_c})
    with pytest.raises(KeyboardInterrupt):
        sweep(task, "model=rnn", "seed=1,2,3", folder=tmp_path)
    assert [row["status"] for row in rows(tmp_path)] == ["finished", "interrupted"]
    again = Task()
    sweep(again, "model=rnn", "seed=1,2,3", folder=tmp_path)
    assert again.started_from == {("rnn", 2): "last", ("rnn", 3): None}
    assert [row["status"] for row in rows(tmp_path)] == ["finished"] * 3


def test_mistyped_before_anything_runs(sweep, tmp_path):
    task = Task()
    with pytest.raises(MissingConfigException):
        sweep(task, "model=rnn,gruu", folder=tmp_path)
    assert task.ran == []


def test_a_number_as_a_choice_before_anything_runs(sweep, tmp_path):
    task = Task()
    with pytest.raises(InputError, match="model=3 does not exist; use one of bigru"):
        sweep(task, "model=rnn,3", folder=tmp_path)
    assert task.ran == []


def test_in_use(sweep, tmp_path):
    task = Task()
    with sweep_lock(tmp_path), pytest.raises(InputError, match="in use by another sweep"):
        sweep(task, "seed=1,2", folder=tmp_path)
    assert task.ran == []


def test_zipped(sweep, tmp_path):
    task = Task()
    sweep(task, "model=rnn,gru", "seed=1,2", "sweep.zip=[[model,seed]]", folder=tmp_path)
    assert task.ran == [("rnn", 1), ("gru", 2)]


def test_preset(sweep, tmp_path):
    task = Task()
    sweep(task, "+hydra.sweeper.params.seed='5,6'", folder=tmp_path)
    assert [seed for _, seed in task.ran] == [5, 6]


def test_one_folder_for_two_jobs(sweep, tmp_path):
    task = Task()
    with pytest.raises(InputError, match=r"two jobs .*seed=2.*hydra.job.id"):
        sweep(task, "seed=1,2", "hydra.sweep.subdir=run", folder=tmp_path)
    with pytest.raises(InputError, match="leads out"):
        sweep(task, "seed=1,2", f"hydra.sweep.subdir={tmp_path.parent}/x", folder=tmp_path)
    assert task.ran == []


def test_folders_of_ones_own_naming(sweep, tmp_path):
    for _ in range(2):
        sweep(Task(), "model=rnn", "seed=1,2", "hydra.sweep.subdir='s/${seed}'", folder=tmp_path)
    assert [run.folder for run in sweep_runs(tmp_path)] == [tmp_path / "s/1", tmp_path / "s/2"]


def test_one_job_spelled_twice_runs_once(sweep, tmp_path):
    task = Task()
    sweep(task, "model=rnn", "seed=1,1", folder=tmp_path)
    assert task.ran == [("rnn", 1)]


def test_a_job_does_not_change_the_next(sweep, tmp_path, monkeypatch):
    """Environment, command line and torch's settings are what they were."""
    import os
    import sys

    import torch

    seen = []

    def task(config):
        seen.append(
            (os.environ.get("LOCAL_RANK"), torch.are_deterministic_algorithms_enabled(), sys.argv)
        )
        os.environ["LOCAL_RANK"] = "0"
        torch.use_deterministic_algorithms(True)

    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr(sys, "argv", ["train.py", "-m", "seed=1,2"])
    sweep(task, "seed=1,2", "sweep.stop_on_failure=true", folder=tmp_path)
    assert [entry[:2] for entry in seen] == [(None, False)] * 2
    # Lightning starts a job's further processes with these.
    assert [entry[2] for entry in seen] == [
        ["train.py", "--config-name", "train", f"seed={seed}"] for seed in (1, 2)
    ]
    assert sys.argv == ["train.py", "-m", "seed=1,2"]
    # This task leaves no results: nothing claims that it is finished.
    assert {run.status for run in sweep_runs(tmp_path)} == {"unfinished"}
    notes = [json.loads((run.folder / "job.json").read_text()) for run in sweep_runs(tmp_path)]
    assert [note["changed"] for note in notes] == [{"seed": "1"}, {"seed": "2"}]
