"""Jobs of Slurm's on a cluster, handed over by submitit."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from seqlab.errors import InputError
from seqlab.reports.records import DamagedError, read_json
from seqlab.saving import write_atomically
from seqlab.sweeps.elsewhere import Parcel, begin_mark, require, threads_environment
from seqlab.sweeps.jobs import Job
from seqlab.sweeps.launching import Work
from seqlab.sweeps.options import number, text, whole
from seqlab.sweeps.submitit_workers import FOLDER, Call, SubmititWorkers

# Jobs in an array; clusters allow about a thousand.
ARRAY = 1000


class SlurmWorkers(SubmititWorkers):
    """Slurm's jobs: an array for all that are left, of which so many run at a time.

    They live on when the sweep is gone; the same command again takes up those that still wait or
    run instead of submitting them twice.

    Args:
        config: the sweep's configuration.
        options: as `conf/hydra/launcher/submitit_slurm.yaml` tells.
    """

    capacity = sys.maxsize

    def __init__(self, config: DictConfig, options: Mapping[str, Any]) -> None:
        self._parameters = slurm_parameters(options)
        self.threads = self._parameters["cpus_per_task"]
        require("submitit", "submitit_slurm", "submitit")
        for program in ("sbatch", "srun"):
            if shutil.which(program) is None:
                raise InputError(
                    f"hydra/launcher=submitit_slurm needs {program}, which this machine does not "
                    "have; give the command on a login node of the cluster, or use "
                    "hydra/launcher=joblib"
                )
        super().__init__(Path(config.hydra.sweep.dir) / FOLDER)
        self._marks: dict[int, int | None] = {}

    def parcel(self, work: Work, job: Job) -> Parcel:
        # Lightning takes a job under this name for one in which it starts processes itself.
        return Parcel(job, work, self.threads, {"SLURM_JOB_NAME": "interactive"})

    def start(self, work: Work, jobs: Sequence[Job]) -> None:
        self._marks |= {job.number: begin_mark(job) for job in jobs}
        known = self._known()
        alive = {job.number: self._alive(known.get(job.identity)) for job in jobs}
        for job in jobs:
            if alive[job.number] is not None:
                self._running[job.number] = (job, alive[job.number])
        new = [job for job in jobs if alive[job.number] is None]
        for begin in range(0, len(new), ARRAY):
            super().start(work, new[begin : begin + ARRAY])
        known |= {job.identity: other.job_id for job, other in self._running.values()}
        write_atomically(self.folder / "jobs.json", json.dumps(known))

    def begun(self, job: Job) -> bool:
        return begin_mark(job) != self._marks[job.number]

    def submit(self, parcels: Sequence[Parcel]) -> list[Any]:
        import submitit
        from submitit.core.utils import FailedJobError

        executor = submitit.SlurmExecutor(self.folder, max_num_timeout=100)
        try:
            executor.update_parameters(**self._parameters)
            return executor.map_array(Call(), parcels)
        except (ValueError, FailedJobError) as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise InputError(
                f"Slurm does not take the jobs: {lines[-1].strip()}; change hydra.launcher's "
                "options, of which conf/hydra/launcher/submitit_slurm.yaml tells"
            ) from error

    def _known(self) -> dict[str, str]:
        """Slurm's numbers of jobs that a former sweep submitted."""
        try:
            known = read_json(self.folder / "jobs.json")
        except DamagedError:
            return {}
        return known if isinstance(known, dict) else {}

    def _alive(self, job_id: str | None) -> Any:
        """A job of a former sweep, unless it has ended."""
        if job_id is None:
            return None
        import submitit

        job = submitit.SlurmJob(self.folder, job_id)
        state = job.watcher.get_state(job_id, mode="force").upper()
        waits = ("PENDING", "RUNNING", "REQUEUED", "CONFIGURING", "COMPLETING", "SUSPENDED")
        return job if state in waits and not job.paths.result_pickle.exists() else None


def slurm_parameters(options: Mapping[str, Any]) -> dict[str, Any]:
    """What submitit writes at the head of the script that it hands to sbatch.

    Args:
        options: those of the launcher; null leaves one to the cluster.

    Raises:
        InputError: a value that cannot be meant.
    """
    parameters: dict[str, Any] = {
        "job_name": text("name", options["name"]),
        "time": round(number("timeout_min", options["timeout_min"])) or 1,
        "cpus_per_task": whole("cpus_per_task", options["cpus_per_task"]),
        "array_parallelism": whole("array_parallelism", options["array_parallelism"]),
        "gpus_per_node": whole("gpus", options["gpus"], 0) or None,
        "nodes": 1,
        "ntasks_per_node": 1,
        "wckey": "",
    }
    if options["mem_gb"] is not None:
        parameters["mem"] = f"{round(number('mem_gb', options['mem_gb']) * 1024)}MB"
    for name in ("partition", "account", "qos", "constraint"):
        if options[name] is not None:
            parameters[name] = text(name, options[name])
    further = options["sbatch"] or {}
    if not isinstance(further, Mapping):
        raise InputError(
            f"hydra.launcher.sbatch={further} must be options of sbatch: {{key: value}}"
        )
    exports = threads_environment(parameters["cpus_per_task"])
    parameters["setup"] = [f"export {name}={value}" for name, value in exports.items()]
    parameters["setup"] += [text("setup", line) for line in options["setup"] or ()]
    parameters["additional_parameters"] = dict(further)
    return {key: value for key, value in parameters.items() if value is not None}
