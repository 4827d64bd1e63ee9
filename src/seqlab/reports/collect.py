"""Reads what runs left in their folders; runs nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from seqlab.reports.records import (
    JOB_FILE,
    RESULTS_FILE,
    DamagedError,
    read_job,
    read_results,
    read_yaml,
)
from seqlab.reports.study_file import Study, study_of

# Statuses of runs that ended as they should: to their end, or as a search told them to.
DONE = ("finished", "pruned")
# What else tells that a folder is a run's.
RUN_FILES = (JOB_FILE, RESULTS_FILE, "environment.json")
# Overrides that change how a run is kept or shown, not what it learns.
SHOWN = ("hydra", "sweep.", "ckpt_path", "logger", "callbacks.progress_bar", "trainer.enable_")
# Values of overrides that are not what they say: in quotes, or made of others.
WRITTEN = re.compile(r"[\"'\\$]")


@dataclass(frozen=True)
class Run:
    """A run as its folder tells it.

    Attributes:
        folder: where it lies.
        number: its place in its sweep.
        identity: what it shares only with runs of the same configuration; empty where it is no
            job of a sweep.
        given: the keys that its command line set, with their values as they were written.
        results: what `results.json` holds; empty for a run that left none.
        damaged: the file of its record that cannot be read; empty where all can.
    """

    folder: Path
    number: int
    identity: str
    given: dict[str, str]
    results: dict[str, Any]
    damaged: str = ""

    @property
    def status(self) -> str:
        """As `results.json` says; else `damaged`, or `unfinished` for one that left no word."""
        return "damaged" if self.damaged else str(self.results.get("status", "unfinished"))

    @cached_property
    def changed(self) -> dict[str, str]:
        """The keys that its command line set, with their values as text."""
        return {key: self._value_of(key, written) for key, written in self.given.items()}

    def _value_of(self, key: str, written: str) -> str:
        if not WRITTEN.search(written):
            return written
        if key in self.choices:
            return self.choices[key]
        if key in self.config:
            return str(self.config[key])
        quoted = re.fullmatch(r"(['\"])(.*)\1", written, re.DOTALL)
        return quoted[2] if quoted else written

    @cached_property
    def study(self) -> Study | None:
        """The search that the run is a trial of."""
        return study_of(self.folder)

    @property
    def metrics(self) -> dict[str, float]:
        return dict(self.results.get("metrics") or {})

    @property
    def headline(self) -> str | None:
        """The name of the metric that the run's data is judged by."""
        return (self.results.get("reference") or {}).get("metric")

    @property
    def judged_by(self) -> str | None:
        """The metric that it is ranked by: its headline on the test set, or a search's objective.

        Trials that were chosen from by their validation are not ranked by the test set, which
        would then be part of the choice.
        """
        if self.study is not None and self.study.metric is not None:
            return self.study.metric
        return f"test/{self.headline}" if self.headline else None

    @property
    def seed(self) -> str:
        return str(self.results.get("seed", self.changed.get("seed", "")))

    @property
    def choices(self) -> dict[str, str]:
        """What was chosen of each config group."""
        return self.results.get("choices") or {}

    @cached_property
    def config(self) -> dict[str, Any]:
        """The whole configuration as dotted keys; empty where it cannot be read."""
        content = read_yaml(self.folder / "config.yaml")
        return dict(_flat(content)) if isinstance(content, dict) else {}

    def value(self, key: str) -> str | None:
        """What a key or config group was, as text: as changed, else as chosen, else as composed."""
        if key == "seed":
            return self.seed
        if key in self.changed:
            return self.changed[key]
        if key in self.choices:
            return self.choices[key]
        found = self.config.get(key)
        return None if found is None else str(found)


def sweep_runs(folder: Path) -> list[Run]:
    """The runs below a sweep's folder, in the order of their numbers."""
    runs = [_read(path) for path in _folders(folder)]
    return sorted(runs, key=lambda run: (run.number, run.folder))


def runs_below(folders: Iterable[Path]) -> list[Run]:
    """All runs in and below folders, each once: jobs of sweeps, and runs of their own."""
    found = {path.resolve(): path for folder in folders for path in _folders(folder, RUN_FILES)}
    runs = [_read(path) for path in found.values()]
    return sorted(runs, key=lambda run: (run.folder.parent, run.number, run.folder))


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
    """The metrics to show first: what runs are ranked by, their test metrics, the test loss."""
    wanted = [run.judged_by for run in runs if run.judged_by]
    wanted += [f"test/{run.headline}" for run in runs if run.headline] + ["test/loss"]
    there = {name for run in runs for name in run.metrics}
    return [name for name in dict.fromkeys(wanted) if name in there]


def last_word(name: str, others: Iterable[str]) -> str:
    """`lr` of the key `optimizer.lr`, unless another of the names ends so too."""
    last = name.rpartition(".")[2] if re.fullmatch(r"[\w/@]+(\.[\w/@]+)+", name) else name
    alike = [other for other in others if other.rpartition(".")[2] == last]
    # The seed of the data is not the run's.
    return last if len(alike) == 1 and last != "seed" else name


def results_of(folder: Path) -> dict[str, Any]:
    """What `results.json` of a run holds; empty where there is none that can be read."""
    try:
        return read_results(folder)
    except DamagedError:
        return {}


def overrides(folder: Path) -> list[str]:
    """The command line of a run, as its folder keeps it; empty where it does not."""
    words = read_yaml(folder / "overrides.yaml")
    if words is None:  # a run of an older version
        words = read_yaml(folder / ".hydra" / "overrides.yaml")
    return [str(word) for word in words] if isinstance(words, list) else []


def changed_keys(overrides: Sequence[str]) -> dict[str, str]:
    """Overrides as keys and values, without Hydra's own and the sweep's."""
    changed = {}
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        if not re.match(r"(hydra|sweep)\b", key):
            changed[key] = value
    return changed


def _folders(folder: Path, files: Sequence[str] = (JOB_FILE,)) -> Iterator[Path]:
    """Folders that hold one of the files; their own folders are not looked into.

    Each is looked into once, however many links lead to it.
    """
    pending, seen = [folder], set()
    while pending:
        here = pending.pop()
        try:
            status = here.stat()
            place = status.st_dev, status.st_ino
            entries = [] if place in seen else list(os.scandir(here))
        except OSError:  # gone meanwhile, or not ours to read
            continue
        seen.add(place)
        if any(entry.name in files for entry in entries):
            yield here
        else:
            pending += [Path(entry.path) for entry in entries if _is_folder(entry)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _read(folder: Path) -> Run:
    """A run with what can be read of its record."""
    damaged, job, results = "", None, {}
    try:
        job = read_job(folder)
    except DamagedError as error:
        damaged = str(error)
    try:
        results = read_results(folder)
    except DamagedError as error:
        damaged = str(error)
    # Of a run that is no job of a sweep Hydra keeps the command line.
    given = job.changed if job is not None else changed_keys(overrides(folder))
    return Run(
        folder=folder,
        number=job.number if job is not None else 0,
        identity=job.identity if job is not None else "",
        given={key: value for key, value in given.items() if not key.startswith(SHOWN)},
        results=results,
        damaged=damaged,
    )


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
