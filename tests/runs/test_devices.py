"""Two processes train and measure as one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys

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
    two = tmp_path / "two"
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *command, *TWO, f"hydra.run.dir={two}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((two / "results.json").read_text())
    assert results["metrics"].keys() == one["metrics"].keys()
    for name, value in one["metrics"].items():
        assert results["metrics"][name] == pytest.approx(value, rel=1e-4, abs=1e-5), name
    # One run, one folder: the second process wrote nothing of its own.
    assert [path.name for path in tmp_path.rglob("results.json")].count("results.json") == 2


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
