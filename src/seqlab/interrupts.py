"""Ctrl-C (SIGINT) and SIGTERM: raised at once, or where the work is at a good point to stop."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

HEARD = (signal.SIGINT, signal.SIGTERM)
# Docker and Slurm kill ten seconds or more after SIGTERM; work that was not at a good point to
# stop by then is given up, so that there is time left to record it.
PATIENCE = 6.0


class Terminated(KeyboardInterrupt):
    """SIGTERM asked the process to end. It exits with status 143, as a shell reports it."""


class Interrupts:
    """What was heard, and whether it waits for a good point to stop. One a process: `interrupts`.

    Attributes:
        received: the first signal that waits; None without one.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._deferred = 0

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Has both signals raise KeyboardInterrupt or Terminated in here, or wait in `deferred`."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread can say what signals do
            return
        former = {number: signal.signal(number, self._hear) for number in HEARD}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """In here a first signal waits in `received`; a second one is raised at once."""
        self._deferred += 1
        with self.heard():
            try:
                yield
            finally:
                self._deferred -= 1
                if not self._deferred:
                    self.received = None

    def _hear(self, number: int, frame: Any) -> None:
        if not self._deferred or self.received is not None:
            raise error_of(number)
        self.received = number
        if number == signal.SIGTERM:
            thread = threading.Timer(PATIENCE, self._insist, [number])
            thread.daemon = True
            thread.start()

    def _insist(self, number: int) -> None:
        if self.received is not None:
            os.kill(os.getpid(), number)


interrupts = Interrupts()


def error_of(number: int) -> KeyboardInterrupt:
    """What a signal raises."""
    return Terminated() if number == signal.SIGTERM else KeyboardInterrupt()


def interruption(error: BaseException | None) -> KeyboardInterrupt | None:
    """The signal's error that an error is or comes from; Lightning makes an exit of it."""
    seen: set[int] = set()  # causes can lead in a circle
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None
