import pytest

from seqlab.data.vocabulary import SPECIAL, UNKNOWN, encode
from seqlab.errors import InputError

NAMES = (*SPECIAL, "a", "b")


def test_tokens_become_ids_and_unknown_ones_are_counted():
    found = encode([["a", "b", "a"], ["z", "b"]], NAMES, unknown="map")
    assert found.tokens.tolist() == [[4, 5, 4], [UNKNOWN, 5, 0]]
    assert found.lengths.tolist() == [3, 2]
    assert found.unknown == 1
    # Marks are no tokens that a text could hold.
    assert encode([["</s>"]], NAMES, unknown="map").tokens.tolist() == [[UNKNOWN]]


def test_what_cannot_be_looked_up_is_told():
    with pytest.raises(InputError, match="'z' at place 2 of sequence 1"):
        encode([["a", "z"]], NAMES)
    with pytest.raises(InputError, match="sequence 2 is empty"):
        encode([["a"], []], NAMES)
    with pytest.raises(InputError, match="error or map"):
        encode([["a"]], NAMES, unknown="drop")
