"""The mode follows from the metric; what a run will not have is told before it trains."""

from __future__ import annotations

import csv
import json

import pytest
from lightning.pytorch.callbacks import Callback

from seqlab.errors import InputError
from tests.conftest import SHORT, SMALL

RUN = ("model=gru", "logger=csv", *SMALL, *SHORT)


class Trained(Callback):
    steps = 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        Trained.steps += 1


WHOLE = "trainer.limit_val_batches=1.0"
SPY = "+callbacks.spy={_target_: tests.callbacks.test_monitors.Trained}"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("callbacks.best.monitor=val/acuracy",),
            "best.monitor=val/acuracy is not a known",
        ),
        (("callbacks.early_stopping.monitor=val/los",), "early_stopping.monitor=val/los is not a"),
        (
            ("callbacks.best.monitor=val/acuracy", "callbacks.best.mode=max"),
            "callbacks.best.monitor=val/acuracy is not among the metrics .* val/accuracy",
        ),
        # Known, but not to this family; and of a callback that the user adds.
        (
            ("callbacks.best.monitor=val/span_f1",),
            "best.monitor=val/span_f1 is not among",
        ),
        (
            (
                "+callbacks.mine={_target_: lightning.pytorch.callbacks.ModelCheckpoint, "
                "monitor: val/bleu}",
            ),
            "callbacks.mine.monitor=val/bleu is not among the metrics",
        ),
        (
            ("trainer.val_check_interval=50",),
            "val_check_interval=50 batches is longer than",
        ),
    ],
)
def test_told_before_training(train, words, told):
    Trained.steps = 0
    with pytest.raises(InputError, match=told):
        train(*RUN, SPY, *words)
    assert Trained.steps == 0


def test_a_metric_that_a_batch_lacks_is_found_in_another(train):
    """The first batches of a validation may have one class only, and no area under a curve."""
    results = train(
        *RUN,
        "callbacks.best.monitor=val/auroc",
        "loader.batch_size=1",
        WHOLE,
    )
    assert results["status"] == "finished"


def test_looking_for_a_metric_changes_nothing(train, tmp_path):
    runs = {
        name: train(
            "data=sines",
            "model=gru",
            *SHORT,
            f"callbacks.best.monitor={name}",
            folder=tmp_path / str(number),
        )["metrics"]
        for number, name in enumerate(("val/loss", "val/mae"))
    }
    assert runs["val/loss"]["val/loss"] == runs["val/mae"]["val/loss"]


@pytest.mark.parametrize("name", ["accuracy", "loss", "calibration_error"])
def test_the_mode_follows_from_the_metric(train, tmp_path, name):
    metrics = train(
        "model=gru",
        "logger=csv",
        *SMALL,
        *SHORT,
        "trainer.max_epochs=4",
        "optimizer.lr=0.05",
        f"callbacks.best.monitor=val/{name}",
    )["metrics"]
    with (tmp_path / "run" / "metrics.csv").open() as file:
        seen = [float(r["value"]) for r in csv.DictReader(file) if r["metric"] == f"val/{name}"]
    assert len(set(seen)) > 1
    assert metrics[f"val/{name}"] == pytest.approx(max(seen) if name == "accuracy" else min(seen))


def test_a_given_mode_holds(train, tmp_path):
    train(*RUN, "callbacks.best.monitor=val/accuracy", "callbacks.best.mode=min")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["status"] == "finished"
