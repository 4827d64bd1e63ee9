"""What we use of Hydra and OmegaConf that is not theirs to show. Imports nothing heavy.

Tried with hydra-core 1.3.8 and omegaconf 2.3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig


def skip_mode_lookup() -> None:
    """Keeps Hydra from composing the whole configuration once more only to look up `hydra.mode`.

    That would be a third of the time to an answer, and there is no option for it.
    """
    from hydra._internal.hydra import Hydra

    Hydra.get_mode = lambda *_, **__: None


def set_values(config: DictConfig, overrides: Sequence[Override]) -> None:
    """Sets values on a composed configuration, in place, as Hydra does while it composes.

    `compose` would read and merge forty files for each job of a sweep.

    Raises:
        HydraException: a key that does not exist, or a value that does not fit.
    """
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    ConfigLoaderImpl._apply_overrides_to_config(list(overrides), config)


def override_dirname(
    overrides: Sequence[Override], *, kv_sep: str, item_sep: str, exclude_keys: Sequence[str]
) -> str:
    """The overrides as a folder's name: `hydra.job.override_dirname`, which `set_values` leaves."""
    from hydra._internal.config_loader_impl import get_overrides_dirname

    return get_overrides_dirname(
        overrides=list(overrides), exclude_keys=list(exclude_keys), item_sep=item_sep, kv_sep=kv_sep
    )


def job_error(done: JobReturn) -> BaseException | None:
    """The error that ended a job; None where it did not fail.

    The public `return_value` would write the error to the screen in Hydra's words and raise it.
    """
    return done._return_value if done.status is JobStatus.FAILED else None


def whole_configuration(node: DictConfig) -> DictConfig:
    """The configuration that a node is part of. OmegaConf's errors carry the node alone."""
    return cast(DictConfig, node._get_root())
