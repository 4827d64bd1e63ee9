"""Pairs of a source and a target text from the user's files."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from seqlab.data.examples import Examples
from seqlab.data.pairs import Pair, Tokens, draw_splits, read_pairs
from seqlab.data.spec import Spec
from seqlab.data.synthetic import Split
from seqlab.data.vocabulary import END, UNKNOWN, Encoded, encode, with_special
from seqlab.errors import InputError, check_at_least, check_probability

Names = tuple[str, ...]


@dataclass(kw_only=True)
class PairsFile:
    """A source and a target a line, with a tabulator between them or in two parallel files.

    Example: with `tokens=characters` the line `3 May 1971⇥1971-05-03` is a source of ten
    characters and a target of ten.

    Without files of their own, validation and test get a share of the pairs each. Which pairs is
    drawn by the seed; pairs of one source stay together, so that no source of the one is in the
    other. Sources that files of their own share with training are counted and told. Vocabularies
    hold the tokens of training alone.

    Args:
        path: file with the pairs, or with the sources if `target_path` has the targets.
        target_path: file with as many lines as `path`; None where both stand on a line.
        val_path: file to validate on, likewise; None draws from `path`.
        val_target_path: its targets.
        test_path: file to test on, likewise; None draws from `path`.
        test_target_path: its targets.
        val_share: share of the pairs to draw for validation.
        test_share: share of the pairs to draw for the test.
        tokens: "words" between blanks, or "characters".
        unknown: what happens to a token of validation or test that training does not have: "map"
            reads it as the unknown token and tells how many there are; "error" refuses it.
        min_count: a token that occurs less often in training is unknown there too, which teaches
            the model what an unknown token may be.
        max_length: tokens that a source or target may have; None for any number.
        encoding: of all files, such as utf-8 or latin-1.
        seed: seeds the drawing.

    Raises:
        InputError: no such file, a line without a tabulator, an empty source or target, files of
            unequal length, a text that is too long, or too few pairs; it names file and line.
    """

    path: str
    target_path: str | None = None
    val_path: str | None = None
    val_target_path: str | None = None
    test_path: str | None = None
    test_target_path: str | None = None
    val_share: float = 0.1
    test_share: float = 0.1
    tokens: Tokens = "words"
    unknown: Literal["error", "map"] = "map"
    min_count: int = 1
    max_length: int | None = None
    encoding: str = "utf-8"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.tokens not in ("words", "characters"):
            raise InputError(f"data.tokens={self.tokens!r} must be words or characters")
        check_at_least("data.min_count", self.min_count)
        if self.min_count > 1 and self.unknown == "error":
            raise InputError(
                f"data.min_count={self.min_count} makes rare tokens unknown, which "
                "data.unknown=error refuses; use data.unknown=map, or data.min_count=1"
            )
        if self.max_length is not None:
            check_at_least("data.max_length", self.max_length)
        check_at_least("data.seed", self.seed, 0)
        check_probability("data.val_share", self.val_share)
        check_probability("data.test_share", self.test_share)
        for split in ("val", "test"):
            if getattr(self, f"{split}_target_path") and not getattr(self, f"{split}_path"):
                raise InputError(
                    f"data.{split}_target_path has no sources; give data.{split}_path too"
                )

    @property
    def splits(self) -> tuple[Split, ...]:
        return ("train", "val", "test")

    @cached_property
    def pairs(self) -> dict[Split, list[Pair]]:
        """The pairs of each split."""
        rest = self._read(self.path, self.target_path)
        found: dict[Split, list[Pair]] = {}
        shares: dict[Split, float] = {}
        others: tuple[tuple[Split, str | None, str | None, float], ...] = (
            ("val", self.val_path, self.val_target_path, self.val_share),
            ("test", self.test_path, self.test_target_path, self.test_share),
        )
        for name, path, target_path, share in others:
            if path is not None:
                found[name] = self._read(path, target_path)
            else:
                shares[name] = share
        if shares:
            drawn = draw_splits(rest, shares, self.seed)
            for name, pairs in drawn.items():
                if not pairs:
                    shown = " and ".join(f"data.{n}_share={share}" for n, share in shares.items())
                    raise InputError(
                        f"{self.path} has too few different sources for {shown}: {name} gets none; "
                        "change the shares, add pairs, or give files of their own"
                    )
            found |= drawn
        else:
            found["train"] = rest
        return found

    @cached_property
    def source_names(self) -> Names:
        """The name of each source id."""
        return self._vocabulary([pair.source for pair in self.pairs["train"]])

    @cached_property
    def target_names(self) -> Names:
        """The name of each target id."""
        return self._vocabulary([pair.target for pair in self.pairs["train"]])

    @property
    def spec(self) -> Spec:
        self.encoded  # noqa: B018 — an unknown token is refused before anything is trained
        train = Counter(pair.target for pair in self.pairs["train"])
        test = [pair.target for pair in self.pairs["test"]]
        longest = max(len(pair.target) for pairs in self.pairs.values() for pair in pairs)
        return Spec(
            task="seq2seq",
            kind="tokens",
            input_size=len(self.source_names),
            output_size=len(self.target_names),
            metric="exact_match",
            # Who ignores the source writes the target that is most frequent in training.
            trivial=test.count(train.most_common(1)[0][0]) / len(test),
            optimum=None,
            input_names=self.source_names,
            label_names=self.target_names,
            longest_target=longest,
        )

    @cached_property
    def encoded(self) -> dict[Split, tuple[Encoded, Encoded]]:
        """Sources and targets of each split as ids."""
        known = {pair.source for pair in self.pairs["train"]}
        found: dict[Split, tuple[Encoded, Encoded]] = {}
        for name, pairs in self.pairs.items():
            shared = sum(pair.source in known for pair in pairs)
            if name != "train" and shared:
                warnings.warn(
                    f"{shared} of {len(pairs)} sources of {name} are in training too", stacklevel=3
                )
            found[name] = (
                self._encode(name, "source", pairs, self.source_names),
                self._encode(name, "target", pairs, self.target_names),
            )
        return found

    def split(self, name: Split) -> Examples:
        sources, targets = self.encoded[name]
        return Examples(
            sources.tokens.int(),
            sources.lengths.int(),
            _ended(targets),
            target_lengths=(targets.lengths + 1).int(),
        )

    def _read(self, path: str, target_path: str | None) -> list[Pair]:
        return read_pairs(
            path,
            target_path,
            tokens=self.tokens,
            max_length=self.max_length,
            encoding=self.encoding,
        )

    def _vocabulary(self, texts: Sequence[Sequence[str]]) -> Names:
        """The special tokens, then those that occur often enough, the most frequent first."""
        counts = Counter(token for text in texts for token in text)
        return with_special(t for t, count in counts.most_common() if count >= self.min_count)

    def _encode(
        self, split: Split, side: Literal["source", "target"], pairs: list[Pair], names: Names
    ) -> Encoded:
        """The ids of all texts of a side; tells how many tokens are unknown."""
        path = getattr(self, f"{split}_path", None) or self.path
        found = encode(
            [getattr(pair, side) for pair in pairs],
            names,
            places=[f"{path}, line {pair.line}, {side} ({split})" for pair in pairs],
            unknown=self.unknown,
        )
        if found.unknown:
            warnings.warn(
                f"{found.unknown} of {int(found.lengths.sum())} {side} tokens of {split} are not "
                f"in the vocabulary of training and are read as {names[UNKNOWN]}",
                stacklevel=4,
            )
        return found


def _ended(targets: Encoded) -> Tensor:
    """The tokens with the end behind each."""
    tokens = torch.nn.functional.pad(targets.tokens, (0, 1))
    return tokens.scatter(1, targets.lengths[:, None], END).int()
