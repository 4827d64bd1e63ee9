"""`seqlab.train`: the main job as a function that leaves the process as it was."""

import logging
import os
import signal
import sys
import warnings

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.version import getbase

import seqlab
from seqlab.errors import InputError
from seqlab.runs.training import train
from tests.conftest import SHORT, SMALL

WORDS = [*SMALL, *SHORT, "logger=csv", "task.callbacks={}"]


def state():
    """What a function must not change in the process around it."""
    root = logging.getLogger()
    return {
        "hydra": GlobalHydra.instance().hydra,
        "config": HydraConfig.instance().cfg,
        "version_base": getbase(),
        "handlers": list(root.handlers),
        "level": root.level,
        "log_filters": [h.filters[:] for h in logging.getLogger("lightning.pytorch").handlers],
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "arguments": list(sys.argv),
        "environment": dict(os.environ),
        "filters": list(warnings.filters),
        "format": warnings.formatwarning,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def test_train_twice_in_an_empty_folder_and_leave_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = state()
    runs = [train([*WORDS, "data=parity", f"seed={seed}"]) for seed in (1, 1, 2)]
    assert state() == before
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]
    first, again, other = runs
    assert len({run.folder for run in runs}) == 3
    assert first.metrics == again.metrics
    assert first.metrics != other.metrics
    for run in runs:
        assert run.folder.parent == tmp_path / "outputs" / "parity" / "bigru_attn"
        assert run.status == "finished"
        assert 0 <= run.metrics["test/accuracy"] <= 1
    assert other.config.seed == 2
    assert other.config.data._target_ == "seqlab.data.parity.Parity"
    assert seqlab.Run.load(other.folder) == other


def test_train_inside_another_program_of_hydras(tmp_path):
    """Its own configuration is there again afterwards."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "theirs.yaml").write_text("answer: 42\n")
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(tmp_path / "conf"), version_base="1.2"):
        before = state()
        with pytest.raises(InputError, match="must be a whole number"):
            train(["seed=-1", f"hydra.run.dir={tmp_path / 'run'}"])
        assert state() == before
        assert compose("theirs").answer == 42


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("modle=gru", "modle is not a setting; did you mean model?"),
        ("data=nope", "data=nope does not exist"),
        ("seed=1,2", "gives several values"),
        ("-m", "train takes no flag -m"),
        ("hydra.mode=MULTIRUN", "train takes no flag"),
        ("model=null", "chooses nothing"),
        ("model=3", "model=3 does not exist; use one of bigru, "),
        ("model/attention=true", "model/attention=true does not exist; use one of additive, "),
        ("data=1e3", "data=1e3 does not exist; use one of adding, "),
        ("=3", "=3 names no setting; write KEY=VALUE"),
        ("seed", "'seed' has no value; write seed=VALUE"),
        ("hydra.run.dir=null", "hydra.run.dir=null: "),
        ("model._target_=Foo", "model._target_ is not a setting; model has "),
        ("data.train_size=[", "cannot read the override"),
    ],
)
def test_wrong_words_are_input_errors_and_leave_nothing(word, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = state()
    with pytest.raises(InputError) as caught:
        train([word])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert state() == before
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", ["seed", "model.encoder"])
def test_a_setting_that_was_removed_is_named(key, tmp_path):
    message = f"^{key} is missing; leave out ~{key}, or give {key} a value$"
    with pytest.raises(InputError, match=message):
        train([*WORDS, "trainer.max_steps=1", f"~{key}", f"hydra.run.dir={tmp_path / 'run'}"])


def test_a_failed_run_raises_its_error_and_is_recorded(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("something broke")

    monkeypatch.setattr("seqlab.tasks.base.Task.training_step", fail)
    before = state()
    with pytest.raises(RuntimeError, match="something broke"):
        train([*WORDS, f"hydra.run.dir={tmp_path / 'run'}"])
    assert state() == before
    run = seqlab.Run.load(tmp_path / "run")
    assert (run.status, run.metrics) == ("failed", {})


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="give the folder of a run"):
        seqlab.Run.load(tmp_path)
