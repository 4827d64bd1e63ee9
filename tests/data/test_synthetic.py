"""Laws that every generated classification dataset obeys."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqlab.data.cycle_navigation import CycleNavigation
from seqlab.data.even_pairs import EvenPairs
from seqlab.data.first_sign import FirstSign
from seqlab.data.magic_token import MagicToken
from seqlab.data.modular_arithmetic import ModularArithmetic
from seqlab.data.motion import Motion
from seqlab.data.parity import Parity
from seqlab.data.sentiment import Sentiment
from seqlab.data.token_sum_parity import TokenSumParity
from seqlab.errors import InputError

SIZES = {"train_size": 1200, "val_size": 301, "test_size": 400}
RULES = {
    "magic_token": lambda **k: MagicToken(**(SIZES | {"long_lengths": (30, 41)} | k)),
    "magic_token not strict": lambda **k: MagicToken(
        **(SIZES | {"long_lengths": (30, 41), "strict": False} | k)
    ),
    "token_sum_parity": lambda **k: TokenSumParity(**(SIZES | {"long_lengths": (30, 41)} | k)),
    "parity": lambda **k: Parity(**(SIZES | {"long_lengths": (30, 41)} | k)),
    "even_pairs": lambda **k: EvenPairs(**(SIZES | {"long_lengths": (30, 41)} | k)),
    "cycle_navigation": lambda **k: CycleNavigation(**(SIZES | {"long_lengths": (30, 41)} | k)),
    "modular_arithmetic": lambda **k: ModularArithmetic(**(SIZES | {"long_lengths": (31, 41)} | k)),
    "first_sign": lambda **k: FirstSign(**(SIZES | {"long_lengths": (100, 120)} | k)),
    "motion": lambda **k: Motion(**(SIZES | {"long_lengths": (65, 80)} | k)),
    "sentiment": lambda **k: Sentiment(**(SIZES | {"long_lengths": (31, 50)} | k)),
}
every_rule = pytest.mark.parametrize("make", RULES.values(), ids=RULES.keys())


def sequences(examples):
    return [
        tuple(row[:length].flatten().tolist())
        for row, length in zip(examples.inputs, examples.lengths, strict=True)
    ]


@every_rule
def test_no_sequence_of_one_split_occurs_in_another(make):
    data = make()
    held = [set(sequences(data.split(name))) for name in data.splits]
    assert len(held) == 4
    # Two reviews may differ in unknown words alone, and then look alike; training has none.
    for number, one in enumerate(held[:1] if isinstance(data, Sentiment) else held):
        for other in held[number + 1 :]:
            assert one
            assert not one & other


@pytest.mark.parametrize("seed", range(8))
def test_splits_of_a_tiny_space_are_disjoint(seed):
    # 16 + 32 + 64 sequences in all, far fewer than are drawn: they must repeat within a split.
    data = Parity(train_size=500, val_size=50, test_size=50, min_length=4, max_length=6, seed=seed)
    train, val, test = (set(sequences(data.split(name))) for name in data.splits)
    assert not train & val
    assert not train & test
    assert not val & test
    assert len(train) + len(val) + len(test) <= 112
    assert len(train) > 60


def test_each_split_gets_its_share_of_the_space():
    data = Parity(train_size=20_000, val_size=2000, test_size=2000, min_length=10, max_length=10)
    held = [len(data.split(name).inputs.unique(dim=0)) for name in data.splits]
    assert 1015 < sum(held) <= 1024
    assert held[0] / sum(held) == pytest.approx(0.8, abs=0.05)


@every_rule
def test_a_split_is_a_function_of_settings_and_seed(make):
    for name in make().splits:
        one, same, other = (make(seed=seed).split(name) for seed in (3, 3, 4))
        assert torch.equal(one.inputs, same.inputs)
        assert torch.equal(one.targets, same.targets)
        assert torch.equal(one.lengths, same.lengths)
        assert not torch.equal(one.inputs, other.inputs)


@every_rule
def test_a_split_does_not_depend_on_which_others_are_made(make):
    first, second = make(), make()
    first.split("train")
    assert torch.equal(first.split("val").inputs, second.split("val").inputs)


@every_rule
def test_classes_are_balanced_exactly(make):
    data = make()
    classes = len(data.label_names)
    for name in data.splits:
        targets = data.split(name).targets
        counts = torch.bincount(targets.long(), minlength=classes)
        assert len(counts) == classes
        assert counts.max() - counts.min() <= 1


@every_rule
def test_shares_of_the_classes_can_be_chosen(make):
    classes = len(make().label_names)
    shares = np.arange(1, classes + 1) / np.arange(1, classes + 1).sum()
    data = make(balance=shares.tolist())
    assert data.spec.trivial == pytest.approx(shares.max())
    counts = np.bincount(data.split("test").targets, minlength=classes)
    assert np.abs(counts - 400 * shares).max() <= 1
    assert counts.sum() == 400


def test_a_number_is_the_share_of_the_second_class():
    data = MagicToken(balance=0.25, test_size=400)
    assert data.split("test").targets.sum() == 100
    assert data.spec.trivial == 0.75


@every_rule
def test_lengths_are_in_range_and_the_rest_is_padding(make):
    data = make()
    bounds = {"test_long": tuple(data.long_lengths)}
    for name in data.splits:
        low, high = bounds.get(name, (data.min_length, data.max_length))
        examples = data.split(name)
        assert examples.inputs.shape[:2] == (len(examples), high)
        assert examples.lengths.min() >= low
        assert examples.lengths.max() <= high
        if low < high:
            assert len(examples.lengths.unique()) > 1
        padded = torch.arange(high) >= examples.lengths[:, None]
        assert (examples.inputs[padded] == 0).all()
        if examples.evidence is not None:
            assert not examples.evidence[padded].any()
        if data.spec.kind == "tokens":
            assert (examples.inputs[~padded] > 0).all()
            assert examples.inputs.max() < data.spec.input_size


@every_rule
def test_spec_names_everything(make):
    spec = make().spec
    assert spec.task == "classification"
    assert spec.metric == "accuracy"
    assert spec.output_size == len(spec.label_names)
    assert 0 < spec.trivial < spec.optimum <= 1
    if spec.kind == "tokens":
        assert len(spec.input_names) == len(set(spec.input_names)) == spec.input_size


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 30), st.integers(0, 12), st.integers(50, 300), st.integers(0, 1000), st.data()
)
def test_balance_is_exact_for_any_size_and_lengths(low, extra, size, seed, data):
    share = data.draw(st.floats(0.05, 0.95))
    examples = TokenSumParity(
        train_size=size, min_length=low, max_length=low + extra, seed=seed, balance=share
    ).split("train")
    assert len(examples) == size
    assert examples.targets.sum() == pytest.approx(size * share, abs=0.51)


def test_training_may_hold_shorter_sequences():
    data = FirstSign(**SIZES, train_min_length=3)
    assert set(data.split("train").lengths.tolist()) == set(range(3, 51))
    assert set(data.split("test").lengths.tolist()) == {50}
    train = ModularArithmetic(**SIZES, train_min_length=7, max_length=11).split("train")
    assert set(train.lengths.tolist()) == {7, 9, 11}


def test_labels_tell_nothing_about_length():
    examples = Parity(train_size=20_000, min_length=1, max_length=10).split("train")
    lengths = examples.lengths.double()
    means = [lengths[examples.targets == label].mean() for label in (0, 1)]
    assert abs(means[0] - means[1]) < 0.15
    counts = Counter(examples.lengths.tolist())
    assert set(counts) == set(range(1, 11))


def test_a_long_sequence_does_not_swell_the_chunks(monkeypatch):
    rows = []
    draw = Parity.draw

    def recording(self, rng, lengths, split):
        rows.append(len(lengths))
        return draw(self, rng, lengths, split)

    monkeypatch.setattr(Parity, "draw", recording)
    Parity(train_size=2000, min_length=4000, max_length=4096).split("train")
    assert max(rows) * 4096 <= 1 << 20


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"train_size": 0}, "data.train_size=0"),
        ({"seed": -1}, "data.seed=-1"),
        ({"min_length": 9, "max_length": 8}, "data.max_length=8"),
        ({"train_min_length": 0}, "data.train_min_length=0"),
        ({"train_min_length": 21}, "from 1 to data.max_length=20"),
        ({"long_lengths": [20, 30]}, "above data.max_length=20"),
        ({"long_lengths": [30]}, "data.long_lengths=[30]"),
        ({"balance": 1.5}, "data.balance=1.5"),
        ({"balance": [0.5, 0.2, 0.3]}, "2 shares that sum to 1"),
        ({"balance": "half"}, "data.balance=half"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, told):
    with pytest.raises(InputError) as error:
        Parity(**settings)
    assert told in str(error.value)


@pytest.mark.parametrize("seed", range(4))
def test_sequences_that_run_out_are_told(seed):
    # There is one even sequence of length 1, "0", and one split holds it.
    data = Parity(min_length=1, max_length=1, test_size=7, seed=seed)
    told = 0
    for name in data.splits:
        try:
            data.split(name)
        except InputError as error:
            assert f"sequences for {name} can be made" in str(error)  # noqa: PT017
            told += 1
    assert told >= 2


def test_a_second_test_set_must_be_asked_for():
    with pytest.raises(InputError, match="long_lengths"):
        Parity().split("test_long")
    assert Parity().splits == ("train", "val", "test")
