"""The ids that every vocabulary of source and target tokens begins with, and from tokens to ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from seqlab.errors import InputError

PAD, BEGIN, END, UNKNOWN = range(4)
SPECIAL = ("·", "<s>", "</s>", "<unk>")


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


def encode(
    sequences: Sequence[Sequence[str]],
    names: Sequence[str],
    *,
    unknown: Literal["error", "map"] = "error",
) -> Encoded:
    """Looks up tokens by name.

    Args:
        sequences: the tokens of each sequence.
        names: the name of each id; see `Spec.input_names` and `Spec.label_names`.
        unknown: what happens to a token without an id: "error", or "map" to the unknown one, and
            count.

    Raises:
        InputError: an empty sequence, or a token without an id.
    """
    if unknown not in ("error", "map"):
        raise InputError(f"unknown={unknown!r} must be error or map")
    places = {name: place for place, name in enumerate(names) if place not in (PAD, BEGIN, END)}
    lengths = torch.tensor([len(sequence) for sequence in sequences], dtype=torch.long)
    tokens = torch.zeros(len(sequences), max(map(len, sequences), default=0), dtype=torch.long)
    missing = 0
    for row, sequence in enumerate(sequences):
        if not sequence:
            raise InputError(f"sequence {row + 1} is empty; leave out empty sequences")
        for step, token in enumerate(sequence):
            place = places.get(token)
            if place is None and unknown == "error":
                raise InputError(
                    f"token {token!r} at place {step + 1} of sequence {row + 1} is not among the "
                    f"{len(places)} of the vocabulary; leave it out, or use unknown=map"
                )
            missing += place is None
            tokens[row, step] = UNKNOWN if place is None else place
    return Encoded(tokens, lengths, missing)
