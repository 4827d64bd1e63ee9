"""A run's folder: what was asked for, where it ran, and how it ended."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from seqlab.command import single_run
from seqlab.config import explain, leave, tells_errors
from seqlab.errors import InputError
from seqlab.escaping import one_line
from seqlab.interrupts import interruption
from seqlab.overrides import is_run, settings
from seqlab.runs.processes import stop_watching
from seqlab.runs.record import (
    RESULTS_FILE,
    cut_curves,
    outputs,
    portable,
    read_record,
    remove_outputs,
    restore_record,
    write_config,
)
from seqlab.runs.resume import chosen, own_settings, resume_command
from seqlab.saving import can_go_on, write_json

if TYPE_CHECKING:
    from seqlab.data.datamodule import SequenceDataModule
    from seqlab.tasks.base import Task

Status = Literal["finished", "pruned", "interrupted", "failed"]
PACKAGES = ("seqlab", "torch", "lightning", "torchmetrics", "hydra-core", "omegaconf", "numpy")


class RunFolder:
    """The folder of one run; as a context it also records how the run ended.

    The folder gets `config.yaml` (resolved), `overrides.yaml`, `environment.json`, and at the end
    `results.json`, which appears in one piece or not at all. Only the first of several processes
    writes. A command that is refused leaves the record of a former run as it was.

    Args:
        path: the folder, which exists.
        config: the composed configuration. A run that is resumed has its own, with the given
            overrides on top: see the attribute.

    Attributes:
        config: the configuration to train.
        changes: the settings that differ from the run so far, with the values before and after.
    """

    def __init__(self, path: str | Path, config: DictConfig) -> None:
        self.path = Path(path)
        self.config = config
        self.changes: dict[str, tuple[Any, Any]] = {}
        self.writes = os.environ.get("LOCAL_RANK", "0") == os.environ.get("NODE_RANK", "0") == "0"
        self._overrides = settings(list(HydraConfig.get().overrides.task))
        self._choices = chosen(HydraConfig.get().runtime.choices)
        # Whether the folder holds a run already, whose record a refused command leaves as it was.
        self._is_used = bool(outputs(self.path))
        self._before: dict[str, bytes] = {}
        self._start = time.perf_counter()
        self._begun = False
        self._ended = False

    @property
    def results_file(self) -> Path:
        return self.path / RESULTS_FILE

    def __enter__(self) -> Self:
        """Reads the settings of a run that is resumed; writes nothing.

        Raises:
            InputError: the folder holds a run, and nothing says what is to become of it.
        """
        resumes = self.config.get("ckpt_path") is not None
        try:
            if resumes and is_run(self.path):
                own = own_settings(self.path, self.config)
                self.config, self.changes = own.config, own.changes
                self._overrides, self._choices = own.overrides, own.choices
            elif not resumes and self.writes:
                self._check_unused()
        except Exception as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def _check_unused(self) -> None:
        found = outputs(self.path)
        if found and self.config.get("overwrite") is not True:
            raise InputError(
                f"{self.path} holds a run already ({found[0].name}); resume it with "
                "ckpt_path=last, choose another folder with hydra.run.dir, or remove that run and "
                "start anew with overwrite=true"
            )

    def begin(self, step: int = 0, *, mid_epoch: bool = False) -> None:
        """Writes what the run is; called when all that can be checked beforehand is.

        Args:
            step: optimizer steps of the checkpoint that the run is resumed from.
            mid_epoch: the checkpoint lies within an epoch. What will be logged again is removed.
        """
        self._begun = True
        if not self.writes:
            return
        self._before = read_record(self.path)
        if self.config.get("overwrite") and self.config.get("ckpt_path") is None:
            remove_outputs(self.path)
        elif self.config.get("ckpt_path") is not None:
            cut_curves(self.path, step, mid_epoch=mid_epoch)
        self.results_file.unlink(missing_ok=True)
        write_config(self.path, portable(self.config, self.path), self._overrides)
        write_json(self.path / "environment.json", environment())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stop_watching()
        if error is None or self._ended:
            return
        if isinstance(error, OSError) and error.filename is None and error.strerror:
            error.filename = str(self.path)  # a full disk, most often
        interrupted = isinstance(error, (KeyboardInterrupt, SystemExit))
        reason = "interrupted" if interrupted else explain(error) or f"{kind.__name__}: {error}"  # type: ignore[union-attr]
        with suppress(OSError):  # a full disk is the error that is already on its way
            if self._begun and isinstance(error, InputError) and RESULTS_FILE in self._before:
                restore_record(self.path, self._before)
            elif self._begun or not self._is_used:
                self.end("interrupted" if interrupted else "failed", reason=reason)
        # In a sweep the error goes up to where the other jobs are started.
        if HydraConfig.get().mode is not RunMode.RUN:
            return
        if interruption(error) is not None and self.writes:
            self._tell_how_to_go_on()
        if not interrupted and tells_errors():
            leave(error)

    def _tell_how_to_go_on(self) -> None:
        if not can_go_on(self.path):
            told = "interrupted before anything was saved; the same command starts again"
        else:
            command = single_run(resume_command(self.path.absolute(), []))
            told = f"interrupted; to go on   {command}"
        print(one_line(told), file=sys.stderr)  # noqa: T201

    def end(
        self,
        status: Status,
        *,
        task: Task | None = None,
        data: SequenceDataModule | None = None,
        best_checkpoint: str | None = None,
        **entries: Any,
    ) -> None:
        """Writes `results.json`: status, seed, seconds, choices, what the task tells, the entries.

        With task and data also what became of each test example, see `write_outcomes`. The best
        checkpoint is told relative to the folder.
        """
        if not self._begun:
            self.begin()
        self._ended = True
        if not self.writes:
            return
        results: dict[str, Any] = {
            "status": status,
            "seed": self.config.seed,
            "seconds": round(time.perf_counter() - self._start, 3),
            "choices": self._choices,
            **entries,
        }
        if best_checkpoint is not None:
            inside = Path(best_checkpoint).is_relative_to(self.path)
            relative = Path(best_checkpoint).relative_to(self.path) if inside else best_checkpoint
            results["best_checkpoint"] = str(relative)
        if task is not None and data is not None:
            from seqlab.runs.outcomes import write_outcomes

            results["test_sets"] = write_outcomes(self.path, task, data)
        if task is not None:
            results["reference"] = {
                "metric": task.spec.metric,
                "trivial": task.spec.trivial,
                "optimum": task.spec.optimum,
            }
            results["parameters"] = sum(p.numel() for p in task.network.parameters())
        write_json(self.results_file, results)


def environment() -> dict[str, Any]:
    """Versions, commit and machine: what a result depends on beside its configuration."""
    import torch

    devices = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    return {
        "command": sys.argv,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "git_commit": _git("rev-parse", "HEAD"),
        "git_changes": bool(_git("status", "--porcelain")),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "threads": torch.get_num_threads(),
        "devices": devices or ["cpu"],
    }


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *words],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
