"""A search: asks a study for trials, has a launcher run them, and tells it what they got."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from seqlab.errors import FailedJobsError, InputError, StorageError
from seqlab.reports.collect import results_of
from seqlab.reports.results import report
from seqlab.reports.study_file import write_study
from seqlab.sweeps.best import report_best, study_record
from seqlab.sweeps.definition import open_study
from seqlab.sweeps.lock import sweep_lock
from seqlab.sweeps.objective import finite, objective
from seqlab.sweeps.samplers import make_sampler
from seqlab.sweeps.search_command import check_options, deciding, headline
from seqlab.sweeps.search_settings import Settings
from seqlab.sweeps.search_space import SearchSpace, search_space
from seqlab.sweeps.study_trials import RUN, SAME, Trials
from seqlab.terminal import say
from seqlab.trials.handover import NOT_MEASURED, HandedTrial
from seqlab.trials.pruners import make_pruner
from seqlab.trials.storage import open_storage, reaching, told

STUDY = "search"


def search(
    config: DictConfig,
    context: HydraContext,
    launcher: Launcher,
    overrides: list[str],
    settings: Settings,
) -> None:
    """Runs trials until the study has its number of them, then tells the tables and the best.

    Args:
        config: the sweep's configuration.
        context: composes the jobs' configurations.
        launcher: runs jobs; a job's failure is what it returns.
        overrides: the command line.
        settings: the sweeper's own.

    Raises:
        InputError: a search that makes no sense, or a folder that another sweep is using.
        StorageError: the study's storage is out of reach; what the jobs got stays in their folders.
        FailedJobsError: some trials failed.
    """
    for name in ("zip", "points"):
        if OmegaConf.select(config, f"sweep.{name}"):
            raise InputError(
                f"sweep.{name} is about the points of a grid; leave it out of a search"
            )
    parser = OverridesParser.create(config_loader=context.config_loader)
    space = search_space(parser.parse_overrides(overrides))
    check_options(space, context.config_loader)
    folder = Path(config.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    with sweep_lock(folder):
        OmegaConf.save(config, folder / "multirun.yaml")
        running = Search(
            config=config,
            loader=context.config_loader,
            launcher=launcher,
            space=space,
            settings=settings,
            folder=folder,
        )
        with running.trials.beating():
            running.run()


class Search:
    """One sweeper at work on a study.

    Args:
        config: the sweep's configuration.
        loader: composes the jobs'.
        launcher: runs jobs.
        space: what is searched.
        settings: the sweeper's own.
        folder: the sweep's folder.
    """

    def __init__(
        self,
        *,
        config: DictConfig,
        loader: ConfigLoader,
        launcher: Launcher,
        space: SearchSpace,
        settings: Settings,
        folder: Path,
    ) -> None:
        self.console = Console(stderr=True)
        self.launcher, self.space, self.settings, self.folder = launcher, space, settings, folder
        self.stops = bool(OmegaConf.select(config, "sweep.stop_on_failure"))
        self.place = settings.place(folder)
        self.objective = objective(
            settings.metric, settings.direction, lambda: headline(config, loader, space)
        )
        pruner = make_pruner(settings.pruner)
        self._check_pruner()
        self.make_sampler = make_sampler(
            settings.sampler, space, objectives=len(self.objective.metrics), seed=settings.seed
        )
        storage = open_storage(self.place, create=True)
        with reaching(self.place):
            self.study = open_study(
                storage,
                settings.study or STUDY,
                objective=self.objective,
                space=space,
                pruner=pruner,
                settings=deciding(space.fixed),
                place=told(self.place),
                alone=settings.storage is None,
            )
        write_study(folder, study_record(self.study, self.objective, space))
        self.trials = Trials(
            self.study,
            storage,
            total=settings.total(space),
            folder=folder,
            alone=settings.storage is None,
            interval=settings.heartbeat,
        )

    def run(self) -> None:
        """Runs what is left, and tells how it ended."""
        try:
            self._trials()
        except KeyboardInterrupt:
            with suppress(StorageError), reaching(self.place):
                self.trials.put_back("interrupted")
            self._report()
            self._say(f"interrupted; the same command with hydra.sweep.dir={self.folder} goes on")
            raise
        except StorageError as error:
            report(self.folder)
            raise StorageError(
                f"{error}; what the jobs got is kept, and the same command with "
                f"hydra.sweep.dir={self.folder} goes on from there"
            ) from error
        except Exception:
            report(self.folder)
            raise
        self._report()
        with reaching(self.place):
            failed = len(self.trials.failed())
        if failed:
            raise FailedJobsError(
                f"{failed} of {self.trials.total} trials failed; the table tells why, and the same "
                f"command with hydra.sweep.dir={self.folder} tries them again"
            )

    def _trials(self) -> None:
        with reaching(self.place):
            self._begin()
        while True:
            with reaching(self.place):
                unknown = self.trials.bury()
                batch = self._ask()
            if batch:
                returns = self._launch(batch)
                with reaching(self.place):
                    if not self._end(batch, returns):
                        return
            elif unknown:
                self._say(f"waiting for a sign of life from the sweepers of {unknown} trials")
                time.sleep(self.settings.heartbeat)
            else:
                return

    def _begin(self) -> None:
        """Queues what a former sweep left, and tells how much is done."""
        trials = self.trials
        trials.bury()
        trials.retry_failed()
        done = trials.begun() - trials.waiting()
        if done:
            word = "done" if trials.alone else "done or under way"
            self._say(f"{min(done, trials.total)} of {trials.total} trials are {word} already")
        self.launcher.total = max(trials.total - done, 0)  # type: ignore[attr-defined]

    def _ask(self) -> dict[int, list[str]]:
        """The next trials with their overrides; those that were had before are told at once."""
        batch: dict[int, list[str]] = {}
        while len(batch) < self.settings.n_jobs:
            trial = self.trials.next(self.make_sampler)
            if trial is None:
                break
            words = self.space.suggest(trial)
            same = self._had(trial.number, trial.params)
            if same is None:
                batch[trial.number] = words
            else:
                self._take_over(trial.number, same)
        return batch

    def _had(self, number: int, params: dict[str, Any]) -> FrozenTrial | None:
        """An earlier trial of the same parameters: the same job, which would get the same."""
        done = (TrialState.COMPLETE, TrialState.PRUNED)
        for trial in self.trials.all(*done):
            if trial.params == params and trial.number < number:
                return trial
        return None

    def _take_over(self, number: int, same: FrozenTrial) -> None:
        self.trials.copy_reports(number, same)
        self.trials.note(number, SAME, same.number)
        if same.state is TrialState.PRUNED:
            self.trials.prune(number)
        else:
            self.trials.complete(number, same.values)
        self._say(f"trial {number}: the same as trial {same.number}, whose result it takes")

    def _launch(self, batch: dict[int, list[str]]) -> Sequence[JobReturn]:
        """Has the jobs of a batch run; trials with the same overrides are one job."""
        first: dict[tuple[str, ...], int] = {}
        for number, words in batch.items():
            first.setdefault(tuple(words), number)
        points = [[*words, self._handed(number)] for words, number in first.items()]
        try:
            return self.launcher.launch(points, initial_job_idx=min(batch))
        except Exception as error:  # overrides that cannot be composed, say
            with suppress(StorageError), reaching(self.place):
                for number in batch:
                    self.trials.fail(number, str(error).partition("\n")[0])
            raise

    def _end(self, batch: dict[int, list[str]], returns: Sequence[JobReturn]) -> bool:
        """Tells the study what a batch got; false to end the sweep."""
        for done in returns:
            words = list(done.overrides or ())[:-1]
            for number in [number for number, other in batch.items() if other == words]:
                self._tell(number, Path(done.working_dir or ""), done.return_value)
        failed = any(self.trials.state(number) is TrialState.FAIL for number in batch)
        # What `sweep.stop_on_failure` kept from starting, or what was another's configuration.
        self.trials.put_back("not begun")
        return not (self.stops and failed)

    def _tell(self, number: int, run: Path, reason: str | None) -> None:
        trials, name = self.trials, f"trial {number}"
        results = results_of(run)
        with suppress(ValueError):
            run = run.relative_to(self.folder)
        trials.note(number, RUN, str(run))
        if reason is not None:
            trials.fail(number, reason)
            if NOT_MEASURED in reason:  # no other trial would have it either
                raise InputError(reason)
        elif results.get("status") == "pruned":
            trials.prune(number)
            self._say(f"{name}: pruned")
        elif results.get("status") == "finished":
            try:
                values = self.objective.values(results)
            except InputError as error:
                trials.fail(number, str(error))
                raise
            if finite(values):
                trials.complete(number, values)
                self._say(f"{name}: {self.objective.show(values)}{self._best()}")
            else:
                trials.fail(number, f"it ended with {self.objective.show(values)}")
                self._say(f"{name} failed: it ended with {self.objective.show(values)}")
        else:
            trials.fail(number, "its job left no result")
            self._say(f"{name} failed: its job left no result")

    def _best(self) -> str:
        if len(self.objective.metrics) > 1:
            return ""
        best = self.study.best_trial
        return f"  (best {self.objective.show(best.values)}, trial {best.number})"

    def _handed(self, number: int) -> str:
        handed = HandedTrial(
            storage=self.place,
            study=self.study.study_name,
            number=number,
            metric=self.objective.watched,
            pruner=self.settings.pruner,
        )
        return handed.override()

    def _check_pruner(self) -> None:
        name = self.settings.pruner.get("name")
        if name != "none" and self.objective.watched is None:
            raise InputError(
                f"hydra/sweeper/pruner={name} judges by one metric that is measured while a trial "
                f"trains, not by {', '.join(self.objective.metrics)}; use hydra/sweeper/pruner=none"
            )

    def _report(self) -> None:
        with reaching(self.place):
            write_study(self.folder, study_record(self.study, self.objective, self.space))
        report(self.folder)
        with reaching(self.place):
            report_best(self.trials, self.objective, self.space, self.folder)
        self._say(f"to look at the study   optuna-dashboard {told(self.place)}")

    def _say(self, text: str) -> None:
        say(self.console, text, whole=True)
