"""The way from the configuration to the objects."""

import functools

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_object
from omegaconf import OmegaConf

from seqlab.build import TASK, build_data, build_network, build_task, refuse_unused
from seqlab.errors import InputError
from seqlab.networks.classifier import Classifier, PoolingName
from tests.conftest import ROOT, SMALL

TASKS = sorted(path.stem for path in (ROOT / "conf" / "task").glob("*.yaml"))
DATA = {
    "classification": ("data=magic_token", *SMALL),
    "tagging": ("data=running_parity", *SMALL),
    "seq2seq": ("data=copy", *SMALL),
    "forecasting": ("data=sines", "data.num_series=2", "data.length=200"),
}


def composed(*overrides):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", overrides=list(overrides))


@pytest.mark.parametrize("task", TASKS)
def test_an_option_of_a_task_is_written_once(task):
    """Its network and its module stand in the YAML as classes alone."""
    config = composed(*DATA[task]).task
    assert list(config.network) == list(config.module) == ["_target_"]
    written = OmegaConf.to_container(config, resolve=False)
    assert "${task." not in str({k: v for k, v in written.items() if k != "callbacks"})


class Wide(Classifier):
    """A network outside the package, with an option of its own."""

    def __init__(self, spec, *, width: int = 1, pooling: PoolingName = "auto", **parts):
        super().__init__(spec, pooling=pooling, **parts)
        self.width = width


@pytest.mark.parametrize("task", TASKS)
def test_every_option_reaches_the_constructors_that_name_it(task, monkeypatch):
    config = composed(*DATA[task])
    made = {}

    def record(part):
        owner = get_object(config.task[part]._target_)
        start = owner.__init__

        @functools.wraps(start)
        def spy(self, *args, **given):
            made[part] = given
            start(self, *args, **given)

        monkeypatch.setattr(owner, "__init__", spy)

    record("network")
    record("module")
    data = build_data(config)
    build_task(config, build_network(config, data.spec), data.spec)
    options = {key for key in config.task if key not in TASK}
    reached = {key for given in made.values() for key in given}
    assert options <= reached
    for key in options:
        value = config.task[key]
        if not OmegaConf.is_config(value):
            assert all(given[key] == value for given in made.values() if key in given)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("+task.labelsmoothing=0.1", "task.labelsmoothing has no effect here; did you mean "),
        ("+task.foo=1", "task.foo has no effect here; use "),
        ("+task.spec=1", "task.spec has no effect here"),
        ("+task.dropout=0.1", "task.dropout has no effect here"),
        ("+task.network.foo=1", "task.network.foo has no effect here; use task.foo"),
        ("+task.module.foo=1", "task.module.foo has no effect here; use task.foo"),
        ("task.network=foo", "task.network='foo' must name a class; use task.network._target_="),
        ("task.module=null", "task.module=None must name a class; use task.module._target_="),
        ("task.module._target_=a.b", "task.module._target_='a.b': there is no module a"),
    ],
)
def test_an_option_that_nobody_takes_is_refused(task, override, words):
    if task == "forecasting" and "labels" in override:
        override, words = "+task.forcings=1", "task.forcings has no effect here; did you mean "
    with pytest.raises(InputError) as caught:
        refuse_unused(composed(*DATA[task], override))
    assert str(caught.value).startswith(words)


def test_an_option_of_another_family_is_refused():
    with pytest.raises(InputError, match=r"task\.pooling has no effect here; use decoder, "):
        refuse_unused(composed("data=copy", "+task.pooling=mean"))


def test_a_network_of_the_users_own_gets_the_options_that_it_names():
    """Without a line of YAML but its class and the option."""
    config = composed(
        *DATA["classification"],
        "model/attention=none",
        "task.network._target_=tests.test_build.Wide",
        "+task.width=7",
    )
    data = build_data(config)
    assert build_network(config, data.spec).width == 7
