"""What tags mean, and which may follow one another."""

from __future__ import annotations

import itertools

import pytest

from seqlab.data.tag_scheme import PREFIXES, TagScheme
from seqlab.errors import InputError

PIECES = {
    # How a span of n tokens may be written, given whether one of its type stands right before.
    "bio": lambda n, behind: ["B"] + ["I"] * (n - 1),
    "bioes": lambda n, behind: ["S"] if n == 1 else ["B", *["I"] * (n - 2), "E"],
    "iob1": lambda n, behind: ["B" if behind else "I"] + ["I"] * (n - 1),
}


def scheme_of(name):
    return TagScheme(("O", *(f"{p}-{t}" for t in "XY" for p in PREFIXES[name])), name)


def legal_sequences(name, length):
    """Everything that can be written: all ways to lay out spans, spelled by the scheme."""

    def layouts(rest, before):
        if not rest:
            yield ()
            return
        for tail in layouts(rest - 1, None):
            yield ("O", *tail)
        for kind, size in itertools.product("XY", range(1, rest + 1)):
            piece = [f"{p}-{kind}" for p in PIECES[name](size, before == kind)]
            for tail in layouts(rest - size, kind):
                yield (*piece, *tail)

    return set(layouts(length, None))


@pytest.mark.parametrize("name", PREFIXES)
def test_legal_moves_allow_exactly_what_can_be_written(name):
    scheme = scheme_of(name)
    outside = len(scheme.names)
    for length in (1, 2, 3, 4):
        allowed = set()
        for tags in itertools.product(range(outside), repeat=length):
            moves = itertools.pairwise((outside, *tags, outside))
            if all(scheme.legal[move] for move in moves):
                allowed.add(tuple(scheme.names[tag] for tag in tags))
        assert allowed == legal_sequences(name, length)


@pytest.mark.parametrize("name", PREFIXES)
def test_illegal_moves_are_found_exactly_where_nothing_can_be_written_so(name):
    scheme = scheme_of(name)
    written = legal_sequences(name, 2)
    for tags in itertools.product(scheme.names, repeat=2):
        move = scheme.illegal_move(tags)
        assert (move is None) == (tags in written)
        if move is not None:
            assert move[0] in (1, 2)
            assert set(move[1:]) <= {*tags, "the start", "the end"}


@pytest.mark.parametrize(
    ("names", "scheme", "message"),
    [
        (("O", "B-X", "E-X"), "bio", "'E-X' is outside the scheme bio"),
        (("O", "X"), "bio", "'X' is outside"),
        (("O", "B-"), "bioes", "'B-' is outside"),
        (("O",), "iob2", "must be one of bio, bioes, iob1"),
    ],
)
def test_names_outside_the_scheme(names, scheme, message):
    with pytest.raises(InputError, match=message):
        TagScheme(names, scheme)


def test_an_inside_without_its_beginning_is_named_with_its_place():
    scheme = TagScheme(("O", "B-X", "I-X"), "bio")
    assert scheme.illegal_move(["O", "I-X"]) == (2, "O", "I-X")
    assert scheme.illegal_move(["I-X"]) == (1, "the start", "I-X")
    assert scheme.illegal_move(["B-X", "I-X"]) is None
