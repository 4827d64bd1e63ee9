"""Preset sweeps: what they sweep can be built, and makes different jobs."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from seqlab.build import build_data, build_network
from seqlab.sweeps.points import points
from tests.conftest import ROOT

PRESETS = sorted(path.stem for path in (ROOT / "conf" / "experiment").glob("sweep_*.yaml"))


@pytest.mark.parametrize("name", PRESETS)
def test_every_value_of_a_preset_sweep_can_be_built(name):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        whole = compose("train", [f"experiment={name}"], return_hydra_config=True)
        params = whole.hydra.sweeper.params
        words = [f"{key}={values}" for key, values in params.items()]
        jobs = points(OverridesParser.create().parse_overrides(words))
        assert 4 <= len(jobs) <= 30  # it ends in minutes
        assert {"seed"} < set(params)
        # Each value once, beside the others' first.
        chosen = {tuple(jobs[0])} | {
            tuple(
                word if word.startswith(f"{key}=") else first
                for word, first in zip(job, jobs[0], strict=True)
            )
            for job in jobs
            for key in params
        }
        configs = [compose("train", [f"experiment={name}", *job]) for job in chosen]
    assert len(set(map(OmegaConf.to_yaml, configs))) == len(chosen) > 3
    for config in configs:
        build_network(config, build_data(config).spec)


def test_presets_are_found():
    assert len(PRESETS) >= 3
