"""A sweep over a grid: its points, its lock, and its tables at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from seqlab.errors import FailedJobsError
from seqlab.reports.results import report
from seqlab.sweeps.lock import sweep_lock
from seqlab.sweeps.points import points, read_ties
from seqlab.sweeps.points_file import read_points
from seqlab.terminal import say


def sweep(
    config: DictConfig, context: HydraContext, launcher: Launcher, overrides: list[str]
) -> Sequence[JobReturn]:
    """Runs all jobs of the grid that are not finished yet, then writes and prints the tables.

    Args:
        config: the sweep's configuration.
        context: composes the jobs' configurations.
        launcher: runs jobs; a job's failure is what it returns.
        overrides: the command line.

    Raises:
        InputError: a grid that makes no sense, or a folder that another sweep is using.
        FailedJobsError: some jobs failed.
    """
    parser = OverridesParser.create(config_loader=context.config_loader)
    zipped = OmegaConf.select(config, "sweep.zip")
    tied = read_ties(OmegaConf.to_container(zipped) if OmegaConf.is_config(zipped) else zipped)
    words = parser.parse_overrides(overrides)
    file = OmegaConf.select(config, "sweep.points")
    given = [] if file is None else read_points(Path(file))
    grid = points(
        words,
        tied,
        [parser.parse_overrides(point) for point in given],
    )
    folder = Path(config.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    with sweep_lock(folder):
        OmegaConf.save(config, folder / "multirun.yaml")
        try:
            returns = launcher.launch(grid, initial_job_idx=0)
        except KeyboardInterrupt:
            report(folder)
            _tell_how_to_go_on(folder)
            raise
        report(folder)
    failed = sum(done.return_value is not None for done in returns)
    if failed:
        raise FailedJobsError(
            f"{failed} of {len(grid)} jobs failed; the table tells why, and the same command with "
            f"hydra.sweep.dir={folder} tries them again"
        )
    return returns


def _tell_how_to_go_on(folder: Path) -> None:
    told = f"interrupted; the same command with hydra.sweep.dir={folder} goes on"
    say(Console(stderr=True), told, whole=True)
