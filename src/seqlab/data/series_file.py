"""Series of one's own, from a CSV file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from seqlab.data.calendar import Clock, place_on_grid
from seqlab.data.series import Series, SeriesStore, check_rising
from seqlab.data.series_dataset import SeriesDataset
from seqlab.data.table_file import Line, TableFile
from seqlab.errors import InputError, check_at_least

# Time stamps: numbers, and dates with or without a time of the day.
WHOLE = re.compile(r"[+-]?\d+")
ISO = re.compile(r"\d{4}-\d\d(-\d\d([T ]\d\d(:\d\d(:\d\d(\.\d{1,9})?)?)?)?)?")


@dataclass(kw_only=True)
class SeriesFile(SeriesDataset):
    """Series in a CSV file with a header and one line for each series and time.

    Example: with `series_column=shop`, `time_column=day`, `targets=[sales]`, `known=[holiday]`

        shop,day,sales,holiday
        north,2024-01-01,12,1
        north,2024-01-02,15,0

    An empty target is a missing value. Lines with known covariates and an empty target at a
    series' end tell the covariates of its future. Every line has as many fields as the header.

    Args:
        path: the file.
        targets: columns to forecast together.
        time_column: whole numbers or ISO dates in even steps: of time, of months (the same day, or
            the first, last, first or last business day), or business days; none numbers the lines.
        series_column: names of the series; none where there is one.
        past: columns of covariates known up to the present.
        known: columns of covariates known for the future too.
        static: columns that never change within a series.
        missing: "mask" leaves missing values out; "error" refuses them.
        frequency: the step of the time stamps, such as 1, hour, "15 minute" or business_day; times
            that the file leaves out are filled in with missing values. None: none are left out.
        delimiter: what separates fields: one character, or "tab".
        decimal: what numbers have before their fraction: "." or ",".
        encoding: of the file, such as utf-8 or latin-1.
        period: steps of a season; 1 for none.
        headline: the headline metric.

    Raises:
        InputError: no such file or column, a line with more or fewer fields than the header, text
            where a number belongs, or times off the frequency; see also `SeriesStore`.
    """

    path: str
    targets: Sequence[str]
    time_column: str | None = None
    series_column: str | None = None
    past: Sequence[str] = ()
    known: Sequence[str] = ()
    static: Sequence[str] = ()
    missing: Literal["error", "mask"] = "error"
    frequency: str | int | None = None
    delimiter: str = ","
    decimal: Literal[".", ","] = "."
    encoding: str = "utf-8"
    period: int = 1
    headline: Literal["mse", "mae", "mase"] = "mase"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("data.period", self.period)
        for name in ("targets", "past", "known", "static"):
            if isinstance(columns := getattr(self, name), str):
                raise InputError(
                    f"data.{name}={columns} must be a list; use data.{name}=[{columns}]"
                )
            if twice := [column for column, n in Counter(columns).items() if n > 1]:
                raise InputError(f"data.{name} names {twice[0]!r} twice; name it once")
        if not self.targets:
            raise InputError("data.targets is empty; name at least one column to forecast")
        for name in ("known", "static"):
            for column in getattr(self, name):
                if column in self.targets:
                    raise InputError(
                        f"data.{name} and data.targets both name {column!r}, which would show the "
                        f"future that is to be forecast; leave it out of data.{name}"
                    )
        if self.headline not in ("mse", "mae", "mase"):
            raise InputError(f"data.headline={self.headline!r} must be mse, mae or mase")
        if self.frequency is not None and self.time_column is None:
            raise InputError(
                f"data.frequency={self.frequency} needs time stamps; give data.time_column"
            )
        self._table_file = TableFile(
            path=self.path,
            delimiter=self.delimiter,
            decimal=self.decimal,
            encoding=self.encoding,
        )

    @property
    def metric(self) -> Literal["mse", "mae", "mase"]:
        return self.headline

    @property
    def season(self) -> int:
        return self.period

    @property
    def best_score(self) -> None:
        return None

    def make_store(self) -> SeriesStore:
        series = [self._series(name, lines) for name, lines in self._read().items()]
        return SeriesStore.from_series(series, missing=self.missing)

    def _read(self) -> dict[str, list[Line]]:
        """The lines of each series."""
        wanted = [*self.targets, *self.past, *self.known, *self.static]
        wanted += [name for name in (self.time_column, self.series_column) if name is not None]
        found: dict[str, list[Line]] = {}
        for line in self._table_file.read(wanted):
            name = line.fields[self.series_column] if self.series_column else Path(self.path).stem
            found.setdefault(name, []).append(line)
        return found

    def _series(self, name: str, lines: list[Line]) -> Series:
        values = self._table(lines, self.targets, gaps=True)
        # Without known covariates, empty targets at the end are missing values like any other.
        length = len(values)
        while self.known and length and np.isnan(values[length - 1]).all():
            length -= 1
        if not length:
            raise InputError(f"series {name!r} in {self.path} has no value to forecast from")
        values, past = values[:length], self._table(lines[:length], self.past)
        known = self._table(lines, self.known)
        times, clock = self._times(name, lines) if self.time_column else None, None
        if times is not None and self.frequency is not None:
            check_rising(name, times)
            clock, rows = self._place(name, times)
            values, past = (_spread(table, rows[:length]) for table in (values, past))
            known = _spread(known, rows)
            self._check_covariates(name, clock, past, known)
        return Series(
            values=values,
            name=name,
            times=None if times is None else times[:length],
            clock=clock,
            past=past if self.past else None,
            known=known if self.known else None,
            static=self._static(name, lines) if self.static else None,
        )

    def _place(self, name: str, times: np.ndarray) -> tuple[Clock, np.ndarray]:
        assert self.frequency is not None  # the caller asks
        try:
            return place_on_grid(times, self.frequency)
        except InputError as error:
            raise InputError(f"{self.path}, series {name!r}: {error}") from error

    def _check_covariates(
        self, name: str, clock: Clock, past: np.ndarray, known: np.ndarray
    ) -> None:
        """Values can be filled in as missing; covariates cannot."""
        for what, table in (("past", past), ("known", known)):
            missing = np.isnan(table).any(axis=1)
            if missing.any():
                raise InputError(
                    f"{self.path}, series {name!r}: there is no line for "
                    f"{clock.at(int(missing.argmax()))}, where data.{what} needs values; add lines "
                    "with the covariates at every time"
                )

    def _table(self, lines: list[Line], columns: Sequence[str], gaps: bool = False) -> np.ndarray:
        table = np.empty((len(lines), len(columns)))
        for row, line in enumerate(lines):
            for column, name in enumerate(columns):
                text = line.fields[name].strip()
                try:
                    table[row, column] = (
                        np.nan if gaps and not text else self._table_file.number(text)
                    )
                except ValueError:
                    remedy = "; leave the field of a missing value empty"
                    if not gaps:
                        remedy = "; a covariate needs a value at every time: fill it in"
                    if self.decimal == "." and re.fullmatch(r"[+-]?\d+,\d+", text):
                        remedy = "; set data.decimal=',' where a comma is the decimal sign"
                    raise InputError(
                        f"{self.path}, line {line.number}{self._which(line)}, column {name!r}: "
                        f"{text!r} is no number{remedy}"
                    ) from None
        return table

    def _which(self, line: Line) -> str:
        """The series and the time of a line."""
        columns = (self.series_column, self.time_column)
        told = [line.fields[column] for column in columns if column is not None]
        return f" ({', '.join(told)})" if told else ""

    def _static(self, name: str, lines: list[Line]) -> np.ndarray:
        table = self._table(lines, self.static)
        if (table != table[0]).any():
            raise InputError(
                f"a static covariate of series {name!r} in {self.path} changes; make it one of "
                "data.past or data.known"
            )
        return table[0]

    def _times(self, name: str, lines: list[Line]) -> np.ndarray:
        texts = [line.fields[str(self.time_column)].strip() for line in lines]
        for pattern, dtype in ((WHOLE, "int64"), (ISO, "datetime64")):
            if all(map(pattern.fullmatch, texts)):
                with suppress(ValueError, OverflowError):  # no such date, or number
                    return np.array(texts, dtype=dtype)
        # The first that is neither, or no number where the first one is.
        pattern = WHOLE if WHOLE.fullmatch(texts[0]) else ISO
        line, text = next(
            (
                (line, text)
                for line, text in zip(lines, texts, strict=True)
                if not pattern.fullmatch(text) or not _is_time(text)
            ),
            (lines[0], texts[0]),
        )
        raise InputError(
            f"{self.path}, line {line.number}, series {name!r}, column {self.time_column!r}: "
            f"{text!r} is no time stamp; give whole numbers, or ISO dates such as 2024-01-31 or "
            "2024-01-31T12:00 without a time zone"
        )


def _is_time(text: str) -> bool:
    try:
        np.array(text, dtype="int64" if WHOLE.fullmatch(text) else "datetime64")
    except (ValueError, OverflowError):
        return False
    return True


def _spread(table: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The table with its rows at other places, and NaN between them."""
    wide = np.full((int(rows[-1]) + 1, table.shape[1]), np.nan)
    wide[rows] = table
    return wide
