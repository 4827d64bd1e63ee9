"""The ids that every vocabulary of source and target tokens begins with, and from tokens to ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqlab.errors import InputError

PAD, BEGIN, END, UNKNOWN = range(4)
SPECIAL = ("·", "<s>", "</s>", "<unk>")
"""How the special tokens are printed, unless the data has tokens that look so."""


class Encoded(NamedTuple):
    """Sequences as ids.

    Attributes:
        tokens: (sequences, longest) ids, 0 where padded.
        lengths: (sequences,) valid positions.
        unknown: how many tokens were mapped to the unknown one.
    """

    tokens: Tensor
    lengths: Tensor
    unknown: int


def with_special(tokens: Iterable[str], special: Sequence[str] = SPECIAL) -> tuple[str, ...]:
    """The printed name of each id: those of the special tokens, then the data's tokens.

    A special token is an id and no text. Where the data has a token that looks like its printed
    name, angle brackets are put around the name until none does: `<unk>`, `<<unk>>`, …

    Args:
        tokens: the data's tokens, all different.
        special: the usual names of the special tokens.
    """
    tokens = tuple(tokens)
    taken = set(tokens)
    names = []
    for name in special:
        while name in taken:
            name = f"<{name}>"  # noqa: PLW2901 — the next one to try
        taken.add(name)
        names.append(name)
    return (*names, *tokens)


def encode(
    sequences: Sequence[Sequence[str]],
    names: Sequence[str],
    *,
    places: Sequence[str],
    unknown: Literal["error", "map"] = "error",
) -> Encoded:
    """Looks up tokens by name, all sequences at once.

    Args:
        sequences: the tokens of each sequence.
        names: the name of each id, those of the special tokens first; see `with_special`.
        places: where each sequence stands, for errors.
        unknown: what happens to a token without an id: "error", or "map" to the unknown one, and
            count.

    Raises:
        InputError: an empty sequence, or a token without an id.
    """
    if unknown not in ("error", "map"):
        raise InputError(f"data.unknown={unknown!r} must be error or map")
    ids = {name: number for number, name in enumerate(names[len(SPECIAL) :], start=len(SPECIAL))}
    lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
    if len(lengths) and not lengths.min():
        raise InputError(f"{places[int(lengths.argmin())]} is empty; leave out empty sequences")
    found = (ids.get(token, UNKNOWN) for token in chain.from_iterable(sequences))
    flat = np.fromiter(found, np.int64, lengths.sum())
    missing = flat == UNKNOWN
    if unknown == "error" and missing.any():
        place = int(missing.argmax())
        row = int(np.searchsorted(lengths.cumsum(), place, side="right"))
        step = place - int(lengths[:row].sum())
        raise InputError(
            f"{places[row]}: token {step + 1}, {sequences[row][step]!r}, is not in the vocabulary "
            "of training; leave it out, or use data.unknown=map"
        )
    tokens = np.zeros((len(sequences), lengths.max(initial=0)), np.int64)
    tokens[np.arange(tokens.shape[1]) < lengths[:, None]] = flat
    return Encoded(torch.from_numpy(tokens), torch.from_numpy(lengths), int(missing.sum()))
