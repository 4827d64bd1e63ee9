"""Reads a table of text: CSV with a header, whose every line has as many fields."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from seqlab.errors import InputError
from seqlab.files import read_text


class Line(NamedTuple):
    """A line of the file: where it ends, counted from 1, and its fields by column."""

    number: int
    fields: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """A table with a header.

    Args:
        path: the file.
        delimiter: what separates fields: one character, or "tab".
        decimal: what numbers have before their fraction.
        encoding: of the file.

    Raises:
        InputError: a delimiter that cannot be one.
    """

    path: str
    delimiter: str = ","
    decimal: Literal[".", ","] = "."
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if self.decimal not in (".", ","):
            raise InputError(f"data.decimal={self.decimal!r} must be '.' or ','")
        if len(self._sign) != 1 or self._sign in '\r\n"' + self.decimal * (self.decimal == "."):
            raise InputError(
                f"data.delimiter={self.delimiter!r} must be one character between fields, such as "
                "',' or ';', or the word tab"
            )

    @property
    def _sign(self) -> str:
        return "\t" if self.delimiter == "tab" else self.delimiter

    def read(self, wanted: Sequence[str]) -> Iterator[Line]:
        """The lines below the header.

        Args:
            wanted: the columns that are needed.

        Raises:
            InputError: no such file or column, a column named twice, a line with more or fewer
                fields than the header, or no line.
        """
        text = read_text(self.path, encoding=self.encoding, setting="data.encoding")
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=self._sign, strict=True)
        try:
            header = next((row for row in reader if row), None)
            if header is None:
                raise InputError(
                    f"{self.path} is empty and has no column {wanted[0]!r}; give it a header and "
                    "lines below it"
                )
            columns = [name.strip() for name in header]
            self._check_header(columns, wanted)
            found = False
            for row in reader:
                if not row:
                    continue  # an empty line
                if len(row) != len(columns):
                    raise InputError(
                        f"{self.path}, line {reader.line_num}, has {len(row)} fields, but the "
                        f"header names {len(columns)} columns; {self._remedy(len(row), columns)}"
                    )
                found = True
                yield Line(reader.line_num, dict(zip(columns, row, strict=True)))
        except csv.Error as error:
            raise InputError(
                f"{self.path}, line {reader.line_num}: {error}; correct its quotation marks"
            ) from error
        if not found:
            raise InputError(f"{self.path} holds no line below its header")

    def number(self, text: str) -> float:
        """A field as a number.

        Raises:
            ValueError: it is none.
        """
        if "_" in text:
            raise ValueError(text)  # Python reads 1_5 as 15
        if self.decimal == ",":
            if "." in text:
                raise ValueError(text)
            text = text.replace(",", ".")
        return float(text)

    def _check_header(self, columns: Sequence[str], wanted: Sequence[str]) -> None:
        twice = [name for name, count in Counter(columns).items() if name and count > 1]
        if twice:
            raise InputError(
                f"{self.path} names the column {twice[0]!r} twice; give each a name of its own"
            )
        for name in wanted:
            if name not in columns:
                hint = ""
                if len(columns) == 1:
                    other = next((sign for sign in ";\t|" if sign in columns[0]), None)
                    shown = "tab" if other == "\t" else f"'{other}'"
                    hint = f"; set data.delimiter={shown}" if other else ""
                raise InputError(
                    f"{self.path} has no column {name!r}; it has {', '.join(columns)}{hint}"
                )

    def _remedy(self, count: int, columns: Sequence[str]) -> str:
        if count > len(columns) and self._sign == ",":
            return (
                "put quotation marks around fields with commas; where the comma is the decimal "
                "sign, separate fields by another (data.delimiter=';' data.decimal=',')"
            )
        return f"give every line as many, separated by {self._sign!r} (data.delimiter)"
