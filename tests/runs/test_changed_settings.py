"""Settings that are changed when a run is resumed: applied and told, or refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seqlab.errors import InputError
from seqlab.tasks.base import Task
from tests.conftest import trainer_in
from tests.runs.interrupting import (
    FAMILIES,
    QUIET,
    Interruption,
    Killed,
    checkpoint,
    curves,
    interrupt_at,
)

RUN = (*FAMILIES["classifier"], *QUIET, "optimizer.lr=0.01")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """`finished(*words)` is the folder of a finished run of two epochs, made once."""
    made: dict[tuple[str, ...], Path] = {}

    def run(*words: str) -> Path:
        if words not in made:
            made[words] = tmp_path_factory.mktemp("finished") / "run"
            trainer_in(made[words])(*RUN, "trainer.max_epochs=2", *words)
        return made[words]

    return run


@pytest.fixture
def resume(finished, tmp_path):
    """`resume(words, *changed)` resumes a copy of a finished run for another epoch."""

    def run(words: tuple[str, ...], *changed: str) -> Path:
        folder = shutil.copytree(finished(*words), tmp_path / "run", dirs_exist_ok=True)
        trainer_in(folder)("ckpt_path=last", *words, "trainer.max_epochs=3", *changed)
        return folder

    return run


def rates(folder: Path) -> list[float]:
    """The learning rate of each step."""
    found = {int(step): float(v) for (step, name), v in curves(folder).items() if "lr-" in name}
    return [found[step] for step in sorted(found)]


def group(folder: Path) -> dict[str, Any]:
    return checkpoint(folder, "last")["optimizer_states"][0]["param_groups"][0]


def test_learning_rate_and_weight_decay(resume, capsys):
    folder = resume((), "optimizer.lr=0.002", "optimizer.weight_decay=0.1")
    assert rates(folder) == [0.01] * 10 + [0.002] * 5
    assert group(folder)["weight_decay"] == 0.1
    told = capsys.readouterr().err
    assert "optimizer.lr 0.01 → 0.002" in told
    assert "optimizer.weight_decay 0.0 → 0.1" in told


def test_nothing_changed_nothing_told(resume, capsys):
    resume(())
    told = capsys.readouterr().err
    assert "trainer.max_epochs 2 → 3" in told
    assert "optimizer" not in told


def test_a_schedule_is_continued_with_its_new_settings(resume, finished, tmp_path):
    words = ("scheduler=cosine",)
    folder = resume(words, "scheduler.min_ratio=0.5", "optimizer.lr=0.02")
    whole = tmp_path / "whole"
    later = ("trainer.max_epochs=3", "scheduler.min_ratio=0.5", "optimizer.lr=0.02")
    trainer_in(whole)(*RUN, *words, *later)
    assert rates(folder)[10:] == rates(whole)[10:]
    assert rates(folder)[:10] == rates(finished(*words))


def test_a_reduced_rate_stays_reduced_by_as_much(resume, finished):
    words = ("scheduler=plateau", "scheduler.patience=0", "optimizer.lr=50.0")
    reduction = group(finished(*words))["lr"] / 50
    assert reduction == 0.5
    folder = resume(words, "optimizer.lr=0.1", "scheduler.patience=7")
    assert rates(folder)[10] == 0.05
    assert len(set(rates(folder)[10:])) == 1


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("optimizer.lr=0.002", "raise trainer.max_epochs to train on"),
        ("scheduler=cosine", "raise trainer.max_epochs to train on"),
        ("trainer.gradient_clip_val=0.5", "raise trainer.max_epochs to train on"),
        ("overwrite=true", "leave one of the two out"),
    ],
)
def test_a_record_claims_no_setting_that_no_step_was_made_with(finished, tmp_path, word, told):
    folder = shutil.copytree(finished(), tmp_path / "run")
    before = {path: path.read_bytes() for path in folder.rglob("*.*") if path.suffix != ".log"}
    with pytest.raises(InputError, match=told):
        trainer_in(folder)("ckpt_path=last", word)
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path in before}


STOPPED = (
    "callbacks.early_stopping.patience=1",
    "callbacks.early_stopping.min_delta=10.0",
    "trainer.max_epochs=8",
)


def test_an_early_stopped_run_stays_stopped(finished, tmp_path):
    """Also a job of a sweep that was killed in its tests; more patience lets it train on."""
    folder = shutil.copytree(finished(*STOPPED), tmp_path / "run")
    before = checkpoint(folder, "last")
    assert before["global_step"] == 10
    train = trainer_in(folder)
    first = train("ckpt_path=last")
    assert checkpoint(folder, "last")["global_step"] == 10
    assert first["metrics"] == train("ckpt_path=last")["metrics"]
    train("ckpt_path=last", "callbacks.early_stopping.patience=2")
    assert checkpoint(folder, "last")["global_step"] == 15
    state = checkpoint(folder, "last")["callbacks"]
    patience = [value["patience"] for key, value in state.items() if EarlyStopping.__name__ in key]
    assert patience == [2]
    train("ckpt_path=last", "callbacks.early_stopping=null", "trainer.max_epochs=4")
    assert checkpoint(folder, "last")["global_step"] == 20


@pytest.fixture
def mid_epoch(finished, tmp_path):
    """A run that was interrupted within its first epoch."""
    folder = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(patch, Interruption("INT", "training", 2))
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            trainer_in(folder)(*RUN, "trainer.max_epochs=2")
    return folder


@pytest.mark.parametrize(
    "word", ["loader.batch_size=8", "loader.bucket=false", "trainer.accumulate_grad_batches=2"]
)
def test_batches_of_an_epoch_that_is_begun_stay(mid_epoch, word):
    before = (mid_epoch / "results.json").read_bytes()
    with pytest.raises(InputError, match=f"{word.partition('=')[0]} .*within an epoch"):
        trainer_in(mid_epoch)("ckpt_path=last", word)
    assert (mid_epoch / "results.json").read_bytes() == before


def test_batches_of_the_next_epoch_may_change(resume):
    folder = resume((), "loader.batch_size=36")
    assert checkpoint(folder, "last")["global_step"] == 12


def test_every_example_is_seen_once(mid_epoch, monkeypatch):
    """After an interruption within the epoch, too."""
    seen: list[int] = []
    original = Task.training_step

    def step(self: Task, batch: Any, number: int) -> Any:
        seen.extend(batch.indices.tolist())
        return original(self, batch, number)  # type: ignore[arg-type]

    monkeypatch.setattr(Task, "training_step", step)
    trainer_in(mid_epoch)("ckpt_path=last")
    assert len(seen) == 72 - 2 * 16 + 72
    assert len(set(seen[: 72 - 2 * 16])) == 72 - 2 * 16


def test_other_data_on_request(resume, capsys):
    folder = resume((), "data.seed=9", "allow_new_data=true")
    assert checkpoint(folder, "last")["global_step"] == 15
    assert "data.seed 0 → 9" in capsys.readouterr().err


def test_a_file_that_was_changed_is_other_data(tmp_path, capsys):
    lines = [f"{' '.join(f'{n:06b}')}\tone" for n in range(80)]
    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join(lines[:60]))
    train = trainer_in(tmp_path / "run")
    words = ("data=pairs_file", f"data.path={path}", "model=gru", *QUIET, "trainer.max_epochs=1")
    train(*words)
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"data have changed.*allow_new_data=true"):
        train("ckpt_path=last", "trainer.max_epochs=2")
    train("ckpt_path=last", "trainer.max_epochs=2", "allow_new_data=true")
    assert checkpoint(tmp_path / "run", "last")["epoch"] == 1


def test_events_do_not_overlap(finished, tmp_path):
    """What was logged after the checkpoint of a killed run is logged once, by whoever resumes."""
    folder = tmp_path / "run"
    words = (*RUN[:-2], "logger=default", "trainer.max_epochs=2", "trainer.log_every_n_steps=1")
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(patch, Interruption("KILL", "training", 8))
        with pytest.raises(Killed):
            trainer_in(folder)(*words)
    trainer_in(folder)("ckpt_path=last")
    events = EventAccumulator(str(folder))
    events.Reload()
    steps = [event.step for event in events.Scalars("train/loss_step")]
    assert steps == list(range(10))
    assert len({step for step, name in curves(folder) if name == "train/loss_step"}) == 10


def test_checkpoints_hold_plain_values_only(finished):
    for path in (finished() / "checkpoints").iterdir():
        torch.load(path, weights_only=True)
