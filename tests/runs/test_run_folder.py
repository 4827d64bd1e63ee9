"""What a command may do to a run's folder: resume it, replace it, copy it, start from it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict

from seqlab.config import explain
from seqlab.errors import InputError
from seqlab.overrides import join_overrides, resumed_command
from tests.conftest import ROOT, SHORT, SMALL, trainer_in

RUN = ("model=gru", "model.encoder.hidden_size=8", "model.embedding_dim=8", *SMALL, *SHORT)
ALL_BATCHES = ("trainer.limit_train_batches=1.0", "loader.batch_size=32")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run that differs from the defaults in data and model."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    trainer_in(folder)("data=parity", *RUN, "seed=5", "optimizer.lr=0.02")
    return folder


@pytest.fixture
def parity(finished, folder):
    """A copy of that run."""
    return shutil.copytree(finished, folder)


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the log, which only grows."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".log")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def config(folder: Path) -> Any:
    return OmegaConf.load(folder / "config.yaml")


def results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text())


def rows(folder: Path) -> list[tuple[int, str]]:
    with (folder / "metrics.csv").open() as file:
        return [(int(row["step"]), row["metric"]) for row in csv.DictReader(file)]


def test_a_run_is_resumed_with_its_own_settings(train, parity):
    before = config(parity)
    train("ckpt_path=last", "trainer.max_epochs=2", folder=parity)
    after = config(parity)
    assert after.trainer.max_epochs == 2
    after.trainer.max_epochs = 1
    assert after == before
    assert results(parity)["seed"] == 5
    assert results(parity)["choices"]["data"] == "parity"
    # And again, without naming what was changed the last time.
    train("ckpt_path=last", folder=parity)
    assert config(parity).trainer.max_epochs == 2


REFUSED = {
    "seed=-1": "holds a run already",
    "": "holds a run already",
    "ckpt_path=lastt": "no file lastt",
    "ckpt_path=best": "init_from",
    "ckpt_path=last seed=-1": "seed",
    "ckpt_path=last seed=7": "seed 5 → 7",
    "ckpt_path=last model=lstm": "another model",
    "ckpt_path=last model.encoder.hidden_size=16": "another model",
    "ckpt_path=last data=magic_token": "allow_new_data=true",
    "ckpt_path=last optimizer=sgd": "another optimizer",
    "ckpt_path=last callbacks.best.monitor=val/accuracy": "best checkpoint",
    "ckpt_path=last trainer.max_epochs=0": "raise it",
    "ckpt_path=last trainer.max_epochs=many": "many",
    "ckpt_path=last init_from=x.ckpt": "init_from",
    "overwrite=maybe": "holds a run already",
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_refused_command_leaves_everything_as_it_was(train, parity, words):
    before = contents(parity)
    with pytest.raises(Exception, match=REFUSED[words]) as caught:
        train(*words.split(), folder=parity)
    assert explain(caught.value) is not None
    assert contents(parity) == before


def test_a_used_folder_can_be_replaced(train, parity):
    (parity / "notes.txt").write_text("mine")
    train(*RUN, "logger=csv", "overwrite=true", folder=parity)
    assert config(parity).overwrite is False
    assert config(parity).data._target_.endswith("MagicToken")
    assert (parity / "notes.txt").read_text() == "mine"
    assert not list(parity.glob("events*"))
    assert max(Counter(rows(parity)).values()) == 1
    saved = torch.load(parity / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 2


def test_after_a_mistake_the_same_folder_can_be_used(train, folder):
    with pytest.raises(InputError):
        train(*RUN, "model.encoder.hidden_size=0", folder=folder)
    assert results(folder)["status"] == "failed"
    train(*RUN, folder=folder)
    assert results(folder)["status"] == "finished"


def test_another_runs_checkpoint(train, parity, tmp_path):
    """Of the same architecture, so that nothing but its place tells."""
    path = parity / "checkpoints" / "last.ckpt"
    other = ("data=parity", *RUN, f"ckpt_path={path}")
    with pytest.raises(InputError, match=f"init_from={path}"):
        train(*other, folder=tmp_path / "other")
    assert not (tmp_path / "other" / "checkpoints").exists()


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


@pytest.mark.parametrize("source", ["", "checkpoints/best.ckpt"])
def test_start_from_weights(train, parity, tmp_path, source):
    other = tmp_path / "other"
    start = f"init_from={parity / source}"
    train("data=parity", *RUN, start, "optimizer.lr=0.0", folder=other)
    best = weights(parity, "best")
    assert all(torch.equal(best[name], value) for name, value in weights(other).items())
    saved = torch.load(other / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 2
    # It resumes without the weights that it started from.
    shutil.rmtree(parity)
    train("ckpt_path=last", "trainer.max_epochs=2", folder=other)
    assert config(other).init_from == str(parity / source).rstrip("/")


def test_start_from_other_weights(train, parity, tmp_path, capsys):
    words = (*RUN, "data=cycle_navigation", f"init_from={parity}")
    with pytest.raises(InputError, match=r"another shape.*init_strict=false"):
        train(*words, folder=tmp_path / "strict")
    assert results(tmp_path / "strict")["status"] == "failed"
    train(*words, "init_strict=false", folder=tmp_path / "loose")
    assert "weights are loaded" in capsys.readouterr().err
    with pytest.raises(InputError, match="none of its weights fits"):
        train(*words, "init_strict=false", "model=tcn", folder=tmp_path / "tcn")
    with pytest.raises(InputError, match="no file"):
        train(*RUN, "init_from=nowhere", folder=tmp_path / "nowhere")


WORSE = ("optimizer.lr=100.0", "trainer.gradient_clip_val=null", "trainer.max_epochs=3")


def test_a_moved_run_keeps_its_best_checkpoint(train, folder, tmp_path):
    """What is trained after the move is worse, and must not pass for the best."""
    first = train(*RUN, *ALL_BATCHES, "trainer.max_epochs=2", "optimizer.lr=0.01", folder=folder)
    best = (folder / "checkpoints" / "best.ckpt").read_bytes()
    moved = tmp_path / "moved"
    shutil.copytree(folder, tmp_path / "kept")
    folder.rename(moved)
    results = train("ckpt_path=last", *WORSE, folder=moved)
    assert (moved / "checkpoints" / "best.ckpt").read_bytes() == best
    assert results["best_checkpoint"] == "checkpoints/best.ckpt"
    for name in ("val/loss", "test/loss", "test/accuracy"):
        assert results["metrics"][name] == first["metrics"][name]
    assert not folder.exists()


def test_a_copy_without_its_best_checkpoint_is_refused(train, parity):
    (parity / "checkpoints" / "best.ckpt").unlink()
    with pytest.raises(InputError, match=r"best\.ckpt.*copy"):
        train("ckpt_path=last", folder=parity)


def test_the_configuration_can_be_fed_back(parity, tmp_path, monkeypatch):
    from seqlab.build import build_data, build_network, build_task, build_trainer

    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        other = compose("train", return_hydra_config=True)
    with open_dict(other):
        other.hydra.runtime.output_dir = str(tmp_path / "other")
    monkeypatch.setattr(HydraConfig.instance(), "cfg", other)
    own = config(parity)
    data = build_data(own)
    build_task(own, build_network(own, data.spec), data.spec)
    assert str(tmp_path) not in (parity / "config.yaml").read_text()
    trainer = build_trainer(own)
    assert trainer.default_root_dir == HydraConfig.get().runtime.output_dir


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_the_configuration_can_be_fed_back_from_the_shell(parity, tmp_path):
    before = contents(parity)
    words = ("--config-path", str(parity), "--config-name", "config", "hydra.run.dir=again")
    done = run(*words, "seed=6", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert contents(parity) == before
    assert config(tmp_path / "again").seed == 6
    assert (tmp_path / "again" / "checkpoints" / "best.ckpt").is_file()


def test_resumed_from_the_shell(parity, tmp_path):
    """By its checkpoint alone, with a key of a group that the defaults do not choose."""
    path = parity / "checkpoints" / "last.ckpt"
    words = ("scheduler=plateau", "scheduler.patience=1", "trainer.max_epochs=2")
    done = run(f"ckpt_path={path}", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "max_epochs 1 → 2" in done.stderr
    assert not (tmp_path / "outputs").exists()
    assert config(parity).scheduler.patience == 1
    assert max(Counter(rows(parity)).values()) == 1


def test_overrides_are_joined():
    assert join_overrides(["data=parity", "seed=1"], ["seed=2"]) == ["data=parity", "seed=2"]
    assert join_overrides(["+a.b=1"], ["a.b=2"]) == ["+a.b=1", "a.b=2"]
    # A new limit replaces the one that ended the run.
    assert join_overrides(["trainer.max_steps=9"], ["trainer.max_epochs=2"]) == [
        "trainer.max_epochs=2"
    ]


def test_commands_that_resume_nothing_stay_as_they_are():
    for words in (["data=parity"], ["-m", "ckpt_path=last"], ["ckpt_path=last"], ["--cfg", "job"]):
        assert resumed_command(words) == words
