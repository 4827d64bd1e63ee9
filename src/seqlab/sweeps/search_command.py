"""What the command line of a search says beside its ranges."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from seqlab.errors import InputError
from seqlab.hints import nearest
from seqlab.reports.collect import changed_keys
from seqlab.sweeps.identity import LEFT_OUT
from seqlab.sweeps.search_space import SearchSpace

# What two sweepers of one study need not share, beside what makes no other job.
WHERE = ("trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy")


def check_options(space: SearchSpace, loader: ConfigLoader) -> None:
    """Raises InputError for an option that its config group lacks."""
    for parameter in space.parameters:
        group = parameter.name.partition("@")[0]
        options = [] if "." in group else loader.get_group_options(group)
        for value in parameter.values() or []:
            if options and value is not None and str(value) not in options:
                there = [option for option in options if not option.startswith("_")]
                raise InputError(
                    f"{group}={value} does not exist{nearest(str(value), there)} one of "
                    f"{', '.join(there)}"
                )


def deciding(fixed: Sequence[str]) -> dict[str, str]:
    """The fixed settings that decide over what a trial gets."""
    aside = (*(".".join(path) for path in LEFT_OUT), *WHERE)
    return {
        key: value
        for key, value in changed_keys(fixed).items()
        if not any(key == path or key.startswith(f"{path}.") for path in aside)
    }


def headline(config: DictConfig, loader: ConfigLoader, space: SearchSpace) -> str:
    """The data's own metric, in validation."""
    if "data" in space.told() or "task" in space.told():
        raise InputError(
            "the data differ from trial to trial, and so may their metrics; add "
            "hydra.sweeper.metric=val/loss or another that all of them have"
        )
    from seqlab.build import build_data

    composed = loader.load_sweep_config(config, list(space.fixed))
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(composed)
    try:
        job = OmegaConf.masked_copy(composed, [key for key in composed if key != "hydra"])  # type: ignore[misc]
        return f"val/{build_data(job).spec.metric}"
    finally:
        HydraConfig.instance().cfg = before
