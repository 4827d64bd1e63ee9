"""Searches of jobs that train nothing, in this process and in one that can be killed."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import hydra
import optuna
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

import seqlab.config
import seqlab.reports.results
import seqlab.runs.folder
from seqlab.runs.folder import RunFolder
from seqlab.saving import write_atomically
from seqlab.sweeps.samplers import seed_of
from seqlab.trials.handover import handed_trial
from seqlab.trials.storage import open_storage
from tests.sweeps.sweeping import CONF_OF_SCRIPT

SPACE = ("+x=interval(0,1)", "+y=tag(log,interval(1e-3,1))", "model=rnn,gru,lstm")
MODELS = ("rnn", "gru", "lstm")
METRIC = "hydra.sweeper.metric=val/loss"


def bowl(x: float, y: float, size: int) -> float:
    return (x - 0.3) ** 2 + (y - 0.1) ** 2 + 0.01 * size


class Task:
    """Writes a job's results; `bad` maps a job's count to what it does instead."""

    def __init__(self, bad: Any = None) -> None:
        self.bad = bad or {}
        self.ran: list[dict[str, Any]] = []
        self.handed: list[Any] = []

    def __call__(self, config: DictConfig) -> None:
        size = config.model.size
        job = {"x": config.get("x", 0.0), "y": config.get("y", 0.0), "size": size}
        self.ran.append(job)
        self.handed.append(handed_trial())
        with RunFolder(HydraConfig.get().runtime.output_dir, config) as folder:
            if len(self.ran) in self.bad:
                self.bad[len(self.ran)](folder)
            folder.end("finished", metrics=measure(job))

    def launch(self, points: Any, folder: Path) -> list[JobReturn]:
        """What a launcher does, without composing anything: it would take most of the time."""
        returns = []
        for point in points:
            given = dict(word.lstrip("+").split("=", 1) for word in point[:-1])
            job = {
                "x": float(given.get("x", 0)),
                "y": float(given.get("y", 0)),
                "size": MODELS.index(given.get("model", "rnn")),
            }
            done = JobReturn(overrides=point)
            done.status, done.return_value = JobStatus.COMPLETED, None
            run = folder / "-".join(map(str, job.values()))
            done.working_dir = str(run)
            returns.append(done)
            if run.exists():
                continue
            self.ran.append(job)
            run.mkdir()
            results = {"status": "finished", "metrics": measure(job)}
            (run / "results.json").write_text(json.dumps(results))
            note = {"identity": run.name, "number": len(self.ran), "changed": given}
            (run / "job.json").write_text(json.dumps(note))
        return returns


def measure(job: dict[str, Any]) -> dict[str, float]:
    return {"val/loss": bowl(**job), "val/accuracy": job["x"], "test/loss": 0.0}


def study(folder: Path, name: str = "search") -> optuna.Study:
    """The study in a sweep's folder."""
    return optuna.load_study(study_name=name, storage=open_storage(str(folder / "study.log")))


def directly(sampler: Any, count: int, *, directions: tuple[str, ...] = ("minimize",)) -> Any:
    """A study on SPACE, run with Optuna alone; `sampler` makes one from a seed."""
    found = optuna.create_study(directions=directions)
    for number in range(count):
        found.sampler = sampler(seed=seed_of(1, number))
        trial = found.ask()
        x = trial.suggest_float("x", 0, 1)
        y = trial.suggest_float("y", 1e-3, 1, log=True)
        size = MODELS.index(trial.suggest_categorical("model", MODELS))
        # A job is given six digits.
        x, y = float(f"{x:.6g}"), float(f"{y:.6g}")
        values = [bowl(x, y, size), x][: len(directions)]
        found.tell(trial, values)
    return found


def bowl_slowly(config: DictConfig) -> None:
    """Saves after each of five steps and goes on from there; keeps a list of what was begun."""
    with RunFolder(HydraConfig.get().runtime.output_dir, config) as folder:
        log, saved = folder.path.parent / "log.txt", folder.path / "checkpoints" / "last.ckpt"
        saved.parent.mkdir(exist_ok=True)
        step = json.loads(saved.read_text()) if config.ckpt_path == "last" else 0
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"job": folder.path.name, "from": step}) + "\n")
        while step < 5:
            step += 1
            time.sleep(float(os.environ.get("SEQLAB_TEST_STEP", "0.01")))
            write_atomically(saved, json.dumps(step))
        loss = bowl(config.x, config.y, config.model.size)
        folder.end("finished", metrics={"val/loss": loss})


if __name__ == "__main__":
    seqlab.runs.folder.environment = dict  # asks torch, which takes long to import
    seqlab.reports.results.draw = lambda *args, **options: []
    conf = os.environ[CONF_OF_SCRIPT]
    main = hydra.main(version_base="1.3", config_path=conf, config_name="train")
    seqlab.config.run(main(bowl_slowly))
