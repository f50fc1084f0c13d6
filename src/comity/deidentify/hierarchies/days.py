"""Dates as people write them, and the week, month, quarter, year or run of years that a day belongs to.

A text is read in one way only: ISO 8601 (2024-03-31, 20240331, with or without a time), year first with
"/" or ".", day and month in the order that the caller states, and English month names. A date that could
only be read in the other order, or has a year of two digits, is not guessed at. A time of day and its zone
are left out: the day is the one that is written.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from comity.errors import UsageError

UNITS = ("day", "week", "month", "quarter", "year", "decade")
"""Finest first; "5 years" and any other number of years stand beside "year" and "decade"."""

_TIME = r"(?:[T ]\s*\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s*(?:[AaPp][Mm])?\s*(?:Z|UTC|[+-]\d{2}:?\d{2})?)?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){_TIME}")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:T\d{2,6}Z?)?")
_YEAR_LAST = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}){_TIME}")
_DAY_NAMED = re.compile(rf"(\d{{1,2}})[-\s.]\s?([A-Za-z]{{3,9}})\.?[-\s,]\s?(\d{{4}}){_TIME}")
_NAMED_DAY = re.compile(rf"([A-Za-z]{{3,9}})\.?\s(\d{{1,2}}),?\s(\d{{4}}){_TIME}")
_MONTH = re.compile(r"(\d{4})[-/.](\d{1,2})")
_MONTH_LAST = re.compile(r"(\d{1,2})[-/.](\d{4})")
_YEAR = re.compile(r"\d{4}")
_YEARS = re.compile(r"([1-9]\d{0,3}) years")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS_WHOLE = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
)  # fmt: skip


def day_of(value: object, *, day_first: bool = True) -> date | None:
    """The day that a value names, None if it names none: a date, a date with a time, or a text of one.

    Args:
        day_first: 03/04/2024 is the third of April; else the fourth of March.
    """
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = _plain(value)
    if found := _YEAR_FIRST.fullmatch(text):
        return _day(found[1], found[3], found[4])
    if found := _YEAR_LAST.fullmatch(text):
        return _day(found[4], found[3], found[1]) if day_first else _day(found[4], found[1], found[3])
    if found := _COMPACT.fullmatch(text):
        return _day(*found.groups())
    if found := _DAY_NAMED.fullmatch(text):
        return _day(found[3], _month(found[2]), found[1])
    if found := _NAMED_DAY.fullmatch(text):
        return _day(found[3], _month(found[1]), found[2])
    return None


def first_day_of(value: object, unit: str, *, day_first: bool = True) -> date | None:
    """The day that a value names, or the first one of the month or year it names where `unit` is as coarse.

    2024-03 and 03/2024 name a month, 2024 (text or number) a year; with units of days they name no day.
    """
    found = day_of(value, day_first=day_first)
    if found is not None or unit in ("day", "week"):
        return found
    text = _plain(value)
    if (years_in(unit) or unit == "year") and _YEAR.fullmatch(text):
        return _day(text, 1, 1)
    if month := _MONTH.fullmatch(text):
        return _day(month[1], month[2], 1)
    if month := _MONTH_LAST.fullmatch(text):
        return _day(month[2], month[1], 1)
    return None


def _plain(value: object) -> str:
    """Numbers such as 20240331.0 as the text 20240331."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _day(year: str | int, month: str | int, day: str | int) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _month(word: str) -> int:
    """1 to 12 for an English month name or its first three letters; 0 for anything else."""
    word = word.lower()
    if word in _MONTHS_WHOLE:
        return _MONTHS_WHOLE.index(word) + 1
    if word in _MONTHS:
        return _MONTHS.index(word) + 1
    return 9 if word == "sept" else 0


def years_in(unit: str) -> int:
    """How many years a unit holds: 10 for "decade", 5 for "5 years"; 0 for units of a year or less."""
    if unit == "decade":
        return 10
    found = _YEARS.fullmatch(unit)
    return int(found[1]) if found and int(found[1]) > 1 else 0


def rank(unit: str) -> int:
    """A number that is higher for a coarser unit.

    Raises:
        UsageError: if there is no such unit.
    """
    if years := years_in(unit):
        return len(UNITS) + years
    if unit not in UNITS:
        raise UsageError(
            f"{unit!r} is no unit of dates; there are {', '.join(UNITS)}, and several years as '5 years'"
        )
    return UNITS.index(unit)


def label(day: date, unit: str) -> str:
    """The word for the unit that a day is in: 2024-03-31, 2024-W13, 2024-03, 2024-Q1, 2024, 2020-2029."""
    if years := years_in(unit):
        start = day.year // years * years
        return f"{max(start, 1):04d}-{start + years - 1:04d}"
    if unit == "year":
        return f"{day.year:04d}"
    if unit == "quarter":
        return f"{day.year:04d}-Q{(day.month + 2) // 3}"
    if unit == "month":
        return f"{day.year:04d}-{day.month:02d}"
    if unit == "week":
        year, week, _ = day.isocalendar()
        return f"{year:04d}-W{week:02d}"
    return day.isoformat()


def week_within(day: date, unit: str) -> str:
    """The word for a week cut where the next month, quarter or year begins: 2024-W14 in 2024-03.

    A week that ends in another month would otherwise have two parents. A week that is whole keeps its name.
    """
    monday = day - timedelta(days=day.weekday())
    sunday = monday + timedelta(days=min(6, (date.max - monday).days))  # the calendar's last week is shorter
    whole = label(monday, unit) == label(sunday, unit)
    return label(day, "week") if whole else f"{label(day, 'week')} in {label(day, unit)}"
