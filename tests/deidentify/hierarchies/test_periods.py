from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone

import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.crypto.canonical import canonical_bytes
from comity.deidentify import Hierarchy, KAnonymity, anonymize
from comity.deidentify.hierarchies.builders import dates
from comity.deidentify.hierarchies.days import day_of
from comity.errors import UsageError

UNITS = ["day", "week", "month", "quarter", "year", "5 years", "decade", "20 years"]
FIRST, LAST = date(1999, 2, 3), date(2004, 11, 30)
WHOLE = dates(FIRST, LAST, levels=UNITS)


def covers(label, day):
    """Whether a label covers a day, read off the label alone."""
    if label == "*":
        return True
    if " in " in label:
        week, _, rest = label.partition(" in ")
        return covers(week, day) and covers(rest, day)
    if "-W" in label:
        year, week = label.split("-W")
        return tuple(day.isocalendar())[:2] == (int(year), int(week))
    if "-Q" in label:
        year, quarter = label.split("-Q")
        return (day.year, (day.month + 2) // 3) == (int(year), int(quarter))
    parts = [int(part) for part in label.split("-")]
    if len(parts) == 3:
        return day == date(*parts)
    if len(parts) == 1:
        return day.year == parts[0]
    return parts[0] <= day.year <= parts[1] if parts[1] > 12 else (day.year, day.month) == tuple(parts)


@given(st.dates(FIRST, LAST))
def test_every_day_in_the_range_has_a_leaf_whose_labels_hold_it(day):
    for level in range(WHOLE.levels):
        (label,) = WHOLE.generalise([day], level)
        assert covers(label, day)
        assert {label} == set(
            WHOLE.generalise(
                [
                    day.isoformat(),
                    f"{day:%d/%m/%Y}",
                    f"{day:%d.%m.%Y} 12:30",
                    datetime(day.year, day.month, day.day, 9),
                ],
                level,
            )
        )


@given(
    st.dates(date(1, 1, 1), date(9999, 12, 31)),
    st.integers(0, 900),
    st.lists(st.sampled_from(UNITS), min_size=1, max_size=5, unique=True).map(
        lambda units: sorted(units, key=UNITS.index)
    ),
)
def test_any_range_and_levels_make_a_tree(first, span, units):
    if units[0] == "week" and len(units) > 1:
        units = ["day", *units]
    last = first + timedelta(days=min(span, (date.max - first).days))
    tree = dates(first, last, levels=units)
    assert tree.levels == len(units) + 1
    assert tree.absent([first, last]) == []
    assert Hierarchy.from_dict(json.loads(canonical_bytes(tree.to_dict()))) == tree
    if units[0] == "day":
        assert len(tree.rows) == (last - first).days + 1


def test_each_day_of_a_range_is_a_leaf_and_no_other():
    assert len(WHOLE.rows) == (LAST - FIRST).days + 1
    assert WHOLE.absent([FIRST, LAST, FIRST - timedelta(1), "2004-12-01", "31/02/2001", "soon", 5]) == [
        "1999-02-02",
        "2004-12-01",
        "31/02/2001",
        "soon",
        "5",
    ]


def test_a_week_is_cut_where_a_month_begins():
    tree = dates("2024-03-25", "2024-04-07", levels=("day", "week", "month"))
    assert tree.generalise(["2024-03-31"], 1) == ["2024-W13"]
    cut = dates("2024-04-29", "2024-05-05", levels=("day", "week", "month"))
    assert cut.labels[1] == ("2024-W18 in 2024-04", "2024-W18 in 2024-05")
    assert dates("2024-04-29", "2024-05-05", levels=("day", "week")).labels[1] == ("2024-W18",)


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-05",
        "20240305",
        "2024/3/5",
        "2024.03.05",
        "05/03/2024",
        "5-3-2024",
        "5.3.2024",
        "2024-03-05T08:15:00Z",
        "2024-03-05 08:15:00.123+01:00",
        "5 March 2024",
        "5-Mar-2024",
        "March 5, 2024",
        "Mar 5 2024",
        "05/03/2024 8:15 pm",
        20240305,
        20240305.0,
        date(2024, 3, 5),
        datetime(2024, 3, 5, 23, 59, tzinfo=timezone(timedelta(hours=2))),
        pd.Timestamp("2024-03-05 10:00"),
    ],
)
def test_ways_of_writing_a_date(text):
    assert day_of(text) == date(2024, 3, 5)


def test_what_would_have_to_be_guessed_is_not_read():
    assert day_of("03/25/2024") is None
    assert day_of("03/25/2024", day_first=False) == date(2024, 3, 25)
    assert day_of("03/04/2024", day_first=False) == date(2024, 3, 4)
    for odd in (
        "5/3/24",
        "2024-3",
        "2024",
        "45000",
        "2024-02-30",
        "2024-03/05",
        "5 Foo 2024",
        "",
        None,
        True,
    ):
        assert day_of(odd) is None


def test_years_of_birth():
    tree = dates(1920, 2010, levels=("year", "5 years", "decade", "20 years"))
    assert (
        tree.generalise([1987, "1987", 1987.0, "1987-05-01", date(1987, 5, 1), "05/1987"], 1)
        == ["1985-1989"] * 6
    )
    assert tree.absent([1919, 2011, 87]) == ["1919", "2011", "87"]
    months = dates("2020-02", "2021-11", levels=("month", "year"))
    assert months.generalise(["2020-02", "02/2020", "2020-02-29"], 0) == ["2020-02"] * 3
    assert len(months.rows) == 22


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        (("2024-01-02", "2024-01-01"), {}, "first lies after last"),
        (("x", "2024-01-01"), {}, "is no date"),
        ((1, 2024), {}, "is no date"),
        ((1600, 2024), {}, "more than 100000 days"),
        ((2000, 2001), {"levels": ()}, "list of units"),
        ((2000, 2001), {"levels": "day"}, "list of units"),
        ((2000, 2001), {"levels": ("fortnight",)}, "no unit of dates"),
        ((2000, 2001), {"levels": ("month", "day")}, "rise from fine to coarse"),
        ((2000, 2001), {"levels": ("5 years", "12 years")}, "would not nest"),
        ((2000, 2001), {"levels": ("week", "month")}, "run across months"),
    ],
)
def test_ranges_and_levels_that_contradict_are_refused(args, options, message):
    with pytest.raises(UsageError, match=message):
        dates(*args, **options)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_columns_of_dates_and_of_texts_are_anonymised_alike(make):
    days = [datetime(2000, 1, 1) + timedelta(days=7 * i, hours=i) for i in range(57)]
    tree = dates(2000, 2003, levels=("day", "month", "quarter", "year"))
    done = [
        anonymize(
            make({"day": column}),
            quasi_identifiers={"day": tree},
            require=[KAnonymity(4)],
            suppression_limit=0,
        )
        for column in (days, [str(day) for day in days], [f"{day:%d/%m/%Y}" for day in days])
    ]
    assert len({one.loss for one in done}) == 1
    assert done[0].levels == {"day": 1}
    assert list(done[0].frame["day"])[:5] == ["2000-01"] * 5


def test_the_end_of_the_calendar_is_reached():
    assert dates(9990, 9999).rows[-1] == (
        "9999-12-31", "9999-W52", "9999-12", "9999-Q4", "9999", "9990-9999", "*",
    )  # fmt: skip
