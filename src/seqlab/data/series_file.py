"""Series of one's own, from a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from seqlab.data.series import Series, SeriesStore
from seqlab.data.series_dataset import SeriesDataset
from seqlab.errors import InputError, check_at_least


@dataclass(kw_only=True)
class SeriesFile(SeriesDataset):
    """Series in a CSV file with a header and one line for each series and time.

    Example: with `series_column=shop`, `time_column=day`, `targets=[sales]`, `known=[holiday]`

        shop,day,sales,holiday
        north,2024-01-01,12,1
        north,2024-01-02,15,0

    An empty target is a missing value. Lines with known covariates and an empty target at a
    series' end tell the covariates of its future.

    Args:
        path: the file.
        targets: columns to forecast together.
        time_column: whole numbers or ISO dates in equal steps; none numbers the lines.
        series_column: names of the series; none where there is one.
        past: columns of covariates known up to the present.
        known: columns of covariates known for the future too.
        static: columns that never change within a series.
        missing: "mask" leaves missing values out; "error" refuses them.
        period: steps of a season; 1 for none.
        headline: the headline metric.

    Raises:
        InputError: no such file or column, or text where a number belongs; see also `SeriesStore`.
    """

    path: str
    targets: Sequence[str]
    time_column: str | None = None
    series_column: str | None = None
    past: Sequence[str] = ()
    known: Sequence[str] = ()
    static: Sequence[str] = ()
    missing: Literal["error", "mask"] = "error"
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
        if not self.targets:
            raise InputError("data.targets is empty; name at least one column to forecast")
        if self.headline not in ("mse", "mae", "mase"):
            raise InputError(f"data.headline={self.headline!r} must be mse, mae or mase")

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

    def _read(self) -> dict[str, list[tuple[int, dict[str, str]]]]:
        """The lines of each series with their numbers."""
        path = Path(self.path)
        if not path.is_file():
            raise InputError(f"data.path={self.path}: there is no such file")
        wanted = [*self.targets, *self.past, *self.known, *self.static]
        wanted += [name for name in (self.time_column, self.series_column) if name is not None]
        found: dict[str, list[tuple[int, dict[str, str]]]] = {}
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            raise InputError(f"{self.path} is no text in UTF-8; save it as CSV in UTF-8") from None
        reader = csv.DictReader(io.StringIO(text, newline=""))
        columns = reader.fieldnames or ()
        for name in wanted:
            if name not in columns:
                raise InputError(f"{self.path} has no column {name!r}; it has {', '.join(columns)}")
        for line in reader:
            name = line[self.series_column] if self.series_column else path.stem
            found.setdefault(name, []).append((reader.line_num, line))
        if not found:
            raise InputError(f"{self.path} holds no line below its header")
        return found

    def _series(self, name: str, lines: list[tuple[int, dict[str, str]]]) -> Series:
        values = self._table(lines, self.targets, gaps=True)
        # Without known covariates, empty targets at the end are missing values like any other.
        length = len(values)
        while self.known and length and np.isnan(values[length - 1]).all():
            length -= 1
        if not length:
            raise InputError(f"series {name!r} in {self.path} has no value to forecast from")
        present = lines[:length]
        return Series(
            values=values[:length],
            name=name,
            times=self._times(name, lines)[:length] if self.time_column else None,
            past=self._table(present, self.past) if self.past else None,
            known=self._table(lines, self.known) if self.known else None,
            static=self._static(name, lines) if self.static else None,
        )

    def _table(
        self, lines: list[tuple[int, dict[str, str]]], columns: Sequence[str], gaps: bool = False
    ) -> np.ndarray:
        table = np.empty((len(lines), len(columns)))
        for row, (number, line) in enumerate(lines):
            for column, name in enumerate(columns):
                text = (line[name] or "").strip()
                try:
                    table[row, column] = float(text) if text or not gaps else np.nan
                except ValueError:
                    raise InputError(
                        f"{self.path}, line {number}{self._which(line)}, column {name!r}: "
                        f"{text!r} is no number"
                        + ("" if gaps else "; a covariate needs a value at every time: fill it in")
                    ) from None
        return table

    def _which(self, line: dict[str, str]) -> str:
        """The series and the time of a line."""
        columns = (self.series_column, self.time_column)
        told = [str(line[column]) for column in columns if column is not None]
        return f" ({', '.join(told)})" if told else ""

    def _static(self, name: str, lines: list[tuple[int, dict[str, str]]]) -> np.ndarray:
        table = self._table(lines, self.static)
        if (table != table[0]).any():
            raise InputError(
                f"a static covariate of series {name!r} in {self.path} changes; make it one of "
                "data.past or data.known"
            )
        return table[0]

    def _times(self, name: str, lines: list[tuple[int, dict[str, str]]]) -> np.ndarray:
        texts = [line[str(self.time_column)].strip() for _, line in lines]
        try:
            return np.array([int(text) for text in texts])
        except ValueError:
            pass
        try:
            return np.array(texts, dtype="datetime64")
        except ValueError:
            raise InputError(
                f"{self.path}, series {name!r}, column {self.time_column!r}: time stamps must be "
                "whole numbers or ISO dates such as 2024-01-31 or 2024-01-31T12:00"
            ) from None
