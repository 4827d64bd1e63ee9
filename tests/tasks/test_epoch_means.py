"""Every epoch reports the mean loss and the headline metric of its training examples."""

from __future__ import annotations

import csv
import math

import pytest
from lightning.pytorch.callbacks import Callback

COMMON = (
    "logger=csv",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
    "trainer.enable_model_summary=false",
    "trainer.max_epochs=2",
    "trainer.num_sanity_val_steps=0",
)
SIZES = ("data.train_size=50", "data.val_size=16", "data.test_size=16", "loader.batch_size=16")
FAMILIES = {
    "classifier": ("accuracy", "data=magic_token", "model=gru", *SIZES),
    "tagger": ("token_accuracy", "data=hmm_tags", "model=gru", *SIZES),
    "crf": ("token_accuracy", "data=hmm_tags", "model=gru", "task.crf=true", *SIZES),
    "spans": ("span_f1", "data=entities", "model=gru", *SIZES),
    "seq2seq": ("exact_match", "data=copy", "model=gru", "data.long_lengths=null", *SIZES),
    "forecaster": ("mae", "data=sines", "model=gru", "trainer.limit_train_batches=3"),
    "adding": ("rmse", "data=adding", "model=gru", "trainer.limit_train_batches=3"),
}


class Losses(Callback):
    """Each epoch's mean over its examples, of what each training step returned."""

    epochs: list[float]

    def on_fit_start(self, trainer, pl_module):
        Losses.epochs = []

    def on_train_epoch_start(self, trainer, pl_module):
        self.sum, self.count = 0.0, 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.sum += outputs["loss"].item() * len(batch)
        self.count += len(batch)

    def on_train_epoch_end(self, trainer, pl_module):
        Losses.epochs.append(self.sum / self.count)


@pytest.mark.parametrize("family", FAMILIES)
def test_means_of_the_epoch(train, tmp_path, family):
    headline, *words = FAMILIES[family]
    train(*COMMON, *words, "+callbacks.losses={_target_: tests.tasks.test_epoch_means.Losses}")
    logged: dict[str, list[float]] = {}
    with (tmp_path / "run" / "metrics.csv").open() as file:
        for row in csv.DictReader(file):
            logged.setdefault(row["metric"], []).append(float(row["value"]))
    # Of runs of fewer steps than `log_every_n_steps`, too.
    assert logged["train/loss"] == pytest.approx(Losses.epochs, rel=1e-5)
    for stage in ("train", "val"):
        for name in ("loss", headline):
            assert len(logged[f"{stage}/{name}"]) == 2, (stage, name)
            assert all(map(math.isfinite, logged[f"{stage}/{name}"]))
    if family == "seq2seq":
        assert logged["train/teacher_forcing"] == [1.0, 1.0]


def test_a_logged_step_has_a_name_of_its_own(train, tmp_path):
    train(*COMMON, *FAMILIES["classifier"][1:], "trainer.log_every_n_steps=1")
    with (tmp_path / "run" / "metrics.csv").open() as file:
        names = [row["metric"] for row in csv.DictReader(file)]
    assert names.count("train/loss_step") == 8
    assert names.count("train/loss") == 2
