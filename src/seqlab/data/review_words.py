"""The words that reviews are written with, and tables of their numbers to draw from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np


@dataclass(frozen=True)
class Topic:
    """What a review may be about.

    Attributes:
        subjects: parts of the thing that a verdict is about.
        kept_out: the same, kept out of training.
        praise: adjectives in favour that go with all subjects.
        blame: adjectives against, as many.
        remarks: what tells nothing for or against, to be followed by a time.
    """

    subjects: tuple[str, ...]
    kept_out: tuple[str, ...]
    praise: tuple[str, ...]
    blame: tuple[str, ...]
    remarks: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


TOPICS = (
    Topic(
        subjects=_words("plot acting script music dialogue ending"),
        kept_out=_words("casting lighting"),
        praise=_words("gripping moving clever original"),
        blame=_words("dull tedious clumsy predictable"),
        remarks=(
            "we saw this film",
            "i watched it with my brother",
            "my sister took me to the cinema",
            "they showed it at our school",
        ),
    ),
    Topic(
        subjects=_words("food service wine soup dessert menu"),
        kept_out=_words("bread coffee"),
        praise=_words("delightful generous special memorable"),
        blame=_words("mediocre tired careless uninspired"),
        remarks=(
            "we had dinner here",
            "i came here with my parents",
            "four of us sat at the window",
            "we booked a table for two",
        ),
    ),
    Topic(
        subjects=_words("room staff breakfast pool location view"),
        kept_out=_words("lobby garden"),
        praise=_words("charming inviting splendid superior"),
        blame=_words("dreary shabby unpleasant gloomy"),
        remarks=(
            "we stayed here",
            "i spent three nights at this hotel",
            "my office booked it for me",
            "we arrived by train with two children",
        ),
    ),
    Topic(
        subjects=_words("screen battery camera sound keyboard design"),
        kept_out=_words("charger microphone"),
        praise=_words("reliable impressive solid flawless"),
        blame=_words("flimsy unreliable faulty outdated"),
        remarks=(
            "i bought this phone",
            "it came by post",
            "my father gave it to me",
            "i have used it at work",
        ),
    ),
)

PRAISE = _words("good great excellent wonderful lovely superb pleasing brilliant")
BLAME = _words("bad terrible awful poor dreadful horrible weak disappointing")
KEPT_OUT_PRAISE = _words("marvellous terrific fabulous")
KEPT_OUT_BLAME = _words("appalling atrocious lousy")
TIMES = (
    "on friday .",
    "on monday .",
    "last week .",
    "last summer .",
    "in may .",
    "in the evening .",
    "two weeks ago .",
    "for the first time .",
)
# What stands before an adjective, as it is meant or negated.
AFFIRMATIONS = ("", "", "really", "very", "truly", "quite")
NEGATIONS = ("not", "not really", "not very", "hardly", "far from", "by no means")
CONCESSIONS = ("although", "though", "while", "even though")
# Ways to join two clauses, or two adjectives, into a verdict, and the words between the two.
BUT, ALTHOUGH_FIRST, ALTHOUGH_SECOND, AND, NOT_BUT = range(5)
JOINTS = ("but", ",", ", although", "and", "but")
# Without these words no reader can tell what a verdict says.
GRAMMAR = frozenset(" ".join([*JOINTS, *CONCESSIONS, *NEGATIONS]).split())

REMARKS = [[" ".join(pair) for pair in product(topic.remarks, TIMES)] for topic in TOPICS]
KNOWN_ADJECTIVES = [[BLAME + topic.blame, PRAISE + topic.praise] for topic in TOPICS]
# All words, numbered from 1 on.
LEXICON = (
    "",
    *sorted(
        {"the", "was", "is", ".", *GRAMMAR, *KEPT_OUT_BLAME, *KEPT_OUT_PRAISE}
        | {word for phrase in AFFIRMATIONS for word in phrase.split()}
        | {word for texts in REMARKS for text in texts for word in text.split()}
        | {word for shades in KNOWN_ADJECTIVES for shade in shades for word in shade}
        | {word for topic in TOPICS for word in topic.subjects + topic.kept_out}
    ),
)
NUMBERS = {word: number for number, word in enumerate(LEXICON)}


def numbered(phrases: Sequence[str], width: int = 1) -> np.ndarray:
    """The numbers of the phrases' words, (phrases, width), behind them 0."""
    table = np.zeros((len(phrases), width), np.uint8)
    for row, phrase in zip(table, phrases, strict=True):
        numbers = [NUMBERS[word] for word in phrase.split()]
        row[: len(numbers)] = numbers
    return table


VERB_TABLE = numbered(("was", "is"))
AFFIRMATION_TABLE, NEGATION_TABLE = numbered(AFFIRMATIONS, 3), numbered(NEGATIONS, 3)
CONCESSION_TABLE, JOINT_TABLE = numbered(CONCESSIONS, 2), numbered(JOINTS, 2)
# (topics, remarks, time)
REMARK_TABLE = np.stack([numbered(texts, 12) for texts in REMARKS])
# (topics, subjects)
SUBJECT_TABLE = np.stack([numbered(topic.subjects)[:, 0] for topic in TOPICS])
KEPT_OUT_SUBJECT_TABLE = np.stack([numbered(topic.kept_out)[:, 0] for topic in TOPICS])
# (topics, blame or praise, adjectives)
ADJECTIVE_TABLE = np.stack(
    [[numbered(shade)[:, 0] for shade in shades] for shades in KNOWN_ADJECTIVES]
)
KEPT_OUT_ADJECTIVE_TABLE = np.stack(
    [numbered(shade)[:, 0] for shade in (KEPT_OUT_BLAME, KEPT_OUT_PRAISE)]
)
