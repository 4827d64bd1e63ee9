"""Ctrl-C and SIGTERM save what there is, mark the run, and lose nothing to whoever goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import Callback

from seqlab.interrupts import PATIENCE, Terminated, interruption, interrupts
from seqlab.sweeps.launching import GRACE
from tests.conftest import ROOT, trainer_in

# Dropout makes the random generators matter, plateau the validations; 8 steps an epoch.
RUN = (
    "model=bigru_attn",
    "model.dropout=0.2",
    "scheduler=plateau",
    "scheduler.patience=0",
    "logger=none",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
    "trainer.enable_model_summary=false",
    "trainer.max_epochs=2",
    "trainer.val_check_interval=4",
    "loader.batch_size=16",
    "data.train_size=128",
    "data.val_size=64",
    "data.test_size=64",
)


class Signals(Callback):
    """Sends a signal to this process at one moment of a run, but not when the run is resumed."""

    def __init__(self, moment: str, step: int, batch: int = 1, number: int = signal.SIGTERM):
        self.moment, self.step, self.batch, self.number = moment, step, batch, number

    def _send(self, trainer, moment, batch_idx):
        here = not trainer.sanity_checking and (trainer.global_step, batch_idx)
        sent = Path(trainer.default_root_dir, "sent")
        if moment == self.moment and here == (self.step, self.batch) and not sent.exists():
            sent.touch()
            os.kill(os.getpid(), self.number)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self._send(trainer, "train", self.batch)

    def on_validation_batch_start(self, trainer, pl_module, batch, batch_idx, dataloader_idx=0):
        self._send(trainer, "val", batch_idx)

    def on_test_batch_start(self, trainer, pl_module, batch, batch_idx, dataloader_idx=0):
        self._send(trainer, "test", batch_idx)


def at(moment: str, step: int, number: int = signal.SIGTERM) -> str:
    words = f"moment: {moment}, step: {step}, number: {int(number)}"
    return f"+callbacks.signals={{_target_: tests.runs.test_signals.Signals, {words}}}"


def weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run in one go: its results and its weights."""
    folder = tmp_path_factory.mktemp("whole")
    results = trainer_in(folder)(*RUN)
    return results["metrics"], {name: weights(folder, name) for name in ("best", "last")}


@pytest.mark.parametrize(
    ("moment", "step"),
    [
        ("train", 2),
        ("train", 3),  # a validation follows the batch
        ("train", 7),  # the end of the epoch
        ("val", 4),  # within an epoch
        ("val", 8),  # at its end
        ("test", 16),
    ],
)
def test_going_on_ends_where_the_whole_run_does(train, tmp_path, whole, moment, step):
    metrics, saved = whole
    with pytest.raises(SystemExit) as caught:
        train(*RUN, at(moment, step))
    assert isinstance(interruption(caught.value), Terminated)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["status"] == "interrupted"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    again = train(*RUN, "ckpt_path=last")
    assert again["status"] == "finished"
    for name in ("best", "last"):
        found = weights(tmp_path / "run", name)
        assert all(torch.equal(found[key], saved[name][key]) for key in found), name
    for name, value in metrics.items():
        if not name.startswith("train/"):
            assert again["metrics"][name] == value, name


def deferred(seconds: float, signals: int) -> None:
    with interrupts.deferred():
        for number in range(signals):
            assert interrupts.received == (signal.SIGTERM if number else None)
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(seconds)


def test_a_second_signal_stops_at_once():
    deferred(0, signals=1)
    with pytest.raises(Terminated):
        deferred(5, signals=2)
    assert interrupts.received is None


def test_work_that_does_not_stop_is_given_up(monkeypatch):
    monkeypatch.setattr("seqlab.interrupts.PATIENCE", 0.05)
    with pytest.raises(Terminated):
        deferred(5, signals=1)


def test_signals_outside_the_main_thread_are_left_alone():
    errors = []

    def work():
        try:
            with interrupts.deferred():
                pass
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not errors


def start(folder: Path, *words: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *RUN, *words, f"hydra.run.dir={folder}"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def await_file(path: Path, running: subprocess.Popen) -> None:
    until = time.monotonic() + 120
    while not path.is_file() and time.monotonic() < until and running.poll() is None:
        time.sleep(0.02)
    assert path.is_file(), running.communicate()[1]


def test_waiting_for_a_good_point_ends_within_the_grace_of_ten_seconds():
    """How long a whole stop takes depends on the machine: only the waiting is bounded here."""
    assert PATIENCE < 10
    assert GRACE[signal.SIGTERM] < 10


def test_the_exit_status_and_how_to_go_on(tmp_path):
    running = start(tmp_path / "run", "trainer.max_epochs=1000")
    await_file(tmp_path / "run" / "checkpoints" / "last.ckpt", running)
    running.send_signal(signal.SIGTERM)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 143, errors
    assert "Traceback" not in errors
    (line,) = (line for line in errors.splitlines() if line.startswith("interrupted"))
    assert line.endswith(f"'hydra.run.dir=\"{tmp_path / 'run'}\"' ckpt_path=last")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["status"] == "interrupted"


TWO = ("trainer.devices=2", "trainer.strategy=ddp", "trainer.max_epochs=1000")


def second_process(running: subprocess.Popen) -> int:
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    (found,) = (
        int(child)
        for child in children
        if "train_ddp_process" in Path(f"/proc/{child}/cmdline").read_text()
    )
    return found


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_one_of_two_processes(tmp_path, number):
    folder = tmp_path / "run"
    running = start(folder, *TWO)
    await_file(folder / "checkpoints" / "last.ckpt", running)
    os.kill(second_process(running), number)
    _, errors = running.communicate(timeout=60)
    assert "Traceback" not in errors, errors
    results = json.loads((folder / "results.json").read_text())
    if number == signal.SIGTERM:
        assert running.returncode == 143, errors
        assert results["status"] == "interrupted"
    else:
        assert running.returncode == 1, errors
        assert results["status"] == "failed"
        (line,) = (line for line in errors.splitlines() if line.startswith("error: "))
        assert "another process of this run is gone" in line


def test_several_machines_that_do_not_know_of_each_other(train, monkeypatch):
    from seqlab.errors import InputError

    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(InputError, match="num_nodes=2 needs the same command on each machine"):
        train(*RUN, "trainer.num_nodes=2", "trainer.strategy=ddp", "trainer.devices=1")


def test_causes_in_a_circle_end():
    one, other = ValueError(), ValueError()
    one.__cause__, other.__cause__ = other, one
    assert interruption(one) is None
    alone = ValueError()
    alone.__cause__ = alone
    assert interruption(alone) is None
