"""Runs one job of a sweep in this process, apart from the others, and records how it fails."""

from __future__ import annotations

import sys
import traceback
from contextlib import suppress
from pathlib import Path

from hydra.core.utils import run_job
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from seqlab.command import composing_flags
from seqlab.config import explain
from seqlab.interrupts import interruption
from seqlab.private.hydra import job_error
from seqlab.reports.collect import changed_keys, results_of
from seqlab.reports.records import JOB_FILE, RESULTS_FILE
from seqlab.runs.isolation import isolated
from seqlab.runs.record import outputs
from seqlab.saving import can_go_on, write_atomically, write_json
from seqlab.sweeps.jobs import Job
from seqlab.sweeps.launching import INTERRUPTED


def run(
    job: Job, context: HydraContext, task: TaskFunction, *, config: DictConfig | None = None
) -> str | None:
    """Runs one job; the reason if it failed.

    Args:
        job: the job.
        context: Hydra's.
        task: the job, `seqlab.runs.main.job`.
        config: the job's own configuration, or one that trains the same.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed, or, as Terminated, SIGTERM came.
    """
    config = config or job.config()
    with isolated(sys.argv[0], begin(job, config)):
        try:
            done = run_job(
                task_function=task,
                config=config,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
                hydra_context=context,
            )
            error = job_error(done)
        except (KeyboardInterrupt, SystemExit) as exit_:
            signal = interruption(exit_)
            if signal is not None:
                if not (job.folder / RESULTS_FILE).exists():  # it came before the run's first word
                    record(job.folder, INTERRUPTED, status=INTERRUPTED)
                raise signal from None
            error = exit_
        except Exception as before_the_job:  # logging that cannot be set up, a folder in the way
            error = before_the_job
    return None if error is None else _record(job, error)


def begin(job: Job, config: DictConfig) -> list[str]:
    """Sees to it that the folder tells whose it is, and to where the job starts from.

    Args:
        job: the job.
        config: its configuration, which is told to go on from `last` where there is one.

    Returns:
        a command line of this job alone, without the folder.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    note = {
        "identity": job.identity,
        "number": job.number,
        "changed": changed_keys(job.overrides),
    }
    write_json(job.folder / JOB_FILE, note)
    # A process that dies leaves no word of a former attempt.
    for name in (RESULTS_FILE, "error.txt"):
        (job.folder / name).unlink(missing_ok=True)
    overrides = [word for word in job.overrides if not word.startswith(("hydra", "sweep."))]
    if can_go_on(job.folder) and "ckpt_path" in config:
        with open_dict(config):
            config.ckpt_path = "last"
        overrides.append("ckpt_path=last")
    elif outputs(job.folder) and "overwrite" in config:
        # What a former attempt logged before its first checkpoint.
        with open_dict(config):
            config.overwrite = True
        overrides.append("overwrite=true")
    name = ["--config-name", str(config.hydra.job.config_name)]
    return [*composing_flags(), *name, *overrides]


def _record(job: Job, error: BaseException) -> str:
    """Sees to it that the folder tells of the failure; the reason in a line."""
    if isinstance(error, SystemExit):
        reason = f"the job ended its process with status {error.code}"
    else:
        reason = explain(error) or f"{type(error).__name__}: {error}".partition("\n")[0]
    record(job.folder, reason)
    if explain(error) is None:
        with suppress(OSError):
            trace = "".join(traceback.format_exception(error))
            write_atomically(job.folder / "error.txt", trace)
            reason += f" (traceback in {job.folder / 'error.txt'})"
    # The frames hold the network and the data.
    error.__traceback__ = None
    return reason


def record(folder: Path, reason: str, *, status: str = "failed") -> None:
    """Writes into a run's folder how it ended, unless the run has done so itself."""
    path = folder / RESULTS_FILE
    results = results_of(folder) or {"seconds": None}
    if results.get("status") != status:
        with suppress(OSError):  # a full disk, say; the reason is still told on the screen
            write_json(path, {**results, "status": status, "reason": reason})
