"""How tags spell spans: BIO, BIOES and IOB1."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from seqlab.errors import InputError

PREFIXES = {"bio": "BI", "bioes": "BIES", "iob1": "IB"}


class SpanRules(NamedTuple):
    """What two tags in a row say; (tags + 1, tags + 1), previous tag first, the last id outside.

    Attributes:
        starts: the second tag may start a span.
        continues: the second tag continues the span of the first.
        closes: a span whose last tag is the first one is whole when the second one follows.
    """

    starts: np.ndarray
    continues: np.ndarray
    closes: np.ndarray


class TagScheme:
    """Reads tag names such as `B-PER` in one of the schemes.

    - bio: B- starts every span, I- continues it.
    - bioes: B- starts and E- ends a span of several tokens, S- is a span of one.
    - iob1: I- starts and continues; B- starts a span right behind another of its type.

    Args:
        names: a name for each tag.
        scheme: "bio", "bioes" or "iob1".

    Raises:
        InputError: an unknown scheme, or a tag outside it.
    """

    def __init__(self, names: Sequence[str], scheme: str) -> None:
        if scheme not in PREFIXES:
            raise InputError(f"the tag scheme {scheme!r} must be one of {', '.join(PREFIXES)}")
        self.names = tuple(names)
        self.scheme = scheme
        self._ids = {name: number for number, name in enumerate(self.names)}
        parts = [self._split(name) for name in self.names]
        self.type_names = tuple(dict.fromkeys(kind for _, kind in parts if kind))
        # The outside of the sequence stands behind the tags, as one more tag O.
        parts.append(("O", ""))
        self._prefixes = np.array([prefix for prefix, _ in parts])
        places = {kind: number for number, kind in enumerate(self.type_names)}
        self.types = np.array([places.get(kind, -1) for _, kind in parts])

    def _split(self, name: str) -> tuple[str, str]:
        prefix, dash, kind = name.partition("-")
        if name == "O" or (prefix in PREFIXES[self.scheme] and len(prefix) == 1 and dash and kind):
            return prefix, kind
        forms = ", ".join(f"{prefix}-TYPE" for prefix in PREFIXES[self.scheme])
        raise InputError(f"the tag {name!r} is outside the scheme {self.scheme}; use O, {forms}")

    def illegal_move(self, tags: Sequence[str]) -> tuple[int, str, str] | None:
        """The first move of known tags that breaks the scheme: its position from 1 on, and tags."""
        outside = len(self.names)
        ids = [outside, *(self._ids[name] for name in tags), outside]
        for position, (before, tag) in enumerate(pairwise(ids), start=1):
            if not self.legal[before, tag]:
                first = "the start" if before == outside else self.names[before]
                second = "the end" if tag == outside else self.names[tag]
                return min(position, len(tags)), first, second
        return None

    @cached_property
    def legal(self) -> np.ndarray:
        """True where the second tag may follow the first; (tags + 1, tags + 1), the last outside.

        The last row holds the tags that may come first, the last column those that may come last.
        """
        before, tag, same = self._pairs()
        open_before = np.isin(before, ("B", "I"))
        if self.scheme == "iob1":
            return (tag != "B") | (open_before & same)
        continued = open_before & same
        if self.scheme == "bio":
            return (tag != "I") | continued
        inside = np.isin(tag, ("I", "E"))
        return np.where(inside, continued, ~open_before)

    @cached_property
    def lenient(self) -> SpanRules:
        """The reading of conlleval: any tag that cannot continue a span starts one."""
        before, tag, same = self._pairs()
        continues = np.isin(tag, ("I", "E")) & np.isin(before, ("B", "I")) & same
        return SpanRules((tag != "O") & ~continues, continues, np.ones_like(same))

    @cached_property
    def strict(self) -> SpanRules:
        """The reading by the scheme's letter: illegal spans do not count.

        As seqeval's strict mode has it (its scheme.py), in corners too: under iob1 a span is not
        whole when a B- of another type follows.
        """
        before, tag, same = self._pairs()
        open_before = np.isin(before, ("B", "I"))
        if self.scheme == "bioes":
            continues = np.isin(tag, ("I", "E")) & open_before & same
            return SpanRules(np.isin(tag, ("B", "S")), continues, np.isin(before, ("E", "S")))
        continues = (tag == "I") & open_before & same
        if self.scheme == "bio":
            return SpanRules(tag == "B", continues, np.ones_like(same))
        starts = (tag == "I") & ~((before == "I") & same)
        starts |= (tag == "B") & open_before & same
        closes = ~((before == "B") & (tag == "B") & ~same)
        return SpanRules(starts, continues, closes)

    def _pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Prefix of the first tag, prefix of the second, and whether both are of one type."""
        return (
            self._prefixes[:, None],
            self._prefixes[None, :],
            self.types[:, None] == self.types[None, :],
        )
