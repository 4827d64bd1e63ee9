"""What is kept of each test example: it adds up to the scores, whoever reads it."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from seqlab.data.examples import Examples
from seqlab.data.parity import Parity
from seqlab.data.sines import Sines
from seqlab.runs.outcomes import MOST, as_table
from seqlab.tasks.meter import ExampleScores
from tests.conftest import ROOT, SHORT, SMALL
from tests.runs.test_devices import COMMAND, TWO

ROOTS = {"rmse"}
# One of each family; spans and rooted errors among them.
FAMILIES = {
    "magic_token": ("accuracy",),
    "entities": ("token_accuracy", "sentence_accuracy", "span_f1", "span_strict_f1"),
    "reverse": ("exact_match", "token_accuracy", "edit_distance"),
    "adding": ("rmse", "mae"),
    "seasonal": ("mae", "rmse"),
}


@pytest.mark.parametrize("data", FAMILIES)
def test_outcomes_add_up_to_the_scores(train, tmp_path, data):
    results = train(f"data={data}", "model=gru", *SHORT, "trainer.limit_test_batches=3")
    assert results["choices"]["data"] == data
    stages = sorted(results["test_sets"])
    assert stages[0] == "test"
    for stage in stages:
        table = np.load(tmp_path / "run" / f"{stage}_outcomes.npy")
        assert len(table) > 2
        assert (np.diff(table["index"]) > 0).all()
        names = [name for name in table.dtype.names if f"{name}/of" in table.dtype.names]
        assert set(names) == set(FAMILIES[data])
        for name in names:
            score = table[name].sum(dtype=float) / max(table[f"{name}/of"].sum(dtype=float), 1)
            score = score**0.5 if name in ROOTS else score
            assert score == pytest.approx(results["metrics"][f"{stage}/{name}"], rel=1e-5)


def test_same_examples_whoever_reads_them(train, tmp_path):
    """Another model and another batch size: equal rows are equal examples."""
    first = train("model=gru", *SMALL, *SHORT, folder=tmp_path / "one")
    other = ("model=rnn", "loader.batch_size=7", "trainer.limit_test_batches=4", "seed=9")
    second = train(*other, *SMALL, *SHORT[:3], *SHORT[4:], folder=tmp_path / "two")
    assert first["test_sets"] == second["test_sets"]
    third = train("model=gru", "data.seed=3", *SMALL, *SHORT, folder=tmp_path / "three")
    assert not set(first["test_sets"].values()) & set(third["test_sets"].values())
    assert len(np.load(tmp_path / "two" / "test_outcomes.npy")) == 28


@pytest.mark.parametrize("devices", [TWO])
def test_two_processes_keep_every_example_once(tmp_path, devices):
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *COMMAND, *devices, "hydra.run.dir=two"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    table = np.load(tmp_path / "two" / "test_outcomes.npy")
    assert table["index"].tolist() == list(range(77))


def test_fingerprints_tell_what_is_asked():
    examples = Parity(train_size=8, val_size=8, test_size=20).split("test")
    assert (
        examples.fingerprint()
        == Parity(train_size=4, val_size=8, test_size=20).split("test").fingerprint()
    )
    changed = Examples(examples.inputs, examples.lengths, 1 - examples.targets)
    assert changed.fingerprint() != examples.fingerprint()
    series = {"num_series": 3, "length": 130}
    short, long = (Sines(**series, window=window).split("test") for window in (10, 20))
    assert short.fingerprint() == long.fingerprint()
    assert short.fingerprint() != Sines(**series, window=10, seed=1).split("test").fingerprint()
    assert short.fingerprint() != Sines(**series, window=10, horizon=3).split("test").fingerprint()


def test_tables_are_small_and_bounded():
    indices = torch.tensor([0, 300, MOST - 1, MOST, MOST + 5])
    scores = torch.tensor([[[1, 1], [0.5, 300]]] * 5, dtype=torch.float64)
    table = as_table(ExampleScores(("right", "error"), indices, scores))
    assert table["index"].tolist() == [0, 300, MOST - 1]
    kinds = [str(table.dtype[name]) for name in ("right", "right/of", "error", "error/of")]
    assert kinds == ["uint8", "uint8", "float32", "int32"]


@pytest.mark.parametrize("extreme", [np.inf, 1e60, 1e-60])
def test_tables_keep_what_is_beyond_single_precision(extreme):
    values = torch.tensor([extreme, 1.0], dtype=torch.float64)
    found = ExampleScores(
        ("mse",), torch.arange(2), torch.stack([values, torch.ones(2)], 1)[:, None]
    )
    assert as_table(found)["mse"].tolist() == pytest.approx([extreme, 1.0])
