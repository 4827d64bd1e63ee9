"""A run's validation scores are those of the checkpoint that is tested."""

from __future__ import annotations

import csv

import pytest

from tests.conftest import SMALL

RUN = (
    *SMALL,
    "trainer.max_epochs=6",
    # Too fast, so that the last epoch is not the best.
    "optimizer.lr=0.3",
    "trainer.gradient_clip_val=null",
    "trainer.enable_progress_bar=false",
    "trainer.enable_model_summary=false",
    "trainer.accelerator=cpu",
    "logger=csv",
)


def epochs(folder) -> list[dict[str, float]]:
    """The validation scores of each epoch, as the run's own log has them."""
    steps: dict[int, dict[str, float]] = {}
    with (folder / "metrics.csv").open() as file:
        for row in csv.DictReader(file):
            if row["metric"].startswith("val/"):
                steps.setdefault(int(row["step"]), {})[row["metric"]] = float(row["value"])
    return list(steps.values())


def test_scores_of_the_best_epoch(train, tmp_path):
    results = train(*RUN)
    seen = epochs(tmp_path / "run")
    assert len(seen) == 6
    losses = [scores["val/loss"] for scores in seen]
    assert min(losses[:-1]) < losses[-1]
    best = seen[losses.index(min(losses))]
    ours = {name: value for name, value in results["metrics"].items() if name.startswith("val/")}
    assert ours == pytest.approx(best)
    # Gone on with after its end, it still is.
    again = train(*RUN, "ckpt_path=last")
    assert {name: again["metrics"][name] for name in ours} == ours


def test_without_a_best_checkpoint_those_of_the_last(train, tmp_path):
    results = train(*RUN, "callbacks=none", "trainer.max_epochs=2")
    last = epochs(tmp_path / "run")[-1]
    assert {name: results["metrics"][name] for name in last} == pytest.approx(last)
