"""The library is complete without its kernels: with the folder deleted, and switched off."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch

from seqlab.nn.forward_backward import Chain, log_partition, unary_marginals
from seqlab.nn.kernel_table import kernels_off
from seqlab.nn.masking import reversal_index, reverse_valid
from tests.conftest import ROOT, SHORT

SMALL = ("data.train_size=16", "data.val_size=8", "data.test_size=8", "model.encoder.hidden_size=8")
RUNS = {
    "classifier": ("data=parity", "model=bilstm_attn", *SMALL),
    "minimal": ("data=parity", "model=min_gru", *SMALL),
    "linear": ("data=parity", "model=lru", *SMALL),
    "tagger": ("data=hmm_tags", "model=bigru", "task.crf=true", *SMALL),
    "seq2seq": ("data=reverse", "model=birnn_attn", *SMALL),
    "forecaster": (
        "data=sines",
        "model=lstm_attn",
        "task.decoder=attention",
        "data.num_series=2",
        "data.length=200",
        "model.encoder.hidden_size=8",
    ),
}
SCRIPT = """
import importlib, json, pathlib, pkgutil, sys
sys.path[:0] = [{source!r}, {root!r}]
import seqlab
assert seqlab.__file__.startswith({source!r})
optional = ("ray", "joblib", "optuna", "submitit")
for module in pkgutil.walk_packages(seqlab.__path__, "seqlab."):
    if module.name.startswith("seqlab.nn"):
        importlib.import_module(module.name)
from tests.conftest import train
found = {{}}
for name, overrides in json.loads({runs!r}).items():
    folder = pathlib.Path({folder!r}) / name
    found[name] = train.__wrapped__(folder)(*overrides)["metrics"]["test/loss"]
assert "seqlab.nn.kernels" not in sys.modules
print(json.dumps(found))
"""


@pytest.fixture
def tree(tmp_path):
    """A copy of the sources without the folder."""
    shutil.copytree(
        ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("kernels", "__pycache__")
    )
    for name in ("conf", "train.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def test_everything_trains_to_the_same_loss_without_the_folder(tree, train, tmp_path):
    runs = {name: (*overrides, *SHORT, "logger=none") for name, overrides in RUNS.items()}
    script = SCRIPT.format(
        source=str(tree / "src"), root=str(ROOT), runs=json.dumps(runs), folder=str(tree / "runs")
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tree, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for name, overrides in runs.items():
        expected = train(*overrides, folder=tmp_path / "with" / name)["metrics"]["test/loss"]
        assert found[name] == pytest.approx(expected, rel=1e-4), name


@pytest.mark.slow
def test_the_laws_hold_without_the_folder(tree):
    laws = ["test_cores", "test_encoder", "decoding/test_decoder", "test_crf", "test_diagnostics"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0"]
        + [f"{ROOT}/tests/nn/{law}.py" for law in laws],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tree / "src")},
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_reversal_is_the_same_switched_off():
    torch.manual_seed(0)
    states = torch.randn(3, 5, 2, requires_grad=True)
    weights = torch.randn(3, 5, 2)
    index = reversal_index(torch.tensor([5, 2, 3]), 5)
    outcomes = []
    for off in (False, True):
        with kernels_off(off):
            found = reverse_valid(states, index)
            outcomes.append([found, *torch.autograd.grad((found * weights).sum(), states)])
    for ours, expected in zip(*outcomes, strict=True):
        assert torch.equal(ours, expected)


@pytest.mark.parametrize("spread", [1.0, 300.0])
def test_a_chain_is_the_same_switched_off(spread):
    torch.manual_seed(0)
    shapes = ((3, 6, 4), (4, 4), (4,), (4,))
    parts = [spread * torch.randn(shape, dtype=torch.float64) for shape in shapes]
    chain, lengths = Chain(*(part.requires_grad_() for part in parts)), torch.tensor([6, 1, 4])
    outcomes = []
    for off in (False, True):
        with kernels_off(off):
            log_z = log_partition(chain, lengths)
            gradients = torch.autograd.grad(log_z.sum(), chain)
            outcomes.append([log_z, *gradients, unary_marginals(chain, lengths)])
    for ours, expected in zip(*outcomes, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-10, rtol=1e-10)
