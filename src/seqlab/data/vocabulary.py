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
    places: Sequence[str],
    unknown: Literal["error", "map"] = "error",
) -> Encoded:
    """Looks up tokens by name.

    Args:
        sequences: the tokens of each sequence.
        names: the name of each id; see `Spec.input_names` and `Spec.label_names`.
        places: where each sequence stands, for errors.
        unknown: what happens to a token without an id: "error", or "map" to the unknown one, and
            count.

    Raises:
        InputError: an empty sequence, or a token without an id.
    """
    if unknown not in ("error", "map"):
        raise InputError(f"data.unknown={unknown!r} must be error or map")
    ids = {name: number for number, name in enumerate(names) if number not in (PAD, BEGIN, END)}
    lengths = torch.tensor([len(sequence) for sequence in sequences], dtype=torch.long)
    tokens = torch.zeros(len(sequences), max(map(len, sequences), default=0), dtype=torch.long)
    missing = 0
    for row, sequence in enumerate(sequences):
        if not sequence:
            raise InputError(f"{places[row]} is empty; leave out empty sequences")
        for step, token in enumerate(sequence):
            number = ids.get(token)
            if number is None and unknown == "error":
                raise InputError(
                    f"{places[row]}: token {step + 1}, {token!r}, is not in the vocabulary of "
                    "training; leave it out, or use data.unknown=map"
                )
            missing += number is None
            tokens[row, step] = UNKNOWN if number is None else number
    return Encoded(tokens, lengths, missing)
