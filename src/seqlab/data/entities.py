"""Which words name persons, places and organisations?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from seqlab.data import entity_words as words
from seqlab.data.spec import Spec
from seqlab.data.synthetic import Draw, Split, token_dtype, valid_positions
from seqlab.data.tag_scheme import TagScheme
from seqlab.data.tagging import TaggingDataset, tag_dtype
from seqlab.errors import InputError, check_at_least

UNKNOWN = 1
FIRST_WORD = 2
MOST_CLAUSES = 3


@dataclass(kw_only=True)
class Entities(TaggingDataset):
    """Sentences from templates, in which persons, places and organisations are to be found.

    Example: `Kelmar told reporters that Bank of Nevtor would close in May .` is tagged
    `B-PER O O O B-ORG I-ORG I-ORG O O O O O`.

    All names are of the same words: a name may be a person here, a place there and a horse, which
    is no entity, elsewhere; only its context tells, and context behind it as often as before it.
    Outside the training split all names are such as never occur in it, and are read as id 1,
    the unknown word. So that this word means something, some names in training are unknown too.
    One to three clauses make a sentence.

    Args:
        num_names: different names in the training split.
        unknown: probability that a name in the training split is read as the unknown word.
        scheme: "bio" or "bioes".

    Raises:
        InputError: more names than there are, or a setting out of range.
    """

    min_length: int = 5
    max_length: int = 40
    num_names: int = 200
    unknown: float = 0.3
    scheme: Literal["bio", "bioes"] = "bio"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("data.num_names", self.num_names)
        if self.num_names > len(words.NAMES):
            raise InputError(f"data.num_names={self.num_names} must be at most {len(words.NAMES)}")
        if not 0 <= self.unknown <= 1:
            raise InputError(f"data.unknown={self.unknown} must be a probability, from 0 to 1")
        if self.scheme not in ("bio", "bioes"):
            raise InputError(f"data.scheme={self.scheme!r} must be bio or bioes")

    @property
    def tag_names(self) -> tuple[str, ...]:
        if self.scheme == "bio":
            return words.TAG_NAMES
        kinds = words.KINDS.values()
        return ("O", *(f"{prefix}-{kind}" for kind in kinds for prefix in "BIES"))

    @property
    def spec(self) -> Spec:
        names = np.random.default_rng([self.seed, 102]).permutation(words.NAMES)[: self.num_names]
        # Who ignores the input tags everything O, and finds no span.
        return replace(
            self.describe_tokens(("<unknown>", *words.WORDS, *names.tolist())),
            metric="span_f1",
            trivial=0.0,
            scheme=self.scheme,
        )

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        rows = len(lengths)
        shape = rows, MOST_CLAUSES
        template = rng.integers(0, len(words.TEMPLATES), shape)
        first, end = words.FIRSTS[template], words.FIRSTS[template + 1]
        clause = first + (rng.random(shape) * (end - first)).astype(int)
        chosen, choices, tags = words.CLAUSES[clause], words.CHOICES[clause], words.TAGS[clause]
        ids = FIRST_WORD + chosen + (rng.random(chosen.shape) * choices).astype(int)
        names = FIRST_WORD + len(words.WORDS) + rng.integers(0, self.num_names, chosen.shape)
        if split == "train":
            names[rng.random(chosen.shape) < self.unknown] = UNKNOWN
        else:
            names[:] = UNKNOWN
        ids = np.where(chosen == words.NAME, names, np.where(chosen < words.NAME, 0, ids))

        # Behind each clause a connector, behind the last one the stop, then nothing.
        count = rng.integers(1, MOST_CLAUSES + 1, (rows, 1))
        number = np.arange(MOST_CLAUSES)
        links = np.array([words.PLACE[link] for link in words.CONNECTORS])
        link = FIRST_WORD + links[rng.integers(0, len(links), shape)]
        link[number == count - 1] = FIRST_WORD + words.PLACE[words.STOP]
        ids = np.concatenate([ids, link[..., None]], axis=2) * (number < count)[..., None]
        tags = np.concatenate([tags, np.zeros((*shape, 1), int)], axis=2)

        # Close the gaps: the words, in their order, fall into the valid positions.
        ids, tags = ids.reshape(rows, -1), tags.reshape(rows, -1)
        written = ids > 0
        lengths = written.sum(1)
        valid = valid_positions(lengths)
        size = FIRST_WORD + len(words.WORDS) + self.num_names
        inputs = np.zeros(valid.shape, token_dtype(size))
        targets = np.zeros(valid.shape, tag_dtype(len(self.tag_names)))
        inputs[valid] = ids[written]
        targets[valid] = tags[written]
        return Draw(inputs, self._spelled(targets), lengths=lengths)

    def _spelled(self, tags: np.ndarray) -> np.ndarray:
        """Tags as written in BIO, in the dataset's scheme."""
        if self.scheme == "bio":
            return tags
        bio = TagScheme(words.TAG_NAMES, "bio")
        kind = bio.types[tags]
        inside = (tags > 0) & (tags % 2 == 0)
        goes_on = np.zeros_like(inside)
        goes_on[:, :-1] = inside[:, 1:]
        # B I E S are numbered 1 2 3 4 within a kind.
        place = np.where(inside, np.where(goes_on, 2, 3), np.where(goes_on, 1, 4))
        return np.where(tags > 0, 4 * kind + place, 0).astype(tags.dtype)
