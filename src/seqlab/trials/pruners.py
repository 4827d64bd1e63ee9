"""Rules that end a hopeless trial early."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.pruners import BasePruner

from seqlab.errors import InputError

PRUNERS = ("none", "median", "hyperband", "successive_halving", "patient")


def make_pruner(settings: Mapping[str, Any]) -> BasePruner:
    """The pruner that `hydra/sweeper/pruner=name` describes.

    Median: Golovin et al. (2017), section 3.2. Hyperband: Li et al. (2018), algorithm 1.
    Successive halving: Li et al. (2020), algorithm 2. A step is a validation, counted from 0.

    Args:
        settings: `name` and the pruner's own arguments.

    Raises:
        InputError: an unknown name, or a value that the pruner refuses.
    """
    options = dict(settings)
    name = options.pop("name", None)
    kinds: dict[Any, type[BasePruner]] = {
        "none": optuna.pruners.NopPruner,
        "median": optuna.pruners.MedianPruner,
        "hyperband": optuna.pruners.HyperbandPruner,
        "successive_halving": optuna.pruners.SuccessiveHalvingPruner,
        "patient": optuna.pruners.PatientPruner,
    }
    if name not in kinds:
        raise InputError(
            f"hydra.sweeper.pruner.name={name} does not exist; use hydra/sweeper/pruner= with one "
            f"of {', '.join(PRUNERS)}"
        )
    if name == "patient":
        wrapped = options.pop("wraps")
        options["wrapped_pruner"] = make_pruner(wrapped) if wrapped else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return kinds[name](**options)
    except (TypeError, ValueError) as error:
        raise InputError(f"hydra/sweeper/pruner={name}: {error}") from error
