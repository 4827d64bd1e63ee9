"""What a dataset recommends never undoes what the user chose."""

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from seqlab.build import refuse_unused
from seqlab.errors import InputError
from tests.conftest import ROOT


def names(group):
    return sorted(path.stem for path in (ROOT / "conf" / group).glob("[!_]*.yaml"))


# The rates of these optimisers are of another kind than Adam's.
OWN_RATES = {"sgd": 0.1, "rmsprop": 0.001}


def composed(*overrides):
    return compose("train", overrides=list(overrides))


@pytest.fixture(autouse=True)
def conf():
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield


def rate_used(config):
    weight = torch.nn.Parameter(torch.zeros(1))
    return instantiate(config.optimizer)([weight]).param_groups[0]["lr"]


@pytest.mark.parametrize("data", names("data"))
def test_the_recommended_rate_is_for_adam_and_adamw(data):
    for optimizer in names("optimizer"):
        config = composed(f"data={data}", f"optimizer={optimizer}")
        recommended = OmegaConf.select(config, "recommended.lr", default=0.001)
        assert rate_used(config) == OWN_RATES.get(optimizer, recommended)
        # What was recommended can be read in `--cfg job`, and the optimiser has no other source.
        own = OmegaConf.load(ROOT / "conf" / "data" / f"{data}.yaml")
        assert "optimizer" not in own
        assert config.get("recommended") == own.get("recommended")


@pytest.mark.parametrize("experiment", ["none", *names("experiment")])
def test_the_rate_of_the_command_line_wins(experiment):
    preset = [] if experiment == "none" else [f"experiment={experiment}"]
    assert rate_used(composed(*preset, "optimizer.lr=0.123")) == 0.123
    assert rate_used(composed(*preset, "optimizer=sgd")) == OWN_RATES["sgd"]


@pytest.mark.parametrize("data", ["sines", "motion", "reverse"])
def test_the_schedule_and_epochs_of_the_command_line_win(data):
    plain = composed(f"data={data}")
    other = "constant" if plain.scheduler._target_.endswith("cosine") else "cosine"
    config = composed(f"data={data}", f"scheduler={other}", "trainer.max_epochs=77")
    assert config.scheduler._target_ == f"seqlab.tasks.schedules.{other}"
    assert config.trainer.max_epochs == 77


def test_a_preset_of_the_users_own_wins(tmp_path):
    folder = tmp_path / "experiment"
    folder.mkdir()
    (folder / "mine.yaml").write_text(
        "# @package _global_\n"
        "defaults:\n"
        "  - override /data: sines\n"
        "  - override /scheduler: constant\n"
        "  - override /optimizer: sgd\n"
        "trainer:\n"
        "  max_epochs: 99\n"
    )
    config = composed("experiment=mine", f"hydra.searchpath=[file://{tmp_path}]")
    assert config.recommended.lr == 0.005
    assert config.scheduler._target_ == "seqlab.tasks.schedules.constant"
    assert config.trainer.max_epochs == 99
    assert rate_used(config) == OWN_RATES["sgd"]


def test_only_a_rate_can_be_recommended():
    with pytest.raises(InputError, match=r"recommended\.rl has no effect here; use lr"):
        refuse_unused(composed("+recommended.rl=0.1"))
