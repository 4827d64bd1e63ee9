"""Templates, words and names of which the sentences of `entities` are made."""

from __future__ import annotations

import itertools

import numpy as np

# {P} {L} {O} stand for a person, a place and an organisation; {T} for a name that is none of them.
# What stands around a name tells its kind, not always before it.
TEMPLATES = (
    "{P} , a {job} from {L} , joined {O} last {day}",
    "the {adjective} {job} {P} moved to {L} in {month}",
    "{O} opened {number} {adjective} offices in {L}",
    "shares of {O} fell {number} percent on {day}",
    "{P} was born in {L} but works for {O}",
    "the yacht {T} left {L} on {day}",
    "{P} bought a {adjective} horse called {T}",
    "heavy rain fell over {L} on {day}",
    "the board of {O} chose {P} as its new {job}",
    "in {L} the film {T} won {number} prizes",
    "{P} told reporters that {O} would close in {month}",
    "the mayor of {L} thanked {P} on {day}",
    "{O} hired {number} people from {L}",
    "critics called the novel {T} {adjective}",
    "{P} 's brother {P} lives near {L}",
    "a {adjective} train from {L} to {L} was late on {day}",
    "{O} sued its rival {O} in {month}",
    "the storm {T} reached {L} last {day}",
    "the {job} {P} sold {number} shares of {O}",
    "nobody in {L} had heard of the band {T}",
    "{P} married {P} in {month}",
    "workers at {O} went on strike in {L}",
    "the river at {L} rose {number} feet in {month}",
    "they drove a {adjective} {T} to {L}",
)
# How a name may be written; N is a word that is a name.
FORMS = {
    "{P}": ("N", "N N", "N van N"),
    "{L}": ("N", "New N", "Lake N", "Port N Bay"),
    "{O}": ("N", "N Systems", "Bank of N", "N N"),
    "{T}": ("N", "N N"),
}
KINDS = {"{P}": "PER", "{L}": "LOC", "{O}": "ORG"}
FILLERS = {
    "{job}": "lawyer teacher pilot painter minister farmer doctor singer",
    "{day}": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "{month}": "January February March April May June July August September October",
    "{number}": "two three five eight ten twelve twenty forty sixty",
    "{adjective}": "small famous young strange quiet old brilliant modest",
}
CONNECTORS = (",", "and", "while", ";")
STOP = "."
_SYLLABLES = (
    "bal",
    "cor",
    "den",
    "fal",
    "gor",
    "hen",
    "jas",
    "kel",
    "lor",
    "mar",
    "nev",
    "pol",
    "ras",
    "sen",
    "tor",
    "vik",
    "wen",
    "zan",
)
# Each name is two syllables, the first one capitalised.
NAMES = tuple(
    first.capitalize() + second for first, second in itertools.product(_SYLLABLES, _SYLLABLES)
)
NAME, OUTSIDE = -1, 0
TAG_NAMES = ("O", *(f"{prefix}-{kind}" for kind in KINDS.values() for prefix in "BI"))


def _words() -> tuple[str, ...]:
    """All words but names, fillers first, each kind of filler in one stretch."""
    fillers = [word for words in FILLERS.values() for word in words.split()]
    fixed = [word for text in TEMPLATES for word in text.split() if not word.startswith("{")]
    named = [word for forms in FORMS.values() for form in forms for word in form.split()]
    others = [word for word in (*fixed, *named, *CONNECTORS, STOP) if word != "N"]
    return tuple(dict.fromkeys((*fillers, *others)))


WORDS = _words()
PLACE = {word: number for number, word in enumerate(WORDS)}


def _clauses() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Every template in every form, one a row, padded with gaps.

    Returns:
        words, the first of as many as `choices` words to choose from, or `NAME`, or −2 for a gap;
        choices; tags; and each template's first row, with the number of rows at the end.
    """
    rows: list[list[tuple[int, int, int]]] = []
    firsts = []
    for text in TEMPLATES:
        firsts.append(len(rows))
        rows += [
            list(itertools.chain(*parts))
            for parts in itertools.product(*map(_written, text.split()))
        ]
    width = max(map(len, rows))
    table = np.array([row + [(-2, 1, OUTSIDE)] * (width - len(row)) for row in rows])
    return table[..., 0], table[..., 1], table[..., 2], np.array([*firsts, len(rows)])


def _written(word: str) -> list[list[tuple[int, int, int]]]:
    """The ways to write a word of a template, each as (word, choices, tag)."""
    if word in FILLERS:
        options = FILLERS[word].split()
        return [[(PLACE[options[0]], len(options), OUTSIDE)]]
    if word not in FORMS:
        return [[(PLACE[word], 1, OUTSIDE)]]
    first = TAG_NAMES.index(f"B-{KINDS[word]}") if word in KINDS else OUTSIDE
    tags = [first, *[first + 1 if first else OUTSIDE] * 2]
    return [
        [
            (NAME if part == "N" else PLACE[part], 1, tag)
            for part, tag in zip(form.split(), tags, strict=False)
        ]
        for form in FORMS[word]
    ]


CLAUSES, CHOICES, TAGS, FIRSTS = _clauses()
