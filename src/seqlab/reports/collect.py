"""Reads what runs left in their folders; runs nothing."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

# Written into the folder of each of a sweep's jobs before it starts.
JOB_FILE = "job.json"
RESULTS_FILE = "results.json"
# Statuses of runs that ended as they should: to their end, or as a search told them to.
DONE = ("finished", "pruned")
# What else tells that a folder is a run's.
RUN_FILES = (JOB_FILE, RESULTS_FILE, "environment.json")
# Overrides that change how a run is kept or shown, not what it learns.
SHOWN = ("hydra", "sweep.", "ckpt_path", "logger", "callbacks.progress_bar", "trainer.enable_")


@dataclass(frozen=True)
class Run:
    """A run as its folder tells it.

    Attributes:
        folder: where it lies.
        number: its place in its sweep.
        identity: what it shares only with runs of the same configuration; empty where it is no
            job of a sweep.
        changed: the keys that its command line set, with their values as text.
        results: what `results.json` holds; empty for a run that left none.
        damaged: there is a `results.json` that cannot be read.
    """

    folder: Path
    number: int
    identity: str
    changed: dict[str, str]
    results: dict[str, Any]
    damaged: bool = False

    @property
    def status(self) -> str:
        """As `results.json` says; else `damaged`, or `unfinished` for one that left no word."""
        return "damaged" if self.damaged else str(self.results.get("status", "unfinished"))

    @property
    def metrics(self) -> dict[str, float]:
        return dict(self.results.get("metrics") or {})

    @property
    def headline(self) -> str | None:
        """The name of the metric that the run's data is judged by."""
        return (self.results.get("reference") or {}).get("metric")

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
    found = [run for run in runs if run is not None]
    return sorted(found, key=lambda run: (run.number, run.folder))


def runs_below(folders: Iterable[Path]) -> list[Run]:
    """All runs in and below folders, each once: jobs of sweeps, and runs of their own."""
    found = {path.resolve(): path for folder in folders for path in _folders(folder, RUN_FILES)}
    runs = [_read(path) or _read_single(path) for path in found.values()]
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
    """The metrics to show first: each run's own test metric, then the test loss."""
    wanted = [f"test/{run.headline}" for run in runs if run.headline] + ["test/loss"]
    there = {name for run in runs for name in run.metrics}
    return [name for name in dict.fromkeys(wanted) if name in there]


def last_word(name: str, others: Iterable[str]) -> str:
    """`lr` of the key `optimizer.lr`, unless another of the names ends so too."""
    last = name.rpartition(".")[2] if re.fullmatch(r"[\w/@]+(\.[\w/@]+)+", name) else name
    alike = [other for other in others if other.rpartition(".")[2] == last]
    # The seed of the data is not the run's.
    return last if len(alike) == 1 and last != "seed" else name


def read_json(path: Path) -> dict[str, Any] | None:
    """An object from a file; None where there is none, or half of one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def read_yaml(path: Path) -> Any:
    """What a YAML file holds; None where there is none, or half of one."""
    import yaml

    try:
        # The loader in C is ten times quicker, where it was built.
        return yaml.load(path.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, yaml.YAMLError):
        return None


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
    """Folders that hold one of the files; their own folders are not looked into."""
    pending = [folder]
    while pending:
        here = pending.pop()
        try:
            entries = list(os.scandir(here))
        except OSError:  # gone meanwhile, or not ours to read
            continue
        if any(entry.name in files for entry in entries):
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
        changed=_deciding(job.get("changed") or {}),
        **_results(folder),
    )


def _read_single(folder: Path) -> Run:
    """A run that is no job of a sweep; Hydra keeps its command line."""
    changed = _deciding(changed_keys(overrides(folder)))
    return Run(folder=folder, number=0, identity="", changed=changed, **_results(folder))


def _deciding(changed: Mapping[str, Any]) -> dict[str, str]:
    """Changed keys without those that decide only what is shown or kept."""
    return {str(key): str(value) for key, value in changed.items() if not key.startswith(SHOWN)}


def _results(folder: Path) -> dict[str, Any]:
    results = read_json(folder / RESULTS_FILE)
    damaged = results is None and (folder / RESULTS_FILE).exists()
    return {"results": results or {}, "damaged": damaged}


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
