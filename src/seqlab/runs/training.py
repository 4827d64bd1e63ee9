"""The main job as a function."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobRuntime
from hydra.version import VersionBase
from omegaconf import DictConfig

from seqlab.command import SCRIPT
from seqlab.config import TELLS_ERRORS, explain
from seqlab.config_folders import CONF, check_user_folders
from seqlab.errors import InputError
from seqlab.hints import check_words
from seqlab.overrides import key_of, resumed_command
from seqlab.renamed import current_words
from seqlab.runs.isolation import isolated
from seqlab.runs.main import job
from seqlab.runs.run import Run

NAME = "train"
FORMAT = "[%(asctime)s][%(name)s][%(levelname)s] %(message)s"


def train(overrides: Sequence[str] = (), *, config_dir: str | Path | None = None) -> Run:
    """Trains one configuration as `seqlab train OVERRIDES` does.

    Afterwards Hydra's global state, the arguments and environment of the process, its warnings,
    loggers and signal handlers are as before. The random generators are seeded by the run's seed.

    Example:
        run = train(["data=parity", "model=lstm", "seed=3"])
        run.metrics["test/accuracy"]

    Args:
        overrides: what the command line says behind `seqlab train`, flags excepted.
        config_dir: a folder with configuration files of one's own, beside `conf/` in the working
            folder.

    Returns:
        the run, whose `status` is "finished", or "pruned" in a search.

    Raises:
        InputError: a wrong setting, or a flag such as `-m`.
        NonFiniteLossError: the loss became infinite or NaN.
        KeyboardInterrupt: Ctrl-C; the run can be resumed.
    """
    flags = [] if config_dir is None else ["--config-dir", str(Path(config_dir).absolute())]
    for word in overrides:
        if word.startswith("-") or key_of(word) == "hydra.mode":
            raise InputError(f"train takes no flag {word}; use `seqlab train {word} …` for it")
    words = resumed_command(current_words(list(overrides)))
    folders: list[Path] = []
    errors: list[Exception] = []

    def attempt(config: DictConfig) -> None:
        folders.append(Path(HydraConfig.get().runtime.output_dir))
        try:
            with _log_in(folders[0] / f"{NAME}.log"):
                job(config)
        except Exception as error:  # Hydra would print it in its own words
            errors.append(error)

    with isolated(str(SCRIPT), [*flags, *words]), _own_hydra():
        os.environ.pop(TELLS_ERRORS, None)
        try:
            check_user_folders()
            check_words(words)
            with initialize_config_dir(str(CONF), job_name=NAME, version_base="1.3"):
                found = GlobalHydra.instance().hydra
                assert found is not None
                found.run(NAME, attempt, words, with_log_configuration=False)
        except Exception as error:  # the configuration cannot be composed
            errors.append(error)
        if errors:
            message = explain(errors[0])
            hydras = type(errors[0]).__module__.partition(".")[0] in ("hydra", "omegaconf")
            if message is not None and hydras:
                raise InputError(message) from errors[0]
            raise errors[0]
    return Run.load(folders[0])


@contextmanager
def _own_hydra() -> Iterator[None]:
    """Puts Hydra's global state back afterwards: a program around us may be Hydra's, too."""
    outer, base = GlobalHydra.instance().hydra, VersionBase.instance().getbase()
    config, name = HydraConfig.instance().cfg, JobRuntime.instance().get("name")
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = outer
        HydraConfig.instance().cfg = config
        JobRuntime.instance().set("name", name)
        VersionBase.instance().version_base = base


@contextmanager
def _log_in(path: Path) -> Iterator[None]:
    """Writes what is logged into a file as well."""
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    handler.setLevel(logging.INFO)
    handler.setFormatter(logging.Formatter(FORMAT))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
