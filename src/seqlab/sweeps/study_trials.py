"""The trials of a study: which there are, whose they are, and which must be run again."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from seqlab.private.optuna import trial_id
from seqlab.sweeps.lock import Process
from seqlab.sweeps.samplers import MakeSampler

# What a trial's attributes hold.
OWNER, BEAT, AGAIN, SURPLUS = "owner", "beat", "runs_again", "surplus"
RUN, REASON, SAME = "run", "reason", "same_as"
# A sweeper elsewhere that gives no sign for so many of its intervals is taken for dead.
MISSED_BEATS = 6


class Trials:
    """The trials of a study, as one of perhaps several sweepers sees them.

    A trial that is run again, since its sweeper died or its job failed, is a new one with the old
    one's parameters and place; the old one is told FAIL. Every other trial has a place of its own,
    in the order of their numbers, and the search has as many places as it is to have trials.

    Args:
        study: the study.
        storage: where it is kept.
        total: the number of trials that the search is to have.
        folder: the sweep's folder.
        alone: no other sweeper can use the storage.
        interval: seconds between two signs of life.
    """

    def __init__(
        self,
        study: Study,
        storage: BaseStorage,
        *,
        total: int,
        folder: Path,
        alone: bool,
        interval: float,
    ) -> None:
        self.study = study
        self.storage = storage
        self.total = total
        self.folder = str(folder.resolve())
        self.alone = alone
        self.interval = interval
        self.owner = {
            **asdict(Process.current()),
            "host": platform.node(),
            "space": _space(),
            "folder": self.folder,
        }
        self._mine: dict[int, int] = {}  # number: identity in the storage
        self._seen: dict[int, tuple[Any, float, bool]] = {}

    def all(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states or None)

    def begun(self) -> int:
        """How many places are taken."""
        return len(self._places())

    def waiting(self) -> int:
        return len(self.all(TrialState.WAITING))

    def next(self, make_sampler: MakeSampler) -> Trial | None:
        """A new trial of this sweeper's, or one to be run again; None where no place is left."""
        if not self.waiting() and self.begun() >= self.total:
            return None
        # This sampler chooses nothing: the trial's own one follows from its place.
        self.study.sampler = optuna.samplers.RandomSampler()
        trial = self.study.ask()
        trial.set_user_attr(OWNER, self.owner)
        self._mine[trial.number] = trial_id(trial)
        place = self._place(trial.number)
        if place >= self.total:  # another sweeper was quicker
            trial.set_user_attr(SURPLUS, True)
            self.fail(trial.number, "the search had its number of trials")
            return None
        self.study.sampler = make_sampler(place)
        return Trial(self.study, trial_id(trial))

    def complete(self, number: int, values: Sequence[float]) -> None:
        self._tell(number, TrialState.COMPLETE, values)

    def prune(self, number: int) -> None:
        self._tell(number, TrialState.PRUNED)

    def fail(self, number: int, reason: str) -> bool:
        """Ends a trial as failed; false if it was ended already."""
        with suppress(UpdateFinishedTrialError):
            self.note(number, REASON, reason)
        return self._tell(number, TrialState.FAIL)

    def again(self, number: int, reason: str) -> None:
        """Fails a trial and has its parameters run once more.

        Of several sweepers that want to, the one that ends it puts it back in the queue.
        """
        if self.fail(number, reason):
            self._queue(self._frozen(number))

    def retry_failed(self) -> None:
        """Queues what failed in this sweep's folder and is not queued yet."""
        trials = self.all()
        queued = {trial.user_attrs.get(AGAIN) for trial in trials}
        for trial in trials:
            here = self.alone or self.folder_of(trial) == self.folder
            failed = trial.state is TrialState.FAIL and not trial.user_attrs.get(SURPLUS)
            if failed and here and trial.number not in queued:
                self._queue(trial)

    def bury(self) -> int:
        """Has the trials of dead sweepers run again; how many trials may be of dead or living."""
        unknown = 0
        for trial in self.all(TrialState.RUNNING):
            if trial.number in self._mine:
                continue
            lives = self._lives(trial)
            if lives is None:
                unknown += 1
            elif not lives:
                self.again(trial.number, "its sweeper died")
        return unknown

    def note(self, number: int, key: str, value: Any) -> None:
        """Adds a remark to a trial."""
        self.storage.set_trial_user_attr(trial_id(self._frozen(number)), key, value)

    def copy_reports(self, number: int, other: FrozenTrial) -> None:
        """Gives a trial what another one of its parameters reported while it trained."""
        place = trial_id(self._frozen(number))
        for step, value in other.intermediate_values.items():
            self.storage.set_trial_intermediate_value(place, step, value)

    def state(self, number: int) -> TrialState:
        return self._frozen(number).state

    def folder_of(self, trial: FrozenTrial) -> str:
        """The folder of the sweep that ran a trial."""
        return trial.user_attrs.get(OWNER, self.owner)["folder"]

    def put_back(self, reason: str) -> None:
        """Queues this sweeper's trials that were not ended, as the sweep stops."""
        for number in list(self._mine):
            self.again(number, reason)

    def failed(self) -> list[FrozenTrial]:
        """The trials that failed and were not run again."""
        queued = {trial.user_attrs.get(AGAIN) for trial in self.all()}
        return [
            trial
            for trial in self.all(TrialState.FAIL)
            if trial.number not in queued and not trial.user_attrs.get(SURPLUS)
        ]

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Gives signs of life, as long as others may look for them."""
        over = threading.Event()

        def beat() -> None:
            count = 0
            while not over.wait(self.interval):
                count += 1
                for identity in list(self._mine.values()):
                    try:
                        self.storage.set_trial_user_attr(identity, BEAT, count)
                    except Exception:  # ended meanwhile, or out of reach, which the sweeper tells
                        continue

        thread = threading.Thread(target=beat, daemon=True)
        if not self.alone:
            thread.start()
        try:
            yield
        finally:
            over.set()
            if thread.is_alive():
                thread.join()

    def _places(self) -> list[int]:
        """The numbers of the trials that have a place of their own."""
        return [
            trial.number
            for trial in self.all()
            if AGAIN not in trial.user_attrs and not trial.user_attrs.get(SURPLUS)
        ]

    def _place(self, number: int) -> int:
        trials = self.all()
        while AGAIN in trials[number].user_attrs:
            number = trials[number].user_attrs[AGAIN]
        return self._places().index(number)

    def _lives(self, trial: FrozenTrial) -> bool | None:
        """Whether the sweeper of a running trial lives; None while it cannot be known.

        Of this machine the process is looked for. Elsewhere a sign of life must come: clocks of two
        machines differ, so what counts is that it changes while this sweeper looks.
        """
        owner = trial.user_attrs.get(OWNER)
        if self.alone:
            return False  # who holds the folder's lock is the only sweeper
        if owner and (owner["host"], owner["space"]) == (self.owner["host"], self.owner["space"]):
            return Process(owner["pid"], owner["began"]).lives()
        sign, now = trial.user_attrs.get(BEAT), time.monotonic()
        seen, since, moved = self._seen.setdefault(trial.number, (sign, now, False))
        if sign != seen:
            seen, since, moved = self._seen[trial.number] = (sign, now, True)
        if now - since > MISSED_BEATS * self.interval:
            return False
        return True if moved else None

    def _queue(self, trial: FrozenTrial) -> None:
        # What it was not given before its sweeper died is chosen again, as its place has it.
        params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        self.study.enqueue_trial(params, user_attrs={AGAIN: trial.number})

    def _tell(self, number: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Ends a trial; false if another sweeper did, which had taken this one for dead."""
        self._mine.pop(number, None)
        if self._frozen(number).state.is_finished():
            return False
        try:
            self.study.tell(number, values, state=state)
        except (UpdateFinishedTrialError, ValueError):
            if not self._frozen(number).state.is_finished():
                raise
            return False
        return True

    def _frozen(self, number: int) -> FrozenTrial:
        return self.all()[number]


def _space() -> str:
    """What tells machines, and the process numbers of containers, of one name apart."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""
