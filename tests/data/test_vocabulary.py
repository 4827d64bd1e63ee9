import pytest

from seqlab.data.vocabulary import SPECIAL, UNKNOWN, encode
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
