"""Reads pairs of texts from files, and draws splits of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from seqlab.data.synthetic import Split
from seqlab.errors import InputError
from seqlab.files import read_text, split_lines

Tokens = Literal["words", "characters"]


class Pair(NamedTuple):
    """The tokens of a source and of its target, and the line that they stand on."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    line: int


def read_pairs(
    path: str,
    target_path: str | None,
    *,
    tokens: Tokens,
    max_length: int | None,
    encoding: str = "utf-8",
) -> list[Pair]:
    """The pairs of a file, or of two parallel ones.

    Args:
        path: file with source, tabulator and target a line, or with the sources.
        target_path: file with the targets; None where both stand on a line.
        tokens: what a text is taken apart into.
        max_length: tokens that a text may have.
        encoding: of the files.

    Raises:
        InputError: see `PairsFile`.
    """
    lines = read_lines(path, encoding)
    if target_path is None:
        halves = [line.split("\t") for line in lines]
        for number, half in enumerate(halves, start=1):
            if len(half) != 2:
                raise InputError(
                    f"{path}, line {number}: {_shown(lines[number - 1])} has {len(half) - 1} "
                    "tabulators; write source, one tabulator and target, or give the targets in "
                    "a file of their own"
                )
    else:
        targets = read_lines(target_path, encoding)
        if len(targets) != len(lines):
            raise InputError(
                f"{path} has {len(lines)} lines, but {target_path} has {len(targets)}; line by "
                "line they must belong together"
            )
        halves = [list(half) for half in zip(lines, targets, strict=True)]
    places = (path, path if target_path is None else target_path)
    pairs = []
    for number, half in enumerate(halves, start=1):
        sides = []
        for side, text, place in zip(("source", "target"), half, places, strict=True):
            # Other spaces than these, such as U+00A0, are characters like any other.
            text = text.replace("\t", " ").strip(" ")  # noqa: PLW2901 — as it is read
            found = tuple(filter(None, text.split(" ")) if tokens == "words" else text)
            if not found:
                raise InputError(f"{place}, line {number}: the {side} is empty; leave out the pair")
            if max_length is not None and len(found) > max_length:
                raise InputError(
                    f"{place}, line {number}: the {side} has {len(found)} {tokens}, above "
                    f"data.max_length={max_length}; raise it, use null, or leave out the pair"
                )
            sides.append(found)
        pairs.append(Pair(*sides, line=number))
    return pairs


def read_lines(path: str, encoding: str = "utf-8") -> list[str]:
    """The lines of a file; empty ones at its end are none.

    Raises:
        InputError: there is no such file, it is no text, or it holds no line.
    """
    lines = split_lines(read_text(path, encoding=encoding, setting="data.encoding"))
    while lines and not lines[-1]:
        del lines[-1]
    if not any(map(str.strip, lines)):
        raise InputError(f"{path} holds no pair; write source, tabulator and target a line")
    return lines


def draw_splits(
    pairs: Sequence[Pair], shares: Mapping[Split, float], seed: int
) -> dict[Split, list[Pair]]:
    """Train and the splits that have a share; pairs of one source all go the same way.

    Each keeps the order of the file.
    """
    sources = list(dict.fromkeys(pair.source for pair in pairs))
    order = np.random.default_rng(seed).permutation(len(sources))
    names: list[Split] = ["train"] * len(sources)
    first = 0
    for name, share in shares.items():
        last = first + round(share * len(sources))
        for place in order[first:last]:
            names[place] = name
        first = last
    split_of = dict(zip(sources, names, strict=True))
    found: dict[Split, list[Pair]] = {name: [] for name in ("train", *shares)}
    for pair in pairs:
        found[split_of[pair.source]].append(pair)
    return found


def _shown(line: str) -> str:
    return repr(line if len(line) <= 40 else line[:37] + "...")
