"""train.py as a user types it: messages, exit status, and what is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from seqlab.config import explain
from seqlab.errors import InputError
from seqlab.hints import check_words
from seqlab.keys import check_sweep
from tests.conftest import ROOT, SMALL

QUIET = ("trainer.enable_progress_bar=false", "trainer.enable_model_summary=false")


def run(*arguments: str, folder: Path, env: dict[str, str] | None = None):
    return subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
    )


# Found before anything heavy is imported: quick to test one by one.
MISTYPED = {
    "model=bigruu": ("model=bigruu does not exist", "did you mean bigru?"),
    "modle=gru": ("modle is not a setting", "did you mean model?"),
    "trainer.max_epoch=3": ("trainer.max_epoch", "did you mean trainer.max_epochs?"),
    "hidden_size=3": ("hidden_size", "did you mean model.encoder.hidden_size?"),
    "model/attenton=dot": ("model/attenton", "did you mean model/attention?"),
    "model=[": ("cannot read the override 'model=['",),
    "data.batch_size=3": ("data.batch_size", "did you mean loader.batch_size?"),
    "model=LSTM": ("model=LSTM does not exist", "did you mean lstm?"),
    "optimizer=adamW": ("optimizer=adamW does not exist", "did you mean adamw?"),
    "seed=1,2": ("seed=1,2", "add -m"),
    "seed=range(1,3)": ("seed=range(1,3)", "add -m"),
    "optimizer=null": ("optimizer=null", "choose one of adam, adamw, rmsprop, sgd"),
    "~optimizer": ("~optimizer", "choose one of adam, adamw, rmsprop, sgd"),
    "data=null": ("data=null", "choose one of adding"),
    "backtest=null": ("backtest=null", "use backtest=none"),
    "experiment=null": ("experiment=null", "leave it out"),
    "sweep.points=points.csv": ("sweep.points=points.csv", "add -m"),
    "sweep.zip=[[model,data]]": ("sweep.zip=[[model,data]]", "add -m"),
    "data=nothing_like_it": ("data=nothing_like_it does not exist", "magic_token"),
}


@pytest.mark.parametrize("override", MISTYPED)
def test_mistyped(tmp_path, override):
    done = run(override, folder=tmp_path)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.strip().splitlines()) <= 2
    for words in MISTYPED[override]:
        assert words in done.stderr
    assert not list(tmp_path.rglob("results.json"))


def test_words_of_sweeps_are_for_sweeps():
    for flag in ("-m", "--multirun", "hydra.mode=MULTIRUN"):
        check_words([flag, "sweep.points=points.csv", "seed=1,2"])
    check_words(["~callbacks.best", "model=gru", "debug=fast", "data.max_length=null"])


# Each word that the message must contain: the key, the value, and the rule or remedy.
WRONG = {
    "model.encoder.hidden_size=0": ("hidden_size=0", "at least 1"),
    "model.encoder.hidden_size=big": ("model.encoder.hidden_size='big'", "whole number"),
    "+foo=1": ("foo has no effect",),
    "+model.hidden=3": ("model.hidden has no effect",),
    "+task.pool=max": ("task.pool has no effect", "did you mean task.pooling?"),
    "model.embedding_dim=wide": ("model.embedding_dim='wide'", "whole number"),
    "model.dropout=1": ("dropout=1", "below 1"),
    "task=tagging": ("task=tagging does not fit this data", "classification"),
    "+model.encoder.colour=red": ("model.encoder.colour", "not a setting"),
    "trainer.max_epochs=many": ("trainer.max_epochs='many'", "whole number"),
    "trainer.precision=12": ("trainer.precision=12", "32-true"),
    "trainer.gradient_clip_val=-x": ("gradient_clip_val", "number"),
    "trainer.accelerator=gpu": ("gpu", "trainer.accelerator=auto"),
    "trainer.accelerator=abacus": ("abacus", "trainer.accelerator=auto"),
    "optimizer.lr=fast": ("optimizer.lr='fast'", "number"),
    "optimizer.lr=-1": ("optimizer.lr=-1", "at least 0"),
    "loader.batch_size=0": ("loader.batch_size=0", "at least 1"),
    "data.strict=maybe": ("data.strict='maybe'", "true or false"),
    "data.min_length=5.5": ("data.min_length=5.5", "whole number"),
    "data.seed=true": ("data.seed=true", "whole number"),
    "data.train_size=abc": ("data.train_size='abc'", "whole number"),
    "data._target_=mypackage.Mine": ("data._target_='mypackage.Mine'", "no module mypackage"),
    "optimizer._target_=torch.optim.Adan": ("has no Adan", "did you mean torch.optim.Adam?"),
    "model.attention=dot": ("model.attention='dot'", "use model/attention=dot"),
    "model.encoder=lstm": ("model.encoder='lstm'", "use model=lstm"),
    "model.encoder=null": ("model.encoder is missing", "use model="),
    "callbacks.best._target_=mine.Best": ("callbacks.best._target_='mine.Best'", "no module mine"),
    "callbacks.best.monitor=null": ("callbacks.best.monitor=null", "callbacks.best=null"),
    "callbacks.early_stopping=none": ("'none'", "callbacks.early_stopping=null"),
    "+callbacks.foo=1": ("callbacks.foo=1", "callbacks.foo=null"),
    "task.class_weights=[inf,1]": ("task.class_weights=[inf, 1]", "finite"),
    "trainer.accelerator=tpu": ("torch_xla", "trainer.accelerator=auto"),
    "trainer.precision=transformer-engine": ("transformer_engine", "trainer.precision=32-true"),
    "trainer.accumulate_grad_batches=0": ("accumulate_grad_batches=0", "at least 1"),
    "trainer.val_check_interval=0": ("val_check_interval=0", "at least 1"),
    "trainer.val_check_interval=2.0": ("val_check_interval=2.0", "share of an epoch", "at most 1"),
    "trainer.check_val_every_n_epoch=0": ("check_val_every_n_epoch=0", "at least 1"),
    "trainer.log_every_n_steps=0": ("log_every_n_steps=0", "at least 1"),
    "trainer.gradient_clip_val=-1": ("gradient_clip_val=-1", "at least 0"),
    "+trainer.limit_predict_batches=3": ("limit_predict_batches", "no effect"),
    "+trainer.callbacks=[]": ("trainer.callbacks", "no effect"),
    "+loader.seed=3": ("loader.seed", "no effect"),
    "+model.encoder.input_size=3": ("model.encoder.input_size", "follows from the other settings"),
    "+optimizer.params=3": ("optimizer.params", "follows from the other settings"),
    "trainer.strategy=ddp_spawn": ("trainer.strategy=ddp_spawn", "use trainer.strategy=ddp"),
    "compile=no": ("compile='no'", "true or false"),
    "compile=maybe": ("compile='maybe'", "true or false"),
    "+sweep.foo=1": ("sweep.foo has no effect", "stop_on_failure"),
    "+sweep.point=x": ("sweep.point has no effect", "did you mean sweep.points?"),
    "ckpt_path=3": ("ckpt_path=3", "text"),
    "seed=[1,2]": ("seed=[1, 2]", "whole number"),
    "model.match_parameters=many": ("model.match_parameters='many'", "whole number or null"),
    "data.min_length=30": ("data.min_length=30", "data.max_length=20"),
    "data.vocabulary_size=2": ("data.vocabulary_size=2", "at least 3"),
    "data.magic_token=99": ("data.magic_token=99", "19"),
    "data.balance=2": ("data.balance=2", "between 0 and 1"),
    "task.pooling=median": ("task.pooling", "max"),
    "task.pooling=mean": ("task.pooling=mean", "model/attention=none"),
    "task.class_weights=[1,2,3]": ("task.class_weights", "2 positive"),
    "seed=-3": ("seed=-3", "whole number"),
    "ckpt_path=nowhere.ckpt": ("nowhere.ckpt", "no file"),
    "ckpt_path=last": ("ckpt_path=last", "hydra.run.dir"),
    "scheduler=cosine trainer.max_epochs=-1 trainer.max_time=00:00:01:00": ("cosine", "max_steps"),
    "model/attention=multihead model.attention.num_heads=7": ("num_heads=7", "128"),
    "model=lstm task.pooling=first_last": ("first_last", "bidirectional"),
}


def test_wrong_value_of_a_sweep():
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train", ["sweep.stop_on_failure=no"])
    with pytest.raises(InputError, match=r"sweep\.stop_on_failure='no'.*true or false"):
        check_sweep(config)


@pytest.mark.parametrize("overrides", WRONG)
def test_wrong_value(train, tmp_path, overrides):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        train(*SMALL, *QUIET, *overrides.split())
    message = explain(caught.value)
    assert message is not None, caught.value
    assert len(message.splitlines()) == 1
    for word in WRONG[overrides]:
        assert word in message
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["status"] == "failed"
    assert results["reason"] == message
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 14.6 TiB for an array"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 TB"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    ],
)
def test_too_little_memory(error):
    told = explain(error)
    assert told is not None
    assert told.startswith("there is not enough memory (")
    assert "lower loader.batch_size" in told


def test_wrong_value_from_the_shell(tmp_path):
    done = run("model.encoder.hidden_size=0", "hydra.run.dir=run", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: model.encoder.hidden_size=0 must be at least 1\n"


def test_traceback_on_request(tmp_path):
    done = run("data.min_length=30", folder=tmp_path, env={"HYDRA_FULL_ERROR": "1"})
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "InputError" in done.stderr


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("hydra.run.dir=file/run", folder=tmp_path)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert "hydra.run.dir=PATH" in done.stderr


def test_help_and_config_import_nothing_heavy(tmp_path):
    for flag in ("--help", "--cfg"):
        words = [flag] + (["job"] if flag == "--cfg" else [])
        code = (
            "import sys, runpy\n"
            f"sys.argv = ['train.py', *{words!r}]\n"
            "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
            "except SystemExit: pass\n"
            "heavy = {'torch', 'lightning', 'numpy', 'matplotlib'} & set(sys.modules)\n"
            "assert not heavy, heavy\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code.replace("'train.py'", repr(str(ROOT / "train.py")))],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "magic_token" in done.stdout


def test_the_command_line_wins_over_presets_and_data():
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        plain = compose("train", ["experiment=reverse_joeynmt"])
        over = compose("train", ["experiment=reverse_joeynmt", "optimizer.lr=0.5", "seed=7"])
        data = compose("train", ["data=parity", "trainer.max_epochs=77"])
    assert plain.optimizer.lr != 0.5
    assert over.optimizer.lr == 0.5
    assert over.seed == 7
    assert over.data == plain.data
    assert data.trainer.max_epochs == 77
