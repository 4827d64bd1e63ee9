"""Two processes a job inside a sweep: neither sweeps again, and both train as one does."""

from __future__ import annotations

import csv

import pytest

from tests.sweeps.commands import finish


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["serial", "submitit_local"])
def test_one_and_two_processes_in_one_sweep(tmp_path, launcher):
    finish(
        tmp_path,
        "train.py",
        f"hydra/launcher={launcher}",
        "trainer.devices=1,2",
        "seed=1,2",
        "model=gru",
        "trainer.accelerator=cpu",
        "trainer.strategy=ddp",
        "trainer.max_epochs=1",
        "trainer.enable_progress_bar=false",
        "trainer.enable_model_summary=false",
        "loader.batch_size=50",
        "data.train_size=253",
        "data.val_size=101",
        "data.test_size=77",
    )
    with (tmp_path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["trainer.devices"], row["seed"]) for row in rows] == [
        (devices, seed) for devices in "12" for seed in "12"
    ]
    assert len(list(tmp_path.rglob("results.json"))) == 4
    names = [name for name in rows[0] if name.startswith(("test/", "val/"))]
    assert "test/loss" in names
    for one, two in zip(rows[:2], rows[2:], strict=True):
        for name in names:
            assert float(two[name]) == pytest.approx(float(one[name]), rel=1e-4, abs=1e-5), name
    assert rows[0]["test/loss"] != rows[1]["test/loss"]
