"""Jobs as tasks of a Ray cluster that exists already."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from signal import Signals
from typing import Any

from seqlab.errors import InputError
from seqlab.sweeps.elsewhere import Parcel, begin_mark, outcome, require
from seqlab.sweeps.jobs import Job
from seqlab.sweeps.launching import GRACE, Ended, Work, Workers
from seqlab.sweeps.options import number, text

# Seconds that a cluster has to answer.
ANSWER = 5.0
LOOPBACK = ("127.", "localhost:", "[::1]:")


class RayWorkers(Workers):
    """Ray decides where and when a job runs; all of them are handed over at once.

    Args:
        address: `auto` for the cluster that this machine belongs to, or `host:port` of its head.
        num_cpus: cores that a job takes; its numerical libraries get as many threads.
        num_gpus: accelerators that a job takes; a half lets two share one.
    """

    capacity = 100_000

    def __init__(self, address: Any, num_cpus: Any, num_gpus: Any) -> None:
        self.address = text("address", address)
        self.num_cpus = number("num_cpus", num_cpus)
        self.num_gpus = number("num_gpus", num_gpus, -1e-9)
        if self.address.startswith(LOOPBACK):
            # Ray, which reads this when it is imported, would look at the machine's other address.
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        require("ray", "ray", "ray")
        self._connected = False
        self._running: dict[Any, Job] = {}
        self._marks: dict[int, int | None] = {}

    def connect(self) -> None:
        """Joins the cluster.

        Raises:
            InputError: none answers.
        """
        import ray

        host, _, port = self.address.rpartition(":")
        try:
            if host and port.isdigit():  # Ray itself waits for minutes
                socket.create_connection((host, int(port)), timeout=ANSWER).close()
            ray.init(
                address=self.address,
                log_to_driver=False,
                configure_logging=False,
                logging_level=logging.ERROR,
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(
                f"hydra.launcher.address={self.address}: no Ray cluster answers there; start one "
                "with `ray start --head`, give the address of its head as host:port, or set "
                "RAY_AUTH_MODE=token for one that asks for a token"
            ) from error
        self._connected = True

    def start(self, work: Work, jobs: Sequence[Job]) -> None:
        import ray

        if not self._connected:
            self.connect()
        # A task that died is tried again by the next sweep, which knows where it was.
        options = {"num_cpus": self.num_cpus, "num_gpus": self.num_gpus, "max_retries": 0}
        call = ray.remote(**options)(_call)
        threads = max(1, round(self.num_cpus))
        for job in jobs:
            self._marks[job.number] = begin_mark(job)
            self._running[call.remote(Parcel(job, work, threads))] = job

    def begun(self, job: Job) -> bool:
        return begin_mark(job) != self._marks[job.number]

    def wait(self) -> Iterator[Ended]:
        import ray
        from ray.exceptions import RayError

        ended, _ = ray.wait(list(self._running), num_returns=1, timeout=1.0)
        for reference in ended:
            job = self._running.pop(reference)
            try:
                yield job, ray.get(reference) or outcome(job, None)
            except RayError as error:
                told = [line for line in str(error).splitlines() if line.strip()]
                yield job, outcome(job, f"Ray says: {(told or [type(error).__name__])[0].strip()}")

    def interrupt(self, signal: Signals) -> None:
        import ray
        from ray.exceptions import RayError

        if not self._running:
            return
        for reference in self._running:
            ray.cancel(reference)
        with suppress(RayError):
            ray.wait(list(self._running), num_returns=len(self._running), timeout=GRACE[signal])
        self._running.clear()

    def close(self) -> None:
        if self._connected:
            import ray

            ray.shutdown()
            self._connected = False


def _call(parcel: Parcel) -> str | None:
    return parcel()
