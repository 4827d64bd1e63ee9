"""Dates as people write them, to ISO 8601."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from string import ascii_letters, digits

import numpy as np

from seqlab.data.seq2seq import Seq2SeqDataset, ended, packed
from seqlab.data.synthetic import Draw, Split
from seqlab.data.vocabulary import SPECIAL
from seqlab.errors import InputError

CHARACTERS = (*digits, *ascii_letters, " ", ",", ".", "/", "-")
CODES = {character: len(SPECIAL) + place for place, character in enumerate(CHARACTERS)}

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# Fields of a form: d day, D day with two digits, o ordinal, m month, M month with two digits,
# b month in short, B month, y year, a weekday in short, A weekday. Numbers alone stand in the
# order day, month, year, or with the year first the other way round, so that none is ambiguous.
FORMS = (
    "{d} {B} {y}",
    "{B} {d}, {y}",
    "{d} {b} {y}",
    "{b} {d} {y}",
    "{b}. {d}, {y}",
    "{D}/{M}/{y}",
    "{d}.{m}.{y}",
    "{y}/{M}/{D}",
    "{D}-{b}-{y}",
    "{o} {B} {y}",
    "{o} of {b} {y}",
    "{B} the {o}, {y}",
    "{a} {d} {b} {y}",
    "{a}, {B} {d}, {y}",
    "{A}, {d} {B} {y}",
    "{A} the {o} of {B}, {y}",
)
ISO = "{y}-{M}-{D}"
# Which target characters a field decides.
DECIDES = {"y": range(4), "m": range(5, 7), "d": range(8, 10)}
KIND = {**dict.fromkeys("yY", "y"), **dict.fromkeys("mMbB", "m"), **dict.fromkeys("dDo", "d")}


@dataclass(kw_only=True)
class Dates(Seq2SeqDataset):
    """A date in one of many forms, character by character, becomes year-month-day.

    The four characters of the year come from the year, the two of the month from its number or
    its name, the two of the day from the day; the hyphens come from nowhere.

    Example: `Wednesday, 11 March 1981` becomes `1981-03-11`.

    Args:
        first_year: the earliest year.
        last_year: the latest.

    Raises:
        InputError: years that are not in order, or not of four digits.
    """

    first_year: int = 1900
    last_year: int = 2099

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1000 <= self.first_year <= self.last_year <= 9999:
            raise InputError(
                f"data.first_year={self.first_year} and data.last_year={self.last_year} must be "
                "in order, from 1000 to 9999"
            )

    @property
    def symbols(self) -> tuple[str, ...]:
        return CHARACTERS

    def longest_target(self, length: int) -> int:
        return 10

    def draw(self, rng: np.random.Generator, lengths: np.ndarray, split: Split) -> Draw:
        """The form decides the length; rows of other lengths than those asked for are dropped."""
        rows = len(lengths)
        first = np.datetime64(f"{self.first_year}-01-01")
        last = np.datetime64(f"{self.last_year}-12-31")
        dates = first + rng.integers(0, (last - first).astype(int) + 1, rows)
        fields = _fields(dates)
        forms = rng.integers(0, len(FORMS), rows)
        width = max(_width(form) for form in FORMS)
        text, kinds = np.zeros((rows, width), np.uint8), np.zeros((rows, width), np.uint8)
        for number, form in enumerate(FORMS):
            mine = np.flatnonzero(forms == number)
            written, decides = _written(form, fields, mine)
            text[mine, : written.shape[1]], kinds[mine, : decides.shape[1]] = written, decides
        inputs, kinds = packed([text, kinds], text > 0, [0, 0])
        targets, _ = _written(ISO, fields, np.arange(rows))
        alignment = np.full((rows, targets.shape[1], len("September")), -1, np.int16)
        for kind, steps in DECIDES.items():
            columns = np.broadcast_to(np.arange(inputs.shape[1], dtype=np.int16), inputs.shape)
            (places,) = packed([columns], kinds == ord(kind), [-1])
            alignment[:, steps, : places.shape[1]] = places[:, None]
        return ended(
            inputs,
            (inputs > 0).sum(axis=1),
            targets,
            np.full(rows, targets.shape[1]),
            alignment,
        )


def _fields(dates: np.ndarray) -> dict[str, np.ndarray]:
    """The row of each field's table that a date takes."""
    months = dates.astype("datetime64[M]")
    month = months.astype(int) % 12
    day = (dates - months).astype(int)
    weekday = (dates.astype(int) + 3) % 7  # 1970-01-01 was a Thursday
    year = dates.astype("datetime64[Y]").astype(int) + 1970
    return {
        **dict.fromkeys("dDo", day),
        **dict.fromkeys("mMbB", month),
        **dict.fromkeys("aA", weekday),
        "y": year,
    }


def _written(
    form: str, fields: dict[str, np.ndarray], rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Characters of a form with gaps in it, (rows, width), and which kind of field each is of."""
    pieces, kinds = [], []
    for part in form.replace("{", "|{").replace("}", "}|").split("|"):
        if part.startswith("{"):
            name = part[1]
            pieces.append(_table(name)[fields[name][rows]])
            kind = ord(KIND.get(name, " "))
        else:
            codes = np.array([CODES[c] for c in part], np.uint8)
            pieces.append(np.broadcast_to(codes, (len(rows), len(codes))))
            kind = ord(" ")
        kinds.append(np.full(pieces[-1].shape, kind, np.uint8))
    text = np.concatenate(pieces, axis=1)
    return text, np.where(text > 0, np.concatenate(kinds, axis=1), 0).astype(np.uint8)


@cache
def _table(name: str) -> np.ndarray:
    """How each value of a field is written, as rows of characters with zeros behind."""
    words = {
        "d": [str(day) for day in range(1, 32)],
        "D": [f"{day:02}" for day in range(1, 32)],
        "o": [f"{day}{_suffix(day)}" for day in range(1, 32)],
        "m": [str(month) for month in range(1, 13)],
        "M": [f"{month:02}" for month in range(1, 13)],
        "b": [month[:3] for month in MONTHS],
        "B": list(MONTHS),
        "a": [day[:3] for day in DAYS],
        "A": list(DAYS),
        "y": [f"{year:04}" for year in range(10_000)],
    }[name]
    table = np.zeros((len(words), max(map(len, words))), np.uint8)
    for row, word in enumerate(words):
        table[row, : len(word)] = [CODES[character] for character in word]
    return table


def _width(form: str) -> int:
    return sum(
        _table(part[1]).shape[1] if part.startswith("{") else len(part)
        for part in form.replace("{", "|{").replace("}", "}|").split("|")
    )


def _suffix(day: int) -> str:
    return "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
