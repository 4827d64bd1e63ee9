"""Which time stamps are an even step, against dates written out."""

from __future__ import annotations

import numpy as np
import pytest

from seqlab.data.calendar import CALENDARS, find_clock

CALENDAR_DATES = {
    "month ends": (["2024-01-31", "2024-02-29", "2024-03-31"], "2025-02-28"),
    "quarter ends": (["2023-12-31", "2024-03-31", "2024-06-30"], "2027-03-31"),
    "year ends": (["2019-12-31", "2020-12-31", "2021-12-31"], "2032-12-31"),
    "business days": (["2024-01-04", "2024-01-05", "2024-01-08"], "2024-01-22"),
    "last business days": (["2024-01-31", "2024-02-29", "2024-03-29"], "2025-02-28"),
    "the 15th": (["2024-01-15", "2024-02-15", "2024-03-15"], "2025-02-15"),
    "closing times": (["2024-01-04T17:30", "2024-01-05T17:30", "2024-01-08T17:30"], None),
    "hours": (["2024-01-31T22:00", "2024-01-31T23:00", "2024-02-01T00:00"], None),
}


@pytest.mark.parametrize("name", CALENDAR_DATES)
def test_calendars_are_even_steps(name):
    first, later = CALENDAR_DATES[name]
    clock = find_clock(np.array(first, dtype="datetime64"))
    assert clock is not None
    assert [clock.at(place) for place in range(3)] == first
    if later is not None:
        assert clock.at(13 if name != "business days" else 12) == later


def test_dates_in_uneven_steps_are_none():
    for dates in (
        ["2024-01-31", "2024-02-28", "2024-03-31"],  # 2024 is a leap year
        ["2024-01-05", "2024-01-06", "2024-01-08"],
        ["2024-01-31", "2024-02-29", "2024-04-30"],
        ["2024-01-31T10:00", "2024-02-29T10:00", "2024-03-31T11:00"],
    ):
        assert find_clock(np.array(dates, dtype="datetime64")) is None


@pytest.mark.parametrize("name", CALENDARS)
def test_every_day_of_fifty_years_is_on_a_calendar_or_not(name):
    """By walking through the days, with Python's own months and weekdays."""
    days = np.arange("1950-01-01", "2000-01-01", dtype="datetime64[D]")
    weekdays = [day.weekday() < 5 for day in days.tolist()]
    months = [day.month for day in days.tolist()]
    ends = [place for place in range(len(days) - 1) if months[place] != months[place + 1]]
    starts = [0, *(place + 1 for place in ends)]
    expected = {
        "month_start": starts,
        "month_end": [*ends, len(days) - 1],
        "business_day": [place for place, is_open in enumerate(weekdays) if is_open],
        "business_month_start": [
            next(place for place in range(first, first + 7) if weekdays[place]) for first in starts
        ],
        "business_month_end": [
            next(place for place in range(end, end - 7, -1) if weekdays[place])
            for end in [*ends, len(days) - 1]
        ],
    }[name]
    calendar = CALENDARS[name]
    numbers = calendar.number(days[expected])
    assert (np.diff(numbers) == 1).all()
    assert (calendar.date(numbers) == days[expected]).all()
    others = np.setdiff1d(days, days[expected])
    assert (calendar.date(calendar.number(others)) != others).all()
