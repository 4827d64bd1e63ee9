"""Reads what runs left in their folders; runs nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Written into the folder of each of a sweep's jobs before it starts.
JOB_FILE = "job.json"
RESULTS_FILE = "results.json"


@dataclass(frozen=True)
class Run:
    """A run as its folder tells it.

    Attributes:
        folder: where it lies.
        number: its place in its sweep.
        identity: what it shares only with runs of the same configuration.
        changed: the keys that its command line set, with their values as text.
        results: what `results.json` holds; empty for a run that left none.
    """

    folder: Path
    number: int
    identity: str
    changed: dict[str, str]
    results: dict[str, Any]

    @property
    def status(self) -> str:
        """`finished`, `failed`, `interrupted`, or `unfinished` for one that left no word."""
        return str(self.results.get("status", "unfinished"))

    @property
    def metrics(self) -> dict[str, float]:
        return dict(self.results.get("metrics") or {})

    @property
    def headline(self) -> str | None:
        """The name of the metric that the run's data is judged by."""
        return (self.results.get("reference") or {}).get("metric")


def sweep_runs(folder: Path) -> list[Run]:
    """The runs below a sweep's folder, in the order of their numbers."""
    runs = [_read(path) for path in _folders(folder)]
    found = [run for run in runs if run is not None]
    return sorted(found, key=lambda run: (run.number, run.folder))


def varying(runs: list[Run]) -> list[str]:
    """The changed keys that differ between runs, in the order of the command line."""
    return [key for key in changed(runs) if len({run.changed.get(key) for run in runs}) > 1]


def changed(runs: list[Run]) -> list[str]:
    """All keys that any run changed, in the order of the command line."""
    return list(dict.fromkeys(key for run in runs for key in run.changed))


def metric_names(runs: list[Run]) -> list[str]:
    """All metrics that any run has: tests first, then validation, then training."""
    names = {name for run in runs for name in run.metrics}
    stages = ("test", "test_long", "val", "train")
    known = {stage: number for number, stage in enumerate(stages)}
    return sorted(names, key=lambda name: (known.get(name.partition("/")[0], len(known)), name))


def headlines(runs: list[Run]) -> list[str]:
    """The metrics to show first: each run's own test metric, then the test loss."""
    wanted = [f"test/{run.headline}" for run in runs if run.headline] + ["test/loss"]
    there = {name for run in runs for name in run.metrics}
    return [name for name in dict.fromkeys(wanted) if name in there]


def read_json(path: Path) -> dict[str, Any] | None:
    """An object from a file; None where there is none, or half of one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _folders(folder: Path) -> Iterator[Path]:
    """Folders of jobs below; their own folders are not looked into."""
    pending = [folder]
    while pending:
        here = pending.pop()
        try:
            entries = list(os.scandir(here))
        except OSError:  # gone meanwhile, or not ours to read
            continue
        if any(entry.name == JOB_FILE for entry in entries):
            yield here
        else:
            pending += [Path(entry.path) for entry in entries if entry.is_dir()]


def _read(folder: Path) -> Run | None:
    job: Mapping[str, Any] | None = read_json(folder / JOB_FILE)
    if job is None or not isinstance(job.get("identity"), str):
        return None
    return Run(
        folder=folder,
        number=int(job.get("number", 0)),
        identity=job["identity"],
        changed={str(key): str(value) for key, value in (job.get("changed") or {}).items()},
        results=read_json(folder / RESULTS_FILE) or {},
    )
