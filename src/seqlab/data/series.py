"""Many time series in one store: values, covariates and time stamps, checked once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from seqlab.data.calendar import Clock, find_clock
from seqlab.data.spec import Observation
from seqlab.errors import InputError

# Values within it, and differences above its inverse, have squares and sums of squares in float64.
LARGEST = 1e100


@dataclass(kw_only=True)
class Series:
    """One series as a user has it.

    Attributes:
        values: (time,) or (time, channel), NaN where missing.
        name: what errors, tables and plots call it.
        times: (time,) whole numbers or NumPy dates in even steps; 0, 1, 2, … if None.
        clock: what shows the time stamps, where that is known already.
        past: (time, covariate) covariates known up to the present.
        known: (time or more, covariate) covariates known for the future too.
        static: (covariate,) what never changes about the series.
    """

    values: np.ndarray
    name: str = "series"
    times: np.ndarray | None = None
    clock: Clock | None = None
    past: np.ndarray | None = None
    known: np.ndarray | None = None
    static: np.ndarray | None = None


@dataclass(kw_only=True)
class SeriesStore:
    """All series end to end in one tensor; windows are ranges of its rows.

    Series i holds rows `starts[i]` to `starts[i + 1]` of `values` and `past`, and rows
    `known_starts[i]` to `known_starts[i + 1]` of `known`, which may reach into the future.

    Attributes:
        values: (row, channel), NaN where missing; a user's in float64, so that differences of
            large values are kept.
        starts: (series + 1,) each series' first row.
        names: each series' name.
        clocks: (series,) the time stamps of each series.
        past: (row, covariate) or None.
        known: (known row, covariate) or None.
        known_starts: (series + 1,) each series' first row of `known`.
        static: (series, covariate) or None.
        seasonal_values: by period, what `windows.seasonal_values` has computed; shared by all
            splits.
    """

    values: Tensor
    starts: Tensor
    names: tuple[str, ...]
    clocks: Sequence[Clock]
    past: Tensor | None = None
    known: Tensor | None = None
    known_starts: Tensor | None = None
    static: Tensor | None = None
    seasonal_values: dict[int, Tensor] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def lengths(self) -> Tensor:
        """(series,) how many values each series has."""
        return self.starts.diff()

    def time(self, series: int, position: int) -> str:
        """The time stamp of a series' value, to print."""
        return self.clocks[series].at(position)

    def observation(self, row: int, channel: int) -> Observation:
        """A value of `values` with its series and time."""
        series = int(torch.searchsorted(self.starts, row, right=True)) - 1
        time = self.time(series, row - int(self.starts[series]))
        return Observation(self.names[series], time, float(self.values[row, channel]))

    def head(self, lengths: Tensor) -> SeriesStore:
        """The first `lengths[i]` values of each series i, as if the rest had not happened yet.

        Known covariates stay: they are known.
        """
        rows = torch.cat(
            [
                torch.arange(first, first + count)
                for first, count in zip(self.starts[:-1].tolist(), lengths.tolist(), strict=True)
            ]
        )
        return SeriesStore(
            values=self.values[rows],
            starts=_starts(lengths),
            names=self.names,
            clocks=self.clocks,
            past=None if self.past is None else self.past[rows],
            known=self.known,
            known_starts=self.known_starts,
            static=self.static,
        )

    @classmethod
    def from_array(
        cls,
        values: np.ndarray,
        *,
        past: np.ndarray | None = None,
        known: np.ndarray | None = None,
        static: np.ndarray | None = None,
        names: Sequence[str] | None = None,
    ) -> SeriesStore:
        """Takes series of equal length, made by a generator, without a copy.

        Args:
            values: (series, time, channel), float32 or float64.
            past: (series, time, covariate).
            known: (series, time or more, covariate).
            static: (series, covariate).
            names: a name for each series; its number if None.
        """
        count, time, channels = values.shape
        return cls(
            values=torch.from_numpy(values).view(count * time, channels),
            starts=torch.arange(count + 1) * time,
            names=tuple(names) if names else tuple(str(number) for number in range(count)),
            clocks=[Clock()] * count,
            past=None if past is None else torch.from_numpy(past).flatten(0, 1),
            known=None if known is None else torch.from_numpy(known).flatten(0, 1),
            known_starts=None if known is None else torch.arange(count + 1) * known.shape[1],
            static=None if static is None else torch.from_numpy(static),
        )

    @classmethod
    def from_series(
        cls, series: Sequence[Series], *, missing: Literal["error", "mask"] = "error"
    ) -> SeriesStore:
        """Checks a user's series and puts them end to end.

        Args:
            series: the series, all with the same channels and covariates.
            missing: "mask" lets values be NaN: they are then left out of normaliser, loss and
                metrics, and marked as missing in the network's input. "error" refuses them.

        Raises:
            InputError: no series, missing values that are not to be masked, missing covariates,
                irregular or duplicate time stamps, or series that do not fit together.
        """
        if missing not in ("error", "mask"):
            raise InputError(f"missing={missing!r} must be error or mask")
        if not series:
            raise InputError("there is no series; give at least one")
        values = [_columns(one.values, one.name, "values") for one in series]
        clocks = [_clock(one, len(value)) for one, value in zip(series, values, strict=True)]
        for one, value, clock in zip(series, values, clocks, strict=True):
            _check_values(one.name, value, missing, clock)
        past = [_covariates(one, "past", len(v)) for one, v in zip(series, values, strict=True)]
        known = [_covariates(one, "known", len(v)) for one, v in zip(series, values, strict=True)]
        static = [
            None if one.static is None else _columns(one.static, one.name, "static").T
            for one in series
        ]
        has_known = known[0] is not None
        return cls(
            values=_joined(values, series, "values"),  # type: ignore[arg-type]
            starts=_starts(torch.tensor([len(value) for value in values])),
            names=tuple(one.name for one in series),
            clocks=clocks,
            past=_joined(past, series, "past"),
            known=_joined(known, series, "known"),
            known_starts=_starts(torch.tensor([len(k) for k in known if k is not None]))
            if has_known
            else None,
            static=_joined(static, series, "static"),
        )


def _starts(lengths: Tensor) -> Tensor:
    return torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])


def _columns(array: np.ndarray, name: str, what: str) -> np.ndarray:
    array = np.asarray(array)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.number):
        raise InputError(
            f"{what} of series {name!r} have shape {array.shape} and type {array.dtype}; expected "
            "numbers of shape (time,) or (time, feature)"
        )
    return array.astype(np.float64, copy=False)


def _clock(one: Series, length: int) -> Clock:
    """The time stamps of a series, which must be in even steps."""
    if one.clock is not None:
        return one.clock
    if one.times is None:
        return Clock()
    times = np.asarray(one.times)
    if len(times) != length:
        raise InputError(
            f"series {one.name!r} has {length} values but {len(times)} time stamps; give one each"
        )
    check_rising(one.name, times)
    clock = find_clock(times)
    if clock is None:
        steps = np.diff(times)
        usual = np.sort(steps)[len(steps) // 2]
        place = int(np.flatnonzero(steps != usual)[0])
        raise InputError(
            f"series {one.name!r} is irregular: {times[place]} is followed by {times[place + 1]}, "
            f"but the usual step is {usual}; insert the times left out without a value (NaN, or "
            "nothing in a file), or give data.frequency, such as day or business_day, to have them "
            "inserted, and set data.missing=mask"
        )
    return clock


def check_rising(name: str, times: np.ndarray) -> None:
    """Raises InputError unless each time stamp of a series is after the one before."""
    falling = np.flatnonzero(times[1:] <= times[:-1])
    if len(falling):
        first, second = times[falling[0]], times[falling[0] + 1]
        wrong = "occurs twice" if first == second else f"stands before {second}"
        raise InputError(
            f"in series {name!r} the time stamp {first} {wrong}; sort the series by time and keep "
            "one value a time stamp"
        )


def _check_values(name: str, values: np.ndarray, missing: str, clock: Clock) -> None:
    finite = np.isfinite(values)
    if np.isinf(values).any() or (missing == "error" and not finite.all()):
        place = int(np.flatnonzero(~finite.all(axis=1))[0])
        raise InputError(
            f"series {name!r} has no finite value at {clock.at(place)}; fill it in, or set "
            "data.missing=mask (and NaN for infinite values)"
        )
    if not finite.any(axis=0).all():
        raise InputError(f"series {name!r} has no value at all in some channel; leave it out")
    _check_range(f"series {name!r}", values)


def _check_range(what: str, values: np.ndarray) -> None:
    """Checks that squares of the values and of their differences are numbers other than 0."""
    low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    with np.errstate(over="ignore"):
        spread = high - low
    if (np.maximum(high, -low) > LARGEST).any() or ((spread > 0) & (spread < 1 / LARGEST)).any():
        raise InputError(
            f"{what}: values from {low.min():g} to {high.max():g} are too large or too narrow to "
            f"compute with; rescale them to lie within ±{LARGEST:g} and to vary by "
            f"{1 / LARGEST:g} or more"
        )


def _covariates(one: Series, what: Literal["past", "known"], length: int) -> np.ndarray | None:
    array = getattr(one, what)
    if array is None:
        return None
    array = _columns(array, one.name, f"{what} covariates")
    if len(array) < length or (what == "past" and len(array) != length):
        raise InputError(
            f"series {one.name!r} has {length} values but {len(array)} rows of {what} covariates; "
            "give one for each value" + (", and more for the future" if what == "known" else "")
        )
    if not np.isfinite(array).all():
        place = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise InputError(
            f"{what} covariates of series {one.name!r} have no finite value at position {place}; "
            "fill it in: covariates cannot be missing"
        )
    if array.size:
        _check_range(f"{what} covariates of series {one.name!r}", array)
    return array


def _joined(
    arrays: Sequence[np.ndarray | None], series: Sequence[Series], what: str
) -> Tensor | None:
    """Joins all series' arrays end to end, if all have them and of one width."""
    widths = [None if array is None else array.shape[1] for array in arrays]
    if len(set(widths)) > 1:
        other = next(number for number, width in enumerate(widths) if width != widths[0])
        raise InputError(
            f"{what} of series {series[0].name!r} and {series[other].name!r} have "
            f"{widths[0] or 'no'} and {widths[other] or 'no'} columns; all series need the same"
        )
    present = [array for array in arrays if array is not None]
    return torch.from_numpy(np.concatenate(present)) if present else None
