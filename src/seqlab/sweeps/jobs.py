"""The jobs of a sweep: which there are, where each lies, and how far it is."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from seqlab.effects import without_effect
from seqlab.errors import InputError
from seqlab.hints import check_choices
from seqlab.reports.collect import Run, changed_keys, sweep_runs
from seqlab.sweeps.composing import Composer
from seqlab.sweeps.identity import KnownIdentities, identity, seen_by_resolvers

IDENTITIES = ".identities.json"
# Words of a command line that only say where jobs run and where they lie.
PLACE = ("hydra/launcher", "hydra.launcher", "hydra.sweep.", "hydra.run.", "hydra.mode=")


@dataclass(eq=False)
class Job:
    """One job of a sweep.

    Attributes:
        number: its place in the sweep.
        overrides: what its command line would be.
        identity: what it shares only with jobs that train the same.
        folder: where it lies or will lie.
        status: how a former sweep left it; None for a new one.
        name: the keys that tell it from the others, in a line.
        composed: its configuration with the `hydra` node, pickled (a thousand configurations
            take 27 MB so); None where it is finished.
        several: the setting that makes it start further processes, if it does.
    """

    number: int
    overrides: list[str]
    identity: str
    folder: Path
    status: str | None
    name: str
    composed: bytes | None
    several: str | None = None

    def config(self) -> DictConfig:
        assert self.composed is not None
        return pickle.loads(self.composed)  # of this process's own making


def plan(
    config: DictConfig,
    loader: ConfigLoader,
    points: Sequence[list[str]],
    *,
    first: int = 0,
    composer: Composer | None = None,
) -> list[Job]:
    """What is to be done, before anything is: every configuration is composed and named.

    Jobs of one identity are one job, which is planned once.

    Args:
        config: the sweep's configuration.
        loader: composes a job's.
        points: the overrides of each job.
        first: the number of the first.
        composer: the same, which remembers what it composed for former calls.

    Raises:
        InputError: two jobs that would share a folder, or a swept setting that has no effect in
            one of them. What Hydra says of wrong overrides goes up.
    """
    root = Path(config.hydra.sweep.dir)
    # A run whose note is damaged is nobody's; its job begins anew in its folder.
    runs = {run.identity: run for run in sweep_runs(root) if run.identity}
    words = [w for w in config.hydra.overrides.hydra if not w.lstrip("+~").startswith(PLACE)]
    known = KnownIdentities(root / IDENTITIES, _sources(loader), words)
    # The words of the command line, where they name one value, tell no jobs apart.
    common = set(config.hydra.overrides.task)
    if len(points) > 1:
        common |= set(points[0]).intersection(*points[1:])
    composer = composer or Composer(config, loader)
    jobs: dict[str, Job] = {}
    for number, overrides in enumerate(points, start=first):
        told = changed_keys([word for word in overrides if word not in common])
        told = told or changed_keys(overrides)
        name = known.get(overrides)
        run = runs.get(name or "")
        if name is not None and run is not None and run.status == "finished":
            job = Job(number, overrides, name, run.folder, run.status, _line(told), None)
        else:
            swept = [word for word in overrides if word not in common]
            job = _compose(composer, overrides, number, swept=swept, told=told, runs=runs)
        jobs.setdefault(job.identity, job)
    _check_apart(list(jobs.values()), runs)
    known.update({job.identity: job.overrides for job in jobs.values()})
    return list(jobs.values())


def _compose(
    composer: Composer,
    overrides: list[str],
    number: int,
    *,
    swept: Sequence[str],
    told: Mapping[str, str],
    runs: Mapping[str, Run],
) -> Job:
    check_choices(overrides)
    composed = composer.compose(overrides)
    for wrong in without_effect(composed, swept):
        raise InputError(f"{wrong}, or do not sweep over it: such jobs would be equal")
    name = identity(composed)
    run = runs.get(name)
    with read_write(composed.hydra), open_dict(composed.hydra):
        composed.hydra.job.id = _readable(told, name)
        composed.hydra.job.num = number
    # Where it lies decides over where it would be put now.
    folder = _folder(composed) if run is None else run.folder
    if not folder.is_relative_to(composed.hydra.sweep.dir):
        raise InputError(
            f"hydra.sweep.subdir={composed.hydra.sweep.subdir} leads out of the sweep's folder; "
            "give a path below hydra.sweep.dir"
        )
    with read_write(composed.hydra), open_dict(composed.hydra):
        composed.hydra.sweep.subdir = str(folder.relative_to(composed.hydra.sweep.dir))
        # Lightning starts the other processes of a job in this folder.
        composed.hydra.run.dir = str(folder.absolute())
    status = None if run is None else run.status
    kept = None if status == "finished" else pickle.dumps(composed)
    several = _several(composed)
    return Job(number, overrides, name, folder, status, _line(told), kept, several)


def _several(composed: DictConfig) -> str | None:
    """The setting that makes Lightning train in more than one process; None where none does."""
    for name in ("devices", "num_nodes"):
        value = OmegaConf.select(composed, f"trainer.{name}", default=1)
        text = str(value).strip("[]() ")
        listed = [part for part in text.split(",") if part.strip()]
        number = text.lstrip("-").isdigit() and isinstance(value, (int, str))
        if len(listed) > 1 or (number and int(text) != 1):
            return f"trainer.{name}={value}"
    return None


def _folder(composed: DictConfig) -> Path:
    with seen_by_resolvers(composed):
        return Path(composed.hydra.sweep.dir) / str(composed.hydra.sweep.subdir)


def _line(told: Mapping[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in told.items()) or "as it is"


def _readable(told: Mapping[str, str], name: str) -> str:
    """A folder's name: the changed keys as far as they fit, and the identity."""
    words = [f"{key.rpartition('.')[2]}_{value}" for key, value in told.items()]
    plain = re.sub(r"[^\w.-]+", "_", "-".join(words)).strip("_.-")[:80]
    return "-".join(filter(None, (plain, name[:10])))


def _check_apart(jobs: Sequence[Job], runs: Mapping[str, Run]) -> None:
    taken: dict[Path, Any] = {run.folder: run.identity for run in runs.values()}
    for job in jobs:
        if taken.setdefault(job.folder, job.identity) != job.identity:
            raise InputError(
                f"hydra.sweep.subdir puts two jobs into {job.folder} ({job.name} is the second); "
                "leave it as it is, or put ${hydra.job.id} into it"
            )


def _sources(loader: ConfigLoader) -> list[Path]:
    """The folders on the disk that configurations are composed of."""
    paths = [element.path for element in loader.get_search_path().get_path()]
    return [Path(path.removeprefix("file://")) for path in paths if path.startswith("file://")]
