"""Two processes train and measure as one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT

# Sizes that no batch size divides, so that the processes hold unequal shares.
COMMAND = (
    "model=bigru_attn",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
    "trainer.enable_model_summary=false",
    "trainer.max_epochs=1",
    "trainer.log_every_n_steps=1",
    "loader.batch_size=50",
    "data.train_size=253",
    "data.val_size=101",
    "data.test_size=77",
)
TWO = ("trainer.accelerator=cpu", "trainer.devices=2", "trainer.strategy=ddp")


@pytest.mark.parametrize(
    "task",
    [
        ("data=magic_token", "task.class_weights=[1,2]"),
        ("data=reverse", "data.max_length=5", "data.long_lengths=null"),
    ],
)
def test_two_processes_equal_one(train, tmp_path, task):
    command = (*COMMAND, *task)
    one = train(*command, folder=tmp_path / "one")
    results = _in_two_processes(command, tmp_path)
    assert results["metrics"].keys() == one["metrics"].keys()
    for name, value in one["metrics"].items():
        assert results["metrics"][name] == pytest.approx(value, rel=1e-4, abs=1e-5), name
    # One run, one folder: the second process wrote nothing of its own.
    assert [path.name for path in tmp_path.rglob("results.json")].count("results.json") == 2


@pytest.mark.slow
def test_two_processes_equal_one_where_values_are_missing_and_gradients_accumulate(train, tmp_path):
    rng = np.random.default_rng(0)
    lines = [f"{t},{rng.normal():.3f}" if rng.random() < 0.6 else f"{t}," for t in range(300)]
    (tmp_path / "gaps.csv").write_text("\n".join(["t,y", "0,1.0", *lines[1:]]))
    command = (
        "data=series_file",
        f"data.path={tmp_path / 'gaps.csv'}",
        *("data.targets=[y]", "data.time_column=t", "data.series_column=null", "data.past=[]"),
        *("data.known=[]", "data.static=[]", "data.missing=mask", "data.window=8", "data.period=1"),
        *("task.horizon=3", "task.head=gaussian", "model=gru", "trainer.accumulate_grad_batches=3"),
        *("loader.batch_size=31", "trainer.max_epochs=2", "trainer.accelerator=cpu"),
        *("trainer.enable_progress_bar=false", "trainer.enable_model_summary=false"),
    )
    one = train(*command, folder=tmp_path / "one")
    two = _in_two_processes(command, tmp_path)
    assert two["metrics"].keys() == one["metrics"].keys()
    for name, value in one["metrics"].items():
        assert two["metrics"][name] == pytest.approx(value, rel=1e-4, abs=1e-5), name


@pytest.mark.slow
def test_a_split_smaller_than_the_devices_is_refused(tmp_path):
    command = ("data.val_size=1", "data.train_size=20", "data.test_size=20")
    with pytest.raises(AssertionError, match="the val split has 1 of the 2 examples"):
        _in_two_processes((*command, "trainer.accelerator=cpu"), tmp_path)


def _in_two_processes(command: tuple[str, ...], tmp_path: Path) -> dict[str, Any]:
    folder = tmp_path / "two"
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *command, *TWO, f"hydra.run.dir={folder}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "results.json").read_text())


def test_one_message_from_two_processes(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *TWO, "loader.batch_size=1", "hydra.run.dir=run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error: ") == 1
    assert "loader.batch_size=1 is shared by 2 devices" in done.stderr
