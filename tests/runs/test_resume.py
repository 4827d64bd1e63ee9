"""The same command gives the same weights; what was stopped goes on as if it had not been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from seqlab.errors import InputError, NonFiniteLossError
from tests.conftest import ROOT, SMALL

# Dropout makes the random generator's state matter, a schedule the step's.
COMMAND = (
    "model=bigru_attn",
    "model.dropout=0.2",
    "model.embedding_dropout=0.1",
    "scheduler=plateau",
    "scheduler.patience=0",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
    "trainer.enable_model_summary=false",
    "loader.batch_size=16",
    *SMALL,
)


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    saved = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return saved["state_dict"]


def assert_equal(one: Path, other: Path) -> None:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Four epochs of 16 steps in one go."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    start(*COMMAND, "trainer.max_epochs=4", folder=folder).communicate(timeout=300)
    return folder


def start(*overrides: str, folder: Path) -> subprocess.Popen:
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *overrides, f"hydra.run.dir={folder}"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Sums depend on the number of threads, in the last bit.
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
    )


def test_same_command_same_weights(train, tmp_path, whole):
    train(*COMMAND, "trainer.max_epochs=4", folder=tmp_path / "again")
    assert_equal(whole, tmp_path / "again")


def test_another_seed_other_weights(train, tmp_path, whole):
    train(*COMMAND, "trainer.max_epochs=4", "seed=2", folder=tmp_path / "other")
    a, b = weights(whole), weights(tmp_path / "other")
    assert not torch.equal(a["network.head.weight"], b["network.head.weight"])


def test_going_on_after_a_limited_epoch(train, tmp_path):
    """The next epoch starts at its first batch although the last one left some out."""
    limit = "trainer.limit_train_batches=5"
    train(*COMMAND, limit, "trainer.max_epochs=2", folder=tmp_path / "whole")
    train(*COMMAND, limit, "trainer.max_epochs=1", folder=tmp_path / "run")
    train(*COMMAND, limit, "trainer.max_epochs=2", "ckpt_path=last", folder=tmp_path / "run")
    assert_equal(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize("stop", ["trainer.max_epochs=2", "trainer.max_steps=25"])
def test_going_on(train, tmp_path, whole, stop):
    """Stopped at the end of an epoch, and in the middle of one."""
    folder = tmp_path / "run"
    train(*COMMAND, stop, folder=folder)
    train(*COMMAND, "trainer.max_epochs=4", "ckpt_path=last", folder=folder)
    assert_equal(whole, folder)


def test_resuming_from_a_path(train, tmp_path, whole):
    """In a copy of a run's folder, which is as good as the run."""
    train(*COMMAND, "trainer.max_epochs=1", folder=tmp_path / "first")
    (tmp_path / "first").rename(tmp_path / "second")
    path = tmp_path / "second" / "checkpoints" / "last.ckpt"
    train(*COMMAND, "trainer.max_epochs=4", f"ckpt_path={path}", folder=tmp_path / "second")
    assert_equal(whole, tmp_path / "second")


def test_interrupted_goes_on(tmp_path, whole):
    """Ctrl-C keeps `last`, marks the run, and going on ends where the whole run does."""
    folder = tmp_path / "run"
    running = start(*COMMAND, "trainer.max_epochs=4", folder=folder)
    deadline = time.monotonic() + 120
    while not (folder / "checkpoints" / "last.ckpt").is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    results = json.loads((folder / "results.json").read_text())
    if results["status"] == "finished":
        pytest.fail("the run was over before the signal came")
    assert running.returncode == 1
    assert results["status"] == "interrupted"
    assert "Traceback" not in errors
    assert "ckpt_path=last" in errors
    going_on = start(*COMMAND, "trainer.max_epochs=4", "ckpt_path=last", folder=folder)
    _, errors = going_on.communicate(timeout=120)
    assert going_on.returncode == 0, errors
    assert json.loads((folder / "results.json").read_text())["status"] == "finished"
    assert_equal(whole, folder)


def test_every_checkpoint_holds_plain_values_only(whole):
    for path in (whole / "checkpoints").iterdir():
        torch.load(path, weights_only=True)


def test_nan_stops_and_keeps_the_last_good(train, tmp_path):
    with pytest.raises(NonFiniteLossError, match=r"nan at step \d+.*last\.ckpt") as caught:
        train(*COMMAND, "optimizer=sgd", "optimizer.lr=1e30", "trainer.max_epochs=2")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["status"] == "failed"
    assert results["reason"] == str(caught.value)


def test_nan_keeps_the_last_good(train, tmp_path):
    """A loss that turns NaN in the second epoch leaves the first epoch's checkpoint."""
    folder = tmp_path / "run"
    train(*COMMAND, "trainer.max_epochs=1", folder=folder)
    before = weights(folder)
    with pytest.raises(NonFiniteLossError):
        train(
            *COMMAND,
            "trainer.max_epochs=3",
            "ckpt_path=last",
            "+callbacks.poison={_target_: tests.runs.test_resume.poison}",
            folder=folder,
        )
    after = weights(folder)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(torch.isfinite(value).all() for value in after.values())


def poison():
    from lightning.pytorch.callbacks import Callback

    class Poison(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if batch_idx == 5:
                pl_module.network.head.bias.data.fill_(float("nan"))

    return Poison()


@pytest.mark.parametrize("damage", ["truncated", "text", "other"])
def test_bad_checkpoint(train, tmp_path, whole, damage):
    path = tmp_path / "bad.ckpt"
    content = (whole / "checkpoints" / "last.ckpt").read_bytes()
    path.write_bytes({"truncated": content[:5000], "text": b"hello", "other": content}[damage])
    model = ("model=lstm",) if damage == "other" else ()
    message = "another architecture" if damage == "other" else "cannot be read as a checkpoint"
    with pytest.raises(InputError, match=message):
        train(*COMMAND, *model, f"ckpt_path={path}")


def test_full_disk(tmp_path):
    """A folder that takes nothing more: one line, no results that look finished."""
    folder = tmp_path / "run"
    code = (
        "import resource, runpy, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        f"sys.argv = [{str(ROOT / 'train.py')!r}, *{[*COMMAND, f'hydra.run.dir={folder}']!r}]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr
    assert json.loads((folder / "results.json").read_text())["status"] == "failed"
    assert not list(folder.rglob("*.ckpt"))
