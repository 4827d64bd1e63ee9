import random
import string

import pytest
import torch

from seqlab.data.vocabulary import SPECIAL, UNKNOWN, encode, with_special
from seqlab.errors import InputError

NAMES = (*SPECIAL, "a", "b")


def test_tokens_become_ids_and_unknown_ones_are_counted():
    found = encode([["a", "b", "a"], ["z", "b"]], NAMES, places=["", ""], unknown="map")
    assert found.tokens.tolist() == [[4, 5, 4], [UNKNOWN, 5, 0]]
    assert found.lengths.tolist() == [3, 2]
    assert found.unknown == 1
    # Marks are no tokens that a text could hold.
    assert encode([["</s>"]], NAMES, places=[""], unknown="map").tokens.tolist() == [[UNKNOWN]]


def test_what_cannot_be_looked_up_is_told():
    with pytest.raises(InputError, match="line 1: token 2, 'z', is not"):
        encode([["a", "z"]], NAMES, places=["line 1"])
    with pytest.raises(InputError, match="line 2 is empty"):
        encode([["a"], []], NAMES, places=["line 1", "line 2"])
    with pytest.raises(InputError, match="error or map"):
        encode([["a"]], NAMES, places=[""], unknown="drop")  # type: ignore[arg-type]


def one_by_one(sequences, names):
    """The definition: each token looked up on its own."""
    ids = {name: number for number, name in enumerate(names) if number > UNKNOWN}
    tokens = torch.zeros(len(sequences), max(map(len, sequences)), dtype=torch.long)
    for row, sequence in enumerate(sequences):
        for step, token in enumerate(sequence):
            tokens[row, step] = ids.get(token, UNKNOWN)
    return tokens


@pytest.mark.parametrize("count", [1, 300])
def test_in_bulk_as_one_by_one(count):
    draw = random.Random(count)
    sequences = [draw.choices(string.ascii_letters, k=draw.randint(1, 9)) for _ in range(count)]
    names = with_special(string.ascii_lowercase)
    found = encode(sequences, names, places=[""] * count, unknown="map")
    expected = one_by_one(sequences, names)
    assert torch.equal(found.tokens, expected)
    assert found.lengths.tolist() == list(map(len, sequences))
    assert found.unknown == int((expected == UNKNOWN).sum())


def test_the_first_unknown_token_is_named_wherever_it_stands():
    with pytest.raises(InputError, match="line 3: token 1, 'y'"):
        encode([["a"], ["b", "a"], ["y", "z"]], NAMES, places=["line 1", "line 2", "line 3"])


def test_special_tokens_get_names_that_no_token_has():
    assert with_special("ab") == (*SPECIAL, "a", "b")
    names = with_special(["·", "<unk>", "<<unk>>", "a"])
    assert names == ("<·>", "<s>", "</s>", "<<<unk>>>", "·", "<unk>", "<<unk>>", "a")
    found = encode([["<unk>", "·"]], names, places=[""])
    assert found.tokens.tolist() == [[5, 4]]
