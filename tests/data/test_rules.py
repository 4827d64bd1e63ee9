"""The labels of the generated datasets against the rules written out in plain Python."""

from __future__ import annotations

import pytest
import torch

from seqlab.data.cycle_navigation import CycleNavigation
from seqlab.data.even_pairs import EvenPairs
from seqlab.data.first_sign import FirstSign
from seqlab.data.modular_arithmetic import ModularArithmetic
from seqlab.data.parity import Parity
from seqlab.data.token_sum_parity import TokenSumParity
from seqlab.errors import InputError

SIZES = {"train_size": 3000, "val_size": 200, "test_size": 200}


def texts(data, split):
    """Each sequence as the names of its tokens, with the name of its label."""
    spec, examples = data.spec, data.split(split)
    for row, length, label in zip(
        examples.inputs.tolist(), examples.lengths.tolist(), examples.targets.tolist(), strict=True
    ):
        yield [spec.input_names[token] for token in row[:length]], spec.label_names[label]


def check(data, rule):
    seen = set()
    for split in data.splits:
        for names, label in texts(data, split):
            assert rule(names) == label, names
            seen.add(label)
    assert seen == set(data.label_names)


def even_or_odd(number):
    return ["even", "odd"][number % 2]


def test_parity_counts_ones():
    check(
        Parity(**SIZES, min_length=1, long_lengths=(30, 300)),
        lambda names: even_or_odd(names.count("1")),
    )


@pytest.mark.parametrize("vocabulary_size", [3, 20, 256, 257, 1000])
def test_token_sum_parity_adds(vocabulary_size):
    data = TokenSumParity(**SIZES, vocabulary_size=vocabulary_size, long_lengths=(300, 400))
    check(data, lambda names: even_or_odd(sum(int(name) for name in names)))
    assert data.split("train").inputs.max() == vocabulary_size - 1


def test_even_pairs_counts_pairs():
    data = EvenPairs(**SIZES, min_length=1, long_lengths=(30, 300))
    check(data, lambda names: even_or_odd(_pairs("".join(names))))


def _pairs(text):
    return sum(text[place : place + 2] in ("ab", "ba") for place in range(len(text)))


def test_even_pairs_has_the_ends_as_evidence():
    examples = EvenPairs(**SIZES, min_length=1).split("train")
    for marks, length in zip(examples.evidence, examples.lengths, strict=True):
        assert set(marks.nonzero().flatten().tolist()) == {0, int(length) - 1}


@pytest.mark.parametrize("positions", [2, 5, 7])
def test_cycle_navigation_walks(positions):
    def walk(names):
        position = 0
        for name in names:
            if name == "+":
                position = position + 1 if position < positions - 1 else 0
            elif name == "-":
                position = position - 1 if position > 0 else positions - 1
        return str(position)

    check(CycleNavigation(**SIZES, positions=positions, long_lengths=(30, 300)), walk)


@pytest.mark.parametrize("modulus", [2, 5, 100])
def test_modular_arithmetic_evaluates(modulus):
    data = ModularArithmetic(**SIZES, modulus=modulus, min_length=1, long_lengths=(21, 31))
    check(data, lambda names: str(eval(" ".join(names)) % modulus))


def test_modular_arithmetic_uses_every_operator_and_digit_in_odd_lengths():
    data = ModularArithmetic(**SIZES)
    lengths = set()
    for names, _ in texts(data, "train"):
        lengths.add(len(names))
        assert all(name in "01234" for name in names[::2])
        assert all(name in "+-*" for name in names[1::2])
    assert lengths == set(range(3, 20, 2))
    assert set(data.split("train").inputs.flatten().tolist()) == set(range(9))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"min_length": 4}, "data.min_length=4 must be odd"),
        ({"max_length": 20}, "use 19 or 21"),
        ({"long_lengths": [21, 30]}, r"data.long_lengths\[1\]=30"),
        ({"train_min_length": 2}, "data.train_min_length=2 must be odd"),
        ({"modulus": 1}, "data.modulus=1"),
        ({"modulus": 101}, "data.modulus=101"),
    ],
)
def test_modular_arithmetic_refuses(settings, told):
    with pytest.raises(InputError, match=told):
        ModularArithmetic(**settings)


def test_first_sign_is_the_first_values_sign():
    data = FirstSign(**SIZES, long_lengths=(200, 200))
    for split in data.splits:
        examples = data.split(split)
        assert examples.inputs.dtype == torch.float32
        assert examples.inputs.shape[2] == 1
        for row, label, marks in zip(
            examples.inputs[..., 0].tolist(),
            examples.targets.tolist(),
            examples.evidence.tolist(),
            strict=True,
        ):
            assert data.label_names[label] == ("positive" if row[0] > 0 else "negative")
            assert [place for place, mark in enumerate(marks) if mark] == [0]
    assert set(data.split("train").lengths.tolist()) == {50}


def test_first_sign_leaves_the_rest_to_chance():
    examples = FirstSign(train_size=20_000).split("train")
    values = examples.inputs[..., 0].double()
    assert values.std() == pytest.approx(1, abs=0.01)
    signs = examples.targets.double() * 2 - 1
    correlation = (values[:, 1:] * signs[:, None]).mean(0)
    assert correlation.abs().max() < 4.5 / 20_000**0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda: CycleNavigation(positions=1),
        lambda: CycleNavigation(positions=257),
        lambda: TokenSumParity(vocabulary_size=2),
        lambda: Parity(balance=[1.0]),
    ],
)
def test_impossible_settings_are_refused(make):
    with pytest.raises(InputError, match="data\\."):
        make()


def test_more_positions_than_steps_are_told():
    data = CycleNavigation(positions=50, min_length=2, max_length=10, train_size=300)
    with pytest.raises(InputError, match="of 300 sequences for train"):
        data.split("train")
