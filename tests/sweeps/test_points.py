"""The points of a grid against products and pairs written out."""

from __future__ import annotations

import itertools

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from seqlab.errors import InputError
from seqlab.sweeps.points import points, read_ties


def grid(*words: str, tied=()):
    return points(OverridesParser.create().parse_overrides(list(words)), tied)


def test_product():
    found = grid("model=rnn,gru,lstm", "trainer.max_epochs=3", "seed=1,2")
    pairs = itertools.product(("rnn", "gru", "lstm"), (1, 2))
    assert found == [[f"model={m}", "trainer.max_epochs=3", f"seed={s}"] for m, s in pairs]


def test_ranges_choices_additions_and_deletions():
    found = grid("seed=range(1,4)", "a=choice(x,y)", "+b=1", "~c")
    assert [point[0] for point in found] == [f"seed={n}" for n in (1, 1, 2, 2, 3, 3)]
    assert {tuple(point[1:]) for point in found} == {("a=x", "+b=1", "~c"), ("a=y", "+b=1", "~c")}


@pytest.mark.parametrize("override", ["seed=range(1,1)", "seed=range(3,1)"])
def test_an_empty_range_is_no_sweep(override):
    with pytest.raises(InputError, match=r"seed=range\(.,1\) gives no value"):
        grid(override, "model=rnn,gru")


def test_no_swept_key_is_one_job():
    assert grid("model=rnn") == [["model=rnn"]]
    assert grid() == [[]]


def test_the_last_of_a_key_counts():
    assert grid("seed=1,2", "seed=3") == [["seed=3"]]


def test_tied_keys_vary_side_by_side():
    found = grid("model=rnn,gru", "seed=1,2,3", "data=parity,sort", tied=[["model", "data"]])
    pairs = itertools.product((("rnn", "parity"), ("gru", "sort")), (1, 2, 3))
    wanted = [{f"model={m}", f"data={d}", f"seed={s}"} for (m, d), s in pairs]
    assert [set(point) for point in found] == wanted


def test_two_tied_groups():
    found = grid("a=1,2", "b=3,4", "c=5,6,7", "d=8,9,10", tied=[["a", "b"], ["d", "c"]])
    pairs = itertools.product(((1, 3), (2, 4)), ((5, 8), (6, 9), (7, 10)))
    assert [set(point) for point in found] == [
        {f"a={a}", f"b={b}", f"c={c}", f"d={d}"} for (a, b), (c, d) in pairs
    ]


WRONG = {
    "equally many": [["model", "seed"]],
    "not swept": [["model", "data"]],
    "ties nothing, which is not swept": [["model", "nothing"]],
    "twice": [["model", "lr"], ["model", "lr"]],
}


@pytest.mark.parametrize("message", WRONG)
def test_senseless_ties(message):
    with pytest.raises(InputError, match=message):
        grid("model=rnn,gru", "lr=1,2", "data=parity", "seed=1,2,3", tied=WRONG[message])


@pytest.mark.parametrize(
    ("zipped", "told"),
    [
        ("seed", "sweep.zip=seed must be a list of groups of two or more swept keys"),
        (["model", "lr"], r"sweep.zip=\[model, lr\] must be .* use 'sweep.zip=\[\[model,data\]\]'"),
        ([["model"]], r"sweep.zip=\[\[model\]\] must be"),
        (3, "sweep.zip=3 must be"),
        ({"a": "b"}, "sweep.zip={a: b} must be"),
    ],
)
def test_what_is_no_list_of_groups_is_told_whole(zipped, told):
    with pytest.raises(InputError, match=told):
        read_ties(zipped)


def test_groups_of_keys():
    assert read_ties(None) == read_ties([]) == []
    assert read_ties([["model", "data"]]) == [["model", "data"]]


def test_an_interval_has_no_values():
    with pytest.raises(InputError, match=r"optimizer.lr=interval.*range"):
        grid("optimizer.lr=interval(0.1,1)")
