"""The magic token's rule, and the optimum of the generator that does not keep to it."""

from __future__ import annotations

import random

import pytest

from seqlab.data.magic_token import MagicToken
from seqlab.errors import InputError


@pytest.mark.parametrize(
    ("vocabulary_size", "magic_token"), [(3, 1), (3, 2), (20, 7), (256, 255), (300, 299)]
)
def test_present_exactly_when_it_occurs(vocabulary_size, magic_token):
    data = MagicToken(
        vocabulary_size=vocabulary_size,
        magic_token=magic_token,
        train_size=2000,
        long_lengths=(40, 50),
    )
    for split in data.splits:
        examples = data.split(split)
        for row, label, marks in zip(
            examples.inputs.tolist(),
            examples.targets.tolist(),
            examples.evidence.tolist(),
            strict=True,
        ):
            assert label == (magic_token in row)
            assert marks == [token == magic_token for token in row]


def test_every_position_may_hold_it_and_every_other_token_occurs():
    examples = MagicToken(train_size=5000, min_length=5, max_length=5).split("train")
    assert examples.evidence.any(0).all()
    assert set(examples.inputs.flatten().tolist()) == set(range(1, 20))


def test_two_thirds_of_the_careless_negatives_hold_the_token():
    data = MagicToken(strict=False, train_size=40_000, min_length=20, max_length=20)
    examples = data.split("train")
    negatives = examples.targets == 0
    holding = examples.evidence[negatives].any(1).double().mean().item()
    # 1 − (1 − 1/19)^20; four standard errors of 20,000 negatives.
    assert holding == pytest.approx(0.661, abs=0.0135)


@pytest.mark.parametrize(
    ("low", "high", "vocabulary_size", "balance"),
    [(20, 20, 20, 0.5), (5, 20, 20, 0.5), (3, 6, 5, 0.3), (1, 1, 20, 0.5)],
)
def test_careless_optimum_is_the_best_rules_expected_accuracy(low, high, vocabulary_size, balance):
    data = MagicToken(
        strict=False,
        vocabulary_size=vocabulary_size,
        magic_token=2,
        min_length=low,
        max_length=high,
        balance=balance,
    )
    chance = random.Random(5)
    right, draws = 0, 60_000
    for _ in range(draws):
        length = chance.randint(low, high)
        tokens = [chance.randint(1, vocabulary_size - 1) for _ in range(length)]
        label = chance.random() < balance
        if label:
            tokens[chance.randrange(length)] = 2
        odds = tokens.count(2) * (vocabulary_size - 1) / length * balance / (1 - balance)
        right += label == (odds > 1)
    error = 4 * 0.5 / draws**0.5
    assert data.spec.optimum == pytest.approx(right / draws, abs=error)
    assert data.spec.trivial == pytest.approx(max(balance, 1 - balance))
    assert data.spec.trivial <= data.spec.optimum < 1


def test_careless_optimum_holds_on_the_test_set():
    data = MagicToken(strict=False, test_size=40_000)
    examples = data.split("test")
    odds = examples.evidence.sum(1) * 19 / examples.lengths
    accuracy = ((odds > 1) == (examples.targets == 1)).double().mean().item()
    assert data.spec.optimum == pytest.approx(accuracy, abs=0.01)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"vocabulary_size": 2}, "data.vocabulary_size=2"),
        ({"vocabulary_size": 5}, "data.magic_token=7 must be an id from 1 to 4"),
        ({"magic_token": 0}, "data.magic_token=0"),
    ],
)
def test_refuses(settings, told):
    with pytest.raises(InputError, match=told):
        MagicToken(**settings)
