"""Rules that choose the next trial's parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler

from seqlab.errors import InputError
from seqlab.sweeps.search_space import SearchSpace

SAMPLERS = ("tpe", "cmaes", "random", "grid", "nsga2")
MakeSampler = Callable[[int], BaseSampler]
"""The sampler of the trial at a place of the search, counted from 0."""


def make_sampler(
    settings: Mapping[str, Any], space: SearchSpace, *, objectives: int, seed: int
) -> MakeSampler:
    """The sampler that `hydra/sweeper/sampler=name` describes.

    TPE: Bergstra et al. (2011), section 4. CMA-ES: Hansen & Ostermeier (2001). NSGA-II: Deb et al.
    (2002). Storages do not keep the state of a sampler's random generator: each trial gets a
    generator of its own, from the seed and the trial's place. So an interrupted search goes on as
    it would have, and two sweepers of one study do not try the same.

    Args:
        settings: `name` and the sampler's own arguments.
        space: what is searched.
        objectives: how many there are.
        seed: the search's seed.

    Raises:
        InputError: an unknown name, a value that the sampler refuses, or a search not for it.
    """
    options = dict(settings)
    name = options.pop("name", None)
    if name not in SAMPLERS:
        raise InputError(
            f"hydra.sweeper.sampler.name={name} does not exist; use hydra/sweeper/sampler= with "
            f"one of {', '.join(SAMPLERS)}"
        )
    if name == "cmaes":
        _check_cmaes(space, objectives)
        options |= {"popsize": options.pop("population_size"), "warn_independent_sampling": False}
    if name == "grid":
        points = space.grid()
        return lambda place: _fixed(points[place % len(points)])
    kinds: dict[str, Callable[..., BaseSampler]] = {
        "tpe": optuna.samplers.TPESampler,
        "cmaes": optuna.samplers.CmaEsSampler,
        "random": optuna.samplers.RandomSampler,
        "nsga2": optuna.samplers.NSGAIISampler,
    }

    def make(place: int) -> BaseSampler:
        return kinds[name](**options, seed=seed_of(seed, place))

    try:
        make(0)
    except (TypeError, ValueError) as error:
        raise InputError(f"hydra/sweeper/sampler={name}: {error}") from error
    return make


def seed_of(seed: int, place: int) -> int:
    """The seed of the trial at a place."""
    return int(np.random.SeedSequence([seed, place]).generate_state(1)[0])


def _fixed(point: Mapping[str, Any]) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.PartialFixedSampler(dict(point), optuna.samplers.RandomSampler())


def _check_cmaes(space: SearchSpace, objectives: int) -> None:
    if find_spec("cmaes") is None:
        raise InputError("hydra/sweeper/sampler=cmaes needs cmaes; pip install 'seqlab[optuna]'")
    if objectives > 1:
        raise InputError(
            "hydra/sweeper/sampler=cmaes searches for one objective; give one "
            "hydra.sweeper.metric, or use hydra/sweeper/sampler=nsga2"
        )
    numbers = [
        p for p in space.parameters if not isinstance(p.distribution, CategoricalDistribution)
    ]
    if not any(not parameter.when for parameter in numbers):
        raise InputError(
            "hydra/sweeper/sampler=cmaes needs a range of numbers that exists in every trial, and "
            f"there are only {', '.join(space.told())}; use hydra/sweeper/sampler=tpe"
        )
