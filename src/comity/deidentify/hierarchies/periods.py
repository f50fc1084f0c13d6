"""Hierarchies of dates over a public range: day, week, month, quarter, year, runs of years."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import date, timedelta

from comity.deidentify.hierarchies import days
from comity.deidentify.hierarchies.hierarchy import Hierarchy, Label
from comity.deidentify.hierarchies.reading import Dates
from comity.errors import UsageError

MOST_DAYS = 100_000
"""A longer range of days (273 years) is not held; it can begin at months or years."""


def dates(
    first: date | str | int,
    last: date | str | int,
    *,
    levels: Sequence[str] = ("day", "week", "month", "quarter", "year", "decade"),
    day_first: bool = True,
) -> Hierarchy:
    """Dates from `first` to `last`: one level per unit, finest first, then "*".

    Every way of writing a date that `days` reads finds its leaf, a time of day is left out;
    what lies outside the range, or cannot be read, has no row and is named by `absent`. For a year of birth
    take `levels=("year", "5 years", "decade")`: whole dates then find the leaf of their year.

    Args:
        first, last: inclusive public bounds: dates, texts of them, or years.
        levels: units in rising order: "day", "week", "month", "quarter", "year", "5 years", "decade", any
            number of years. A week (ISO 8601, Monday to Sunday) that runs into another month is cut there, if
            months, quarters or years stand above it, so that every day keeps its own month.
        day_first: 03/04/2024 is the third of April; else the fourth of March. Nothing else is guessed.

    Raises:
        UsageError: if the range is empty or too long, or the levels do not nest.
    """
    start, stop = _bound(first, day_first, last=False), _bound(last, day_first, last=True)
    if start > stop:
        raise UsageError(f"dates from {start} to {stop} are none: first lies after last")
    _check_levels(levels)
    finest = levels[0]
    if days.rank(finest) < days.rank("month") and (stop - start).days >= MOST_DAYS:
        raise UsageError(
            f"{start} to {stop} are more than {MOST_DAYS} days; begin at 'month' or narrow the range"
        )
    short = [unit for unit in levels if days.rank(unit) < days.rank("month")]
    above: dict[tuple[int, int], tuple[Label, ...]] = {}  # of each month: the same for all its days
    rows: dict[Label, tuple[Label, ...]] = {}
    day = start
    while day <= stop:
        month = (day.year, day.month)
        if month not in above:
            above[month] = (*(days.label(day, unit) for unit in levels[len(short) :]), "*")
        row = (*_labels(day, short, levels), *above[month])
        rows.setdefault(row[0], row)
        following = _next(day, finest)
        if following is None:
            break
        day = following
    return Hierarchy(tuple(rows.values()), (), Dates(finest, day_first))


def _bound(value: date | str | int, day_first: bool, *, last: bool) -> date:
    """A bound as a day; a year or month stands for its first or last day."""
    exact = days.day_of(value, day_first=day_first)
    if exact is not None:
        return exact
    found = days.first_day_of(value, "year", day_first=day_first)
    if found is None:
        raise UsageError(f"{value!r} is no date: write it as 2024-03-31")
    if not last:
        return found
    months = 12 if str(value).strip().isdigit() else 1
    year, month = divmod(found.year * 12 + found.month - 1 + months, 12)
    return date(year, month + 1, 1) - timedelta(days=1) if year <= date.max.year else date.max


def _check_levels(levels: Sequence[str]) -> None:
    if isinstance(levels, str) or not levels:
        raise UsageError(f"levels is a list of units, such as ('day', 'month', 'year'), not {levels!r}")
    for fine, coarse in itertools.pairwise(levels):
        if days.rank(coarse) <= days.rank(fine):
            raise UsageError(f"levels rise from fine to coarse; '{coarse}' stands after '{fine}'")
        few, many = days.years_in(fine), days.years_in(coarse)
        if few and many % few:
            raise UsageError(f"'{coarse}' is no whole number of '{fine}': groups would not nest")
    if levels[0] == "week" and len(levels) > 1:
        raise UsageError("weeks run across months and years: begin at 'day' to have weeks below them")
    days.rank(levels[0])


def _labels(day: date, short: Sequence[str], levels: Sequence[str]) -> tuple[str, ...]:
    """The labels of the units that are shorter than a month."""
    return tuple(
        days.week_within(day, levels[at + 1])
        if unit == "week" and at + 1 < len(levels)
        else days.label(day, unit)
        for at, unit in enumerate(short)
    )


def _next(day: date, unit: str) -> date | None:
    """A day in the next unit, or None at the end of the calendar."""
    try:
        if unit in ("day", "week"):
            return day + timedelta(days=1 if unit == "day" else 7 - day.weekday())
        months = {"month": 1, "quarter": 3}.get(unit, 12)
        if unit == "quarter":
            day = day.replace(month=(day.month - 1) // 3 * 3 + 1)
        elif months == 12:
            day = day.replace(month=1)
        year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
        return date(year, month + 1, 1)
    except (OverflowError, ValueError):
        return None
