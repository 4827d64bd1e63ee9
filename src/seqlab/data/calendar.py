"""Time stamps in even steps: of numbers, of time, and of calendars such as month ends."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqlab.errors import InputError

DAY, MONTH = "datetime64[D]", "datetime64[M]"
# Before all dates of anybody's data, so that business days are counted from 0 up; a Monday.
EPOCH = np.datetime64("1600-01-03")


@dataclass(frozen=True)
class Calendar:
    """Dates that are an even step although they are not equally many days apart.

    Attributes:
        number: (time,) dates → (time,) whole numbers that rise by 1 from date to date.
        date: (time,) numbers → (time,) dates; the inverse, on the calendar's dates.
    """

    number: Callable[[np.ndarray], np.ndarray]
    date: Callable[[np.ndarray], np.ndarray]

    def holds(self, dates: np.ndarray) -> bool:
        """Whether all dates are the calendar's."""
        return bool((self.date(self.number(dates)) == dates).all())


def _months(dates: np.ndarray) -> np.ndarray:
    return dates.astype(MONTH).astype(np.int64)


def _month_starts(months: np.ndarray) -> np.ndarray:
    return np.asarray(months).astype(MONTH).astype(DAY)


def month_days(day: int) -> Calendar:
    """The same day, from 1 on, of each month."""
    return Calendar(_months, lambda months: _month_starts(months) + (day - 1))


def _business_month(offset: int) -> Calendar:
    """The first (0) or last (−1) business day of each month."""
    after = -offset
    return Calendar(
        _months,
        lambda months: np.busday_offset(_month_starts(months + after), offset, roll="forward"),
    )


# Business days are those from Monday to Friday; quarters and years are 3 and 12 months.
CALENDARS = {
    "month_start": month_days(1),
    "month_end": Calendar(_months, lambda months: _month_starts(months + 1) - 1),
    "business_month_start": _business_month(0),
    "business_month_end": _business_month(-1),
    "business_day": Calendar(
        lambda dates: np.busday_count(EPOCH, dates),
        lambda days: np.busday_offset(EPOCH, days, roll="forward"),
    ),
}
UNITS = {"second": "s", "minute": "m", "hour": "h", "day": "D", "week": "W"}


@dataclass(frozen=True)
class Clock:
    """The time stamps of a series: first + position · step.

    Attributes:
        first: the first stamp; of a calendar its number.
        step: from one to the next.
        calendar: what turns numbers into dates; None where stamps add up as they are.
        rest: the time of the day, which is added to a calendar's dates.
    """

    first: Any = 0
    step: Any = 1
    calendar: Calendar | None = None
    rest: np.timedelta64 | None = None

    def at(self, position: int) -> str:
        """The stamp of a position, to print."""
        stamp = self.first + position * self.step
        if self.calendar is not None:
            stamp = self.calendar.date(np.asarray(stamp))
        return str(stamp + self.rest if self.rest else stamp)


def find_clock(times: np.ndarray) -> Clock | None:
    """The clock that shows all stamps; None where they are no even step.

    Args:
        times: (time,) whole numbers or NumPy dates, rising, at least one.
    """
    if len(times) == 1:
        return Clock(times[0], (times[0] - times[0]) + 1)
    steps = np.diff(times)
    monthly = [name for name in CALENDARS if name != "business_day"]
    # Of a few dates, such as 1 July, 1 August and 1 September, months are the likelier step.
    if _has_days(times) and len(times) > 2:
        day = int((times[0].astype(DAY) - times[0].astype(MONTH).astype(DAY)).astype(int)) + 1
        for calendar in (month_days(day), *(CALENDARS[name] for name in monthly)):
            if (clock := _on_calendar(times, calendar)) is not None:
                # The first of a month is printed as the month.
                whole = day == 1 and not clock.rest
                return find_clock(times.astype(MONTH)) if whole else clock
    if (steps == steps[0]).all():
        return Clock(times[0], steps[0])
    return _on_calendar(times, CALENDARS["business_day"]) if _has_days(times) else None


def _on_calendar(times: np.ndarray, calendar: Calendar) -> Clock | None:
    """The clock of a calendar that shows all stamps; None where it does not."""
    dates = times.astype(DAY)
    rests = times - dates
    numbers = calendar.number(dates)
    steps = np.diff(numbers)
    if not calendar.holds(dates) or len(set(rests.tolist())) > 1 or (steps != steps[0]).any():
        return None
    return Clock(numbers[0], steps[0], calendar, rests[0]) if steps[0] > 0 else None


def _has_days(times: np.ndarray) -> bool:
    """Whether stamps are dates, and as fine as days."""
    return times.dtype.kind == "M" and np.datetime_data(times.dtype)[0] not in ("Y", "M")


def place_on_grid(times: np.ndarray, frequency: str | int) -> tuple[Clock, np.ndarray]:
    """The clock of a given frequency, and the position of each stamp on it.

    Args:
        times: (time,) whole numbers or NumPy dates, rising.
        frequency: a whole number, or a unit of `UNITS` or `CALENDARS`, such as `hour`,
            `15 minute`, `business_day`, `3 month_end`.

    Raises:
        InputError: no such frequency, or a stamp that is not on it.
    """
    found = re.fullmatch(r"(\d*) ?([a-z_]*)", str(frequency))
    count, unit = (found[1], found[2]) if found else ("", "")
    known = not unit or unit in UNITS or unit in CALENDARS
    if not found or not known or count == "0" or not (count or unit):
        raise InputError(
            f"data.frequency={frequency} must be a whole number, or one of "
            f"{', '.join((*UNITS, *CALENDARS))}, with a number before it for several, such as "
            "'15 minute'"
        )
    if (times.dtype.kind == "M") != bool(unit) or (unit and not _has_days(times)):
        need = "dates such as 2024-01-31" if unit else "whole numbers"
        raise InputError(f"data.frequency={frequency} needs {need} as time stamps, not {times[0]}")
    step = int(count or 1)
    if unit in CALENDARS:
        calendar, dates = CALENDARS[unit], times.astype(DAY)
        numbers = calendar.number(dates)
        rests = times - dates
        wrong = (calendar.date(numbers) != dates) | (rests != rests[0])
        distance, clock = numbers - numbers[0], Clock(numbers[0], step, calendar, rests[0])
    else:
        delta = np.timedelta64(step, UNITS[unit]) if unit else step  # type: ignore[call-overload]
        distance, wrong = times - times[0], np.zeros(len(times), bool)
        clock, step = Clock(times[0], delta), delta
    wrong |= distance % step != distance[:1] - distance[:1]
    if wrong.any():
        raise InputError(
            f"the time stamp {times[int(wrong.argmax())]} is not on the frequency of "
            f"data.frequency={frequency}, counted from {times[0]}; correct it, or choose another"
        )
    return clock, (distance // step).astype(np.int64)
