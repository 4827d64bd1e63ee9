"""Interrupts a run at a chosen training or validation batch, and compares what comes of it."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from seqlab.tasks.base import Task
from tests.conftest import trainer_in

QUIET = (
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
    "trainer.enable_model_summary=false",
    "trainer.log_every_n_steps=1",
    "callbacks.model_summary=null",
    "logger=csv",
)
SIZES = ("data.train_size=72", "data.val_size=20", "data.test_size=16", "loader.batch_size=16")
TINY = ("model.encoder.hidden_size=8", "model.embedding_dim=6", "+task.callbacks={}")
DROPOUT = ("model.dropout=0.3", "model.embedding_dropout=0.2")
SERIES = (
    "data.num_series=3",
    "data.length=90",
    "data.val_steps=12",
    "data.test_steps=12",
    "loader.batch_size=32",
    "task.horizon=3",
    "data.window=8",
)
# A run of each family in which much is drawn at random.
FAMILIES = {
    "classifier": ("model=gru_attn", *SIZES, *DROPOUT),
    "tagger": ("data=hmm_tags", "model=bilstm", *SIZES, *DROPOUT),
    "seq2seq": (
        "data=copy", "model=gru_attn", *SIZES, *DROPOUT,
        "task.decoder.hidden_size=8", "task.forcing=linear", "task.forcing_end=0.2",
    ),
    "forecaster": (
        "data=ar", "model=gru", *SERIES, "model.dropout=0.3",
        "task.decoder=recursive", "task.head=gaussian", "task.num_samples=5",
    ),
}  # fmt: skip


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours may help afterwards."""


class Interruption(NamedTuple):
    """Where and how a run is interrupted.

    Attributes:
        how: INT, TERM or KILL.
        stage: training, validation or test.
        batch: in which batch of the stage, counted over the whole run.
    """

    how: str
    stage: str
    batch: int


def interrupt_at(patch: pytest.MonkeyPatch, when: Interruption) -> None:
    """Interrupts this process in a batch."""
    name = f"{when.stage}_step"
    original = getattr(Task, name)
    seen = 0

    def step(self: Task, *arguments: Any) -> Any:
        nonlocal seen
        sanity = self.trainer.sanity_checking
        seen += not sanity
        if seen == when.batch and not sanity:
            if when.how == "KILL":
                raise Killed
            os.kill(os.getpid(), getattr(signal, f"SIG{when.how}"))
        return original(self, *arguments)

    patch.setattr(Task, name, step)


def run_interrupted(words: tuple[str, ...], folder: Path, when: Interruption) -> bool:
    """Runs, is interrupted, and resumes; whether the interruption came before the end."""
    train = trainer_in(folder)
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(patch, when)
        try:
            train(*words)
        except (KeyboardInterrupt, SystemExit, Killed):
            pass
        else:
            return False
    saved = (folder / "checkpoints" / "last.ckpt").is_file()
    train("ckpt_path=last") if saved else train(*words, "overwrite=true")
    return True


def checkpoint(folder: Path, name: str) -> dict[str, Any]:
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


def curves(folder: Path) -> dict[tuple[str, str], str]:
    """What was logged, by step and metric; a key that stands twice is an error."""
    with (folder / "metrics.csv").open() as file:
        rows = [(row["step"], row["metric"], row["value"]) for row in csv.DictReader(file)]
    found = {(step, metric): value for step, metric, value in rows}
    assert len(found) == len(rows), sorted(set(rows) - {(*k, v) for k, v in found.items()})
    return found


def assert_same(one: Path, other: Path) -> None:
    """The same weights, best checkpoint, curves and final metrics, to the last bit."""
    for name in ("last", "best"):
        a, b = checkpoint(one, name), checkpoint(other, name)
        assert a["global_step"] == b["global_step"], name
        assert a["state_dict"].keys() == b["state_dict"].keys()
        for key, value in a["state_dict"].items():
            assert torch.equal(value, b["state_dict"][key]), (name, key)
    results = [json.loads((folder / "results.json").read_text()) for folder in (one, other)]
    assert _unlike(results[0]["metrics"], results[1]["metrics"]) == {}
    assert results[0]["best_checkpoint"] == results[1]["best_checkpoint"]
    assert _unlike(curves(one), curves(other)) == {}


def _unlike(one: dict[Any, Any], other: dict[Any, Any]) -> dict[Any, Any]:
    """The keys whose values differ, with both values."""
    keys = dict.fromkeys([*one, *other])
    return {key: (one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)}
