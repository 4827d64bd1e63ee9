"""A run that is interrupted anywhere and resumed ends where the uninterrupted one does."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT, trainer_in
from tests.runs.interrupting import (
    FAMILIES,
    QUIET,
    Interruption,
    assert_same,
    checkpoint,
    run_interrupted,
)

EPOCHS = "trainer.max_epochs=3"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """`whole(words)` is the folder of an uninterrupted run, made once."""

    @cache
    def run(words: tuple[str, ...]) -> Path:
        folder = tmp_path_factory.mktemp("whole") / "run"
        trainer_in(folder)(*words)
        return folder

    return run


def check(whole, folder: Path, words: tuple[str, ...], when: Interruption) -> None:
    expected = whole(words)
    run_interrupted(words, folder, when)
    assert_same(expected, folder)


# A validation twice an epoch, so that one is due within it and one at its end.
TWICE = "trainer.val_check_interval=0.5"
GROUPS = "trainer.accumulate_grad_batches=2"
CASES = [
    ("classifier", (), Interruption("INT", "training", 2)),
    ("classifier", (TWICE,), Interruption("INT", "training", 7)),
    (
        "classifier",
        (TWICE, "trainer.accumulate_grad_batches=2"),
        Interruption("TERM", "training", 6),
    ),
    ("tagger", ("trainer.precision=64-true",), Interruption("INT", "training", 8)),
    ("seq2seq", (TWICE,), Interruption("INT", "validation", 3)),
    ("seq2seq", ("trainer.max_steps=11",), Interruption("KILL", "training", 10)),
    ("forecaster", ("trainer.max_steps=12", TWICE), Interruption("INT", "training", 8)),
    ("forecaster", (), Interruption("KILL", "test", 5)),
]


@pytest.mark.parametrize(("family", "words", "when"), CASES)
def test_interrupted(whole, tmp_path, family, words, when):
    check(whole, tmp_path, (*FAMILIES[family], *QUIET, EPOCHS, *words), when)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_interrupted_anywhere(whole, tmp_path, seed):
    draw = random.Random(seed)
    words = [*FAMILIES[draw.choice(list(FAMILIES))], *QUIET, EPOCHS]
    words.append(f"trainer.precision={draw.choice(['32-true', '64-true', 'bf16-mixed'])}")
    groups = draw.choice([1, 1, 2, 3])
    words.append(f"trainer.accumulate_grad_batches={groups}")
    # Two validations at one step would be logged at one step.
    intervals = [0.25, 0.5, 1.0, 1.0] if groups == 1 else [0.5, 1.0]
    words.append(f"trainer.val_check_interval={draw.choice(intervals)}")
    words.append(f"scheduler={draw.choice(['constant', 'warmup_cosine', 'plateau'])}")
    words += draw.choice([[], ["trainer.max_steps=11"]])
    stage = draw.choice(["training", "training", "validation", "test"])
    batch = draw.randint(1, {"training": 15, "validation": 6, "test": 1}[stage])
    how = draw.choice(["INT", "TERM", "KILL"])
    check(whole, tmp_path, tuple(words), Interruption(how, stage, batch))


TWO = ("trainer.devices=2", "trainer.strategy=ddp")


def run(*words: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *words, f"hydra.run.dir={folder}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr


def test_two_processes_stopped_within_an_epoch(tmp_path):
    """Each goes on with its own dropout and its own part of the epoch's training metrics."""
    # The last batch of an epoch is dealt out in parts of four and three.
    words = (*FAMILIES["classifier"], *QUIET, *TWO, "data.train_size=71")
    run(*words, "trainer.max_epochs=2", folder=tmp_path / "whole")
    run(*words, "trainer.max_steps=7", folder=tmp_path / "run")
    states = checkpoint(tmp_path / "run", "last")["callbacks"]["LastCheckpoint"]["processes"]
    assert not torch.equal(*(state["random"]["torch"] for state in states))
    run("ckpt_path=last", "trainer.max_epochs=2", folder=tmp_path / "run")
    assert_same(tmp_path / "whole", tmp_path / "run")
