"""A run's folder: what was asked for, where it ran, and how it ended."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from seqlab.config import explain, leave, wants_traceback
from seqlab.saving import write_atomically

if TYPE_CHECKING:
    from seqlab.data.datamodule import SequenceDataModule
    from seqlab.tasks.base import Task

Status = Literal["finished", "pruned", "interrupted", "failed"]
PACKAGES = ("seqlab", "torch", "lightning", "torchmetrics", "hydra-core", "omegaconf", "numpy")


class RunFolder:
    """Writes the folder of one run; as a context it also records how the run ended.

    The folder gets `config.yaml` (resolved), `environment.json`, and at the end `results.json`,
    which appears in one piece or not at all. Only the first of several processes writes.

    Args:
        path: the folder, which exists.
        config: the composed configuration.
    """

    def __init__(self, path: str | Path, config: DictConfig) -> None:
        self.path = Path(path)
        self.config = config
        self.writes = os.environ.get("LOCAL_RANK", "0") == os.environ.get("NODE_RANK", "0") == "0"
        self._start = time.perf_counter()
        self._ended = False

    @property
    def results_file(self) -> Path:
        return self.path / "results.json"

    def __enter__(self) -> Self:
        if self.writes:
            self.results_file.unlink(missing_ok=True)
            text = OmegaConf.to_yaml(self.config, resolve=True)
            write_atomically(self.path / "config.yaml", text)
            write_atomically(self.path / "environment.json", _json(environment()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None or self._ended:
            return
        interrupted = isinstance(error, (KeyboardInterrupt, SystemExit))
        reason = "interrupted" if interrupted else explain(error) or f"{kind.__name__}: {error}"  # type: ignore[union-attr]
        with suppress(OSError):  # a full disk is the error that is already on its way
            self.end("interrupted" if interrupted else "failed", reason=reason)
        # In a sweep the error goes up to where the other jobs are started.
        if HydraConfig.get().mode is RunMode.RUN and not interrupted and not wants_traceback():
            leave(error)

    def end(
        self,
        status: Status,
        *,
        task: Task | None = None,
        data: SequenceDataModule | None = None,
        **entries: Any,
    ) -> None:
        """Writes `results.json`: status, seed, seconds, choices, what the task tells, the entries.

        With task and data also what became of each test example, see `write_outcomes`.
        """
        self._ended = True
        if not self.writes:
            return
        results = {
            "status": status,
            "seed": self.config.seed,
            "seconds": round(time.perf_counter() - self._start, 3),
            "choices": choices(),
            **entries,
        }
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
        write_atomically(self.results_file, _json(results))


def choices() -> dict[str, str]:
    """What was chosen of each config group, Hydra's own left out."""
    chosen = HydraConfig.get().runtime.choices
    return {
        str(group): str(name)
        for group, name in chosen.items()
        if not str(group).startswith("hydra") and name is not None
    }


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


def _json(content: Mapping[str, Any]) -> str:
    # What was refused may be of any type.
    return json.dumps(content, indent=2, default=str) + "\n"
