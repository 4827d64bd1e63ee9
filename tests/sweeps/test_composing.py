"""The quick way of composing a job's configuration gives what Hydra's own gives."""

from __future__ import annotations

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

from seqlab.sweeps.composing import Composer
from tests.sweeps.sweeping import CONF

JOBS = (
    ["seed=1"],
    ["seed=2", "model=gru"],
    ["model=gru", "seed=2"],
    ["model=gru", "seed=3", "model.encoder.hidden_size=7", "~callbacks.early_stopping"],
    ["data=reverse", "model/attention=general", "+trainer.plugins=null"],
    ["model=gru", "callbacks={}", "seed=4"],
    ["++extra.deep=[1,2]", "model.encoder.hidden_size=${seed}"],
    ["hydra.sweep.subdir=x", "seed=5", "+hydra.job.env_set.A=b", "hydra/launcher=joblib"],
    ["hydra.job.env_copy=[PATH]", "seed=5"],
    ["model=gru", "seed=2"],
)


@pytest.fixture(scope="module")
def master():
    """A sweep's configuration, and what composes its jobs'."""
    with initialize_config_dir(CONF, version_base="1.3"):
        setup_globals()
        found = GlobalHydra.instance().hydra
        assert found is not None
        words = ["hydra.sweep.dir=/tmp/sweep", "trainer.max_epochs=3", "hydra.job.name=x"]
        yield (
            found.compose_config("train", words, RunMode.MULTIRUN, with_log_configuration=False),
            found.config_loader,
        )


def content(config):
    return OmegaConf.to_container(config, resolve=False)


def test_as_hydra_composes(master):
    composer = Composer(*master)
    for overrides in JOBS:
        found = composer.compose(overrides)
        expected = master[1].load_sweep_config(master[0], overrides)
        assert content(found) == content(expected), overrides
        assert list(found) == list(expected)
        for name in (None, "hydra", "model", "trainer"):
            ours, theirs = (c if name is None else c[name] for c in (found, expected))
            assert OmegaConf.is_struct(ours) == OmegaConf.is_struct(theirs)
            assert OmegaConf.is_readonly(ours) == OmegaConf.is_readonly(theirs)


@pytest.mark.parametrize("wrong", ["seeed=1", "+seed=1", "~nothing", "model=gruu", "trainer.x=1"])
def test_errors_are_hydras(master, wrong):
    with pytest.raises(HydraException) as ours:
        Composer(*master).compose(["model=lstm", wrong])
    with pytest.raises(HydraException) as theirs:
        master[1].load_sweep_config(master[0], ["model=lstm", wrong])
    assert str(ours.value) == str(theirs.value)
