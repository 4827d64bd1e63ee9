"""Keys under their former names."""

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict

from seqlab import renamed
from seqlab.build import build_data, build_network, build_task
from seqlab.errors import InputError
from tests.conftest import ROOT, SMALL


@pytest.fixture(autouse=True)
def _not_noted():
    renamed._note.cache_clear()


def test_words_of_the_command_line(capsys):
    given = ["task.loop._target_=a.B", "+task.loop.x=1", "seed=1", "task.loops=1", "-m"]
    words = ["task.module._target_=a.B", "+task.module.x=1", "seed=1", "task.loops=1", "-m"]
    assert renamed.current_words(given) == words
    note = "note: task.loop is called task.module now; the next release no longer knows task.loop\n"
    assert capsys.readouterr().err == note  # once


def former(**network):
    """The resolved configuration of a run of before, which wrote each option three times."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train", ["model=gru", *SMALL])
    task = config.task
    loop = {"_target_": task.module._target_, "_partial_": True, "label_smoothing": 0.1}
    with open_dict(config):
        task.label_smoothing, task.pooling = 0.1, "mean"
        task.loop = loop
        del task.module
        task.network = {**OmegaConf.to_container(task.network), "pooling": "mean", **network}
    return config


def test_a_configuration_of_before_is_read(capsys):
    config = former()
    data = build_data(config)
    task = build_task(config, build_network(config, data.spec), data.spec)
    assert task.label_smoothing == 0.1
    assert type(task.network.pooling).__name__ == "MeanPooling"
    assert capsys.readouterr().err.count("note: task.loop") == 1


def test_an_option_that_only_stood_below_is_still_refused():
    with pytest.raises(InputError, match=r"task\.network\.width has no effect here; use task\.w"):
        build_data(former(width=3))
