"""The further processes of a run on several devices: what happens when one of them dies."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from lightning.pytorch.strategies.launchers import subprocess_script

# Seconds from one look to the next, and from a death to the end of this process. Mostly the others
# notice by themselves that a connection is gone; some back ends wait for half an hour.
LOOK, PATIENCE = 0.5, 10.0

_watched: list[threading.Event] = []


def watch_processes() -> None:
    """Has the processes that Lightning starts be watched by `watch`.

    Lightning's own watcher kills this process as soon as another one has died, before it can
    record how the run ended.
    """
    setattr(subprocess_script, "_launch_process_observer", watch)  # noqa: B010  # it is private


def watch(processes: Sequence[subprocess.Popen[bytes]]) -> threading.Thread:
    """Ends this process and the others when one has died and the run does not end by itself."""
    over = threading.Event()
    _watched.append(over)
    thread = threading.Thread(target=_watch, args=(processes, over), daemon=True)
    thread.start()
    return thread


def stop_watching() -> None:
    """The run has ended: what becomes of its processes does not matter any more."""
    while _watched:
        _watched.pop().set()


def _watch(processes: Sequence[subprocess.Popen[bytes]], over: threading.Event) -> None:
    while not over.wait(LOOK):
        dead = [n for n, process in enumerate(processes, start=1) if process.poll()]
        if not dead:
            continue
        until = time.monotonic() + PATIENCE
        if over.wait(until - time.monotonic()):
            return
        code = processes[dead[0] - 1].returncode
        how = f"ended by signal {-code}" if code < 0 else f"exited with status {code}"
        print(  # noqa: T201
            f"error: process {dead[0]} of this run {how}, and the others wait for it; the run is "
            "stopped, and goes on with ckpt_path=last",
            file=sys.stderr,
            flush=True,
        )
        for process in processes:
            process.kill()
        os._exit(1)
