"""The wheel in a fresh environment and an empty folder, with code and files of a user's own."""

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.conftest import ROOT, SHORT, SMALL

USERS_CODE = '''
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from lightning.pytorch import Callback

from seqlab.data import ClassificationDataset, Draw, valid_positions
from seqlab.nn import Cell


@dataclass(kw_only=True)
class MoreOnes(ClassificationDataset):
    """Are there more ones than zeros?"""

    @property
    def label_names(self):
        return ("fewer", "more")

    @property
    def spec(self):
        return self.describe_tokens(["0", "1"])

    def draw(self, rng, lengths, split):
        valid = valid_positions(lengths)
        bits = rng.integers(0, 2, valid.shape, np.uint8) & valid
        return Draw(bits + valid, (2 * bits.sum(1, dtype=int) > lengths).astype(int))


class LeakyCell(Cell):
    """h_t = d h_{t-1} + (1 - d) tanh(W x_t)."""

    def __init__(self, input_size, hidden_size, *, decay=0.5):
        super().__init__(input_size, hidden_size)
        import torch

        self.weight = torch.nn.Parameter(torch.empty(hidden_size, input_size).uniform_(-0.1, 0.1))
        self.decay = decay

    def project(self, inputs):
        return F.linear(inputs, self.weight)

    def gates(self, projected, state, mask=None):
        return {"candidate": projected.tanh()}

    def step(self, projected, state, mask=None):
        return (self.decay * state[0] + (1 - self.decay) * projected.tanh(),)


class Diary(Callback):
    def __init__(self, path):
        self.path = path

    def on_fit_end(self, trainer, pl_module):
        with open(self.path, "w") as file:
            file.write(f"{trainer.global_step} steps")
'''
USERS_FILES = {
    "data/more_ones.yaml": """
# @package _global_
defaults:
  - parity
  - _self_
data:
  _target_: mylab.MoreOnes
""",
    "cell/leaky.yaml": "{_target_: mylab.LeakyCell, _partial_: true, decay: 0.9}",
    "callbacks/diary.yaml": """
defaults:
  - default
  - _self_
diary:
  _target_: mylab.Diary
  path: ${hydra:runtime.output_dir}/diary.txt
""",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built of a copy of the sources: a build leaves files beside them."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "conf", source / "conf")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", source / "src", symlinks=True, ignore=ignored)
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    call([sys.executable, "-m", "pip", "wheel", *offline, "-w", source / "dist", source])
    (built,) = (source / "dist").glob("seqlab-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The `bin` of an environment with the wheel, and what it needs from this environment."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, symlinks=True)
    (site,) = home.glob("lib/python*/site-packages")
    needed = [path for path in sys.path if path.endswith("site-packages")]
    (site / "needed.pth").write_text("\n".join(needed))
    offline = ["--no-deps", "--no-index", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "--python", home / "bin" / "python"]
    call([*pip, "install", *offline, wheel])
    assert (site / "seqlab" / "conf" / "train.yaml").is_file()
    return home / "bin"


def call(command, **options):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, command)),
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def results_below(folder):
    (path,) = folder.glob("outputs/*/*/*/results.json")
    return path.parent, json.loads(path.read_text())


def test_the_wheel_trains_in_an_empty_folder_as_the_repository_does(installed, train, tmp_path):
    words = ("model=bigru_attn", *SMALL, *SHORT)
    empty = tmp_path / "empty"
    empty.mkdir()
    call([installed / "seqlab", "train", *words], cwd=empty)
    folder, results = results_below(empty)
    assert folder.is_relative_to(empty / "outputs" / "magic_token" / "bigru_attn")
    assert results["metrics"] == train(*words)["metrics"]
    environment = json.loads((folder / "environment.json").read_text())
    assert Path(environment["command"][0]).is_relative_to(installed.parent)


def test_a_users_package_and_files_train_beside_the_wheels(installed, tmp_path):
    (tmp_path / "mylab.py").write_text(USERS_CODE)
    for name, text in USERS_FILES.items():
        path = tmp_path / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    words = ["data=more_ones", "model=gru", "cell@model.encoder.cell=leaky", "callbacks=diary"]
    call([installed / "seqlab", "train", *words, *SMALL, *SHORT], cwd=tmp_path)
    folder, results = results_below(tmp_path)
    assert results["status"] == "finished"
    assert results["choices"]["data"] == "more_ones"
    assert 0 <= results["metrics"]["test/accuracy"] <= 1
    assert (folder / "diary.txt").read_text() == "2 steps"
    assert "decay: 0.9" in (folder / "config.yaml").read_text()
