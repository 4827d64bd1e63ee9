"""Ranges in Hydra's grammar become Optuna's, and back into overrides."""

from __future__ import annotations

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from seqlab.errors import InputError
from seqlab.sweeps.search_space import search_space


def space(*words):
    return search_space(OverridesParser.create().parse_overrides(list(words)))


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("a=interval(0,1)", FloatDistribution(0, 1)),
        ("a=tag(log,interval(1e-4,1e-1))", FloatDistribution(1e-4, 1e-1, log=True)),
        ("a=int(interval(1,8))", IntDistribution(1, 8)),
        ("a=tag(log,int(interval(1,256)))", IntDistribution(1, 256, log=True)),
        ("a=range(16,129,16)", IntDistribution(16, 128, step=16)),
        ("a=range(5)", IntDistribution(0, 4)),
        ("a=range(10,0,-3)", IntDistribution(1, 10, step=3)),
        ("a=range(0,1,0.25)", FloatDistribution(0, 0.75, step=0.25)),
        ("a=range(0.1,0.4,0.1)", FloatDistribution(0.1, 0.4, step=0.1)),
        ("a=x,y", CategoricalDistribution(("x", "y"))),
        ("a=2,2.5,true,null,x", CategoricalDistribution((2, 2.5, True, None, "x"))),
        ("a=1,true", CategoricalDistribution(("1", "true"))),
        ("a=choice([1,2],[3])", CategoricalDistribution(("[1,2]", "[3]"))),
        ("a=x,x,y", CategoricalDistribution(("x", "y"))),
    ],
)
def test_ranges(word, wanted):
    (parameter,) = space(word, "b=1").parameters
    assert parameter.distribution == wanted
    values = parameter.values()
    if isinstance(wanted, FloatDistribution) and wanted.step is None:
        assert values is None
    else:
        # Hydra enumerates what is not an interval by itself.
        assert values
        assert all(wanted._contains(wanted.to_internal_repr(value)) for value in values)
        (override,) = OverridesParser.create().parse_overrides([word])
        if override.is_range_sweep():
            assert sorted(values) == pytest.approx(sorted(override.sweep_iterator()))


def test_a_trials_overrides_hold_what_was_suggested():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    found = space("+k=interval(0,1)", "m/n@o=b,c", "r=choice([1,2],[3])", "t=true,null", "s=f")
    trial = study.ask()
    words = found.suggest(trial)
    assert [word.partition("=")[0] for word in words] == ["+k", "m/n@o", "r", "t", "s"]
    parsed = OverridesParser.create().parse_overrides(words)
    assert [override.value() for override in parsed[:2]] == [
        pytest.approx(trial.params["k"], rel=1e-5),
        trial.params["m/n@o"],
    ]
    assert str(trial.params["r"]).replace(" ", "") == words[2][2:]
    assert parsed[3].value() is trial.params["t"]
    assert words[-1] == "s=f"
    assert found.words(trial.params) == words


def test_a_narrow_interval_keeps_its_digits():
    (parameter,) = space("a=interval(1000000,1000001)").parameters
    assert parameter.text(1000000.123456789) == "1000000.123456789"
    (parameter,) = space("a=interval(0,1)").parameters
    assert parameter.text(0.123456789) == "0.123457"
    assert parameter.text(1e-7) == "1e-07"


def test_conditions_order_the_parameters():
    found = space("c=tag('b=2',interval(0,1))", "b=tag('a=x,y',choice(1,2))", "a=x,y,z")
    assert [parameter.name for parameter in found.parameters] == ["a", "b", "c"]
    with pytest.raises(InputError, match="needs values"):
        found.grid()
    found = space("c=tag('b=2',choice(5,6))", "b=tag('a=x,y',choice(1,2))", "a=x,y,z")
    assert found.grid() == [
        {"a": "x", "b": 1},
        {"a": "x", "b": 2, "c": 5},
        {"a": "x", "b": 2, "c": 6},
        {"a": "y", "b": 1},
        {"a": "y", "b": 2, "c": 5},
        {"a": "y", "b": 2, "c": 6},
        {"a": "z"},
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a=1",), "nothing to search"),
        (("a=interval(1,0)",), "give the smaller first"),
        (("a=tag(log,interval(0,1))",), "needs a range above 0"),
        (("a=tag(log,range(1,9,2))",), "steps have no logarithm"),
        (("a=tag(log,choice(1,2))",), "choices have no logarithm"),
        (("a=range(3,1)",), "holds no values"),
        (("a=tag(exp,interval(0,1))",), "the tag exp has no meaning"),
        (("a=tag('b=1',interval(0,1))", "b=1"), "b is not searched"),
        (("a=tag('b=3',interval(0,1))", "b=1,2"), "b is one of 1, 2; use its values"),
        (("a=tag('b=1',choice(1,2))", "b=tag('a=1',choice(1,2))"), "in a circle"),
        (("a=interval(0,inf)",), "finite"),
    ],
)
def test_refused(words, message):
    with pytest.raises(InputError, match=message):
        space(*words)
