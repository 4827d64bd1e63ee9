"""The way from the configuration to the objects."""

import functools
import inspect

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_object
from omegaconf import OmegaConf

from seqlab.build import (
    TASK,
    build_data,
    build_datamodule,
    build_network,
    build_task,
    build_trainer,
    refuse_unused,
)
from seqlab.callbacks.checkpoint_io import SyncedCheckpointIO
from seqlab.errors import InputError, check_at_least
from seqlab.instantiation import instantiate
from seqlab.networks.classifier import Classifier, PoolingName
from seqlab.tasks.precision import HalfWeights
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


def build_all(config):
    data = build_data(config)
    return build_task(config, build_network(config, data.spec), data.spec)


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
    build_all(config)
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


# A layer names its argument; where that stands is added by who builds it.
PLACED = {
    "model.encoder.hidden_size=0": "model.encoder.hidden_size=0 must be at least 1",
    "model.encoder.zoneout=2 model=gru_cell": "model.encoder.zoneout=2.0 must be ",
    "model.dropout=1": "model.dropout=1 must be at least 0 and below 1",
    "model.embedding_dim=0": "model.embedding_dim=0 must be at least 1",
    "task.label_smoothing=2": "task.label_smoothing=2 must be ",
    "data=copy task.decoder.hidden_size=0": "task.decoder.hidden_size=0 must be at least 1",
    "data=copy task.forcing_start=2": "task.forcing_start=2 must be from 0 to 1",
    "data=copy task.search.beam_size=0": "task.search.beam_size=0 must be at least 1",
    "data=copy model.embedding_dropout=1": "model.embedding_dropout=1 must be ",
    "data=copy task.embedding_dropout=1": "task.embedding_dropout=1 must be ",
    "data=sines task.difference=-1": "task.difference=-1 must be at least 0",
    "data=sines task.quantiles=[0.1]": "task.quantiles=[0.1] must be rising probabilities",
    "data=sines task.intervals=[3]": "task.intervals=[3] must be probabilities",
    "model=transformer model.encoder.num_heads=5": "model.encoder.num_heads=5 must divide hidden_s",
    "data=copy task.search.method=sample task.search.top_k=-1": "task.search.top_k=-1 must be at ",
    "data=copy task.search.min_length=99": "task.search.min_length=99 is above max_length=",
    "data=copy task.search.min_length=-1": "task.search.min_length=-1 must be at least 0",
    "model/attention=multihead model.attention.num_heads=7": "model.attention.num_heads=7 must di",
    "data=copy model/attention=dot": "model.attention: attention dot compares query and key",
    "data=copy model=bigru task.decoder.coverage=true": "task.decoder: coverage, input_feed",
    "model=gru_cell model.encoder.zoneout=[0.1,0.1]": "model.encoder: zoneout=[0.1, 0.1] must be ",
    "model=tcn model.encoder.kernel_size=1": "model.encoder.kernel_size=1 must be at least 2",
}


@pytest.mark.parametrize("overrides", PLACED)
def test_an_error_says_where_the_argument_stands(overrides):
    config = composed(*overrides.split())
    with pytest.raises(InputError) as caught:
        build_all(config)
    assert str(caught.value).startswith(PLACED[overrides])


class Nested:
    """Takes parts that are made of their own sections."""

    def __init__(self, size: int, parts: list[object], search: object = None) -> None:
        check_at_least("size", size)
        self.parts, self.search = parts, search


def leaf(width: int = 1) -> int:
    """Fails like a layer."""
    check_at_least("width", width)
    check_at_least("inner", width, 2)
    return width


def node(name, **values):
    return {"_target_": f"tests.test_build.{name}", **values}


def test_sections_within_sections_are_made_from_the_inside():
    search = {"_target_": "seqlab.networks.search.Search", "method": "beam"}
    values = node("Nested", size=1, parts=[node("leaf", width=2), 5], search=search)
    made = instantiate(OmegaConf.create(values), "task")
    assert made.parts == [2, 5]
    # A dataclass stays one: Hydra would hand it on as a node.
    assert made.search.beam.beam_size == 5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (node("Nested", size=0, parts=[]), "task.size=0 must be at least 1"),
        (node("Nested", size=1, parts=[node("leaf", width=0)]), "task.parts[0].width=0 must be"),
        (node("Nested", size=1, parts=[node("leaf", width=1)]), "task.parts[0]: inner=1 must be"),
        (node("Nested", size=1, parts=[], search=node("leaf", width=0)), "task.search.width=0 mu"),
    ],
)
def test_an_error_names_the_section_that_it_came_from(values, message):
    with pytest.raises(InputError) as caught:
        instantiate(OmegaConf.create(values), "task")
    assert str(caught.value).startswith(message)


def test_what_the_caller_hands_over_stands_elsewhere():
    make = instantiate(OmegaConf.create(node("leaf", _partial_=True)), "model.encoder")
    with pytest.raises(InputError) as caught:
        make(width=0)
    assert str(caught.value).startswith("width=0 must be")


def test_what_is_built_has_a_type():
    for make in (build_data, build_datamodule, build_network, build_task, build_trainer):
        assert "Any" not in str(inspect.signature(make))


def test_weights_in_half_precision_are_saved_as_safely_as_others():
    overrides = ("trainer.precision=bf16-true", "callbacks=none", "logger=none")
    trainer = build_trainer(composed(*overrides, "trainer.default_root_dir=null"))
    assert isinstance(trainer.strategy.checkpoint_io, SyncedCheckpointIO)
    assert isinstance(trainer.precision_plugin, HalfWeights)
