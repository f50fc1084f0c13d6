"""Which rows of a person count: the first ones, by that person's rows alone; nobody's rows never."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from comity import schema
from comity.data import Table
from comity.data.people import Unit, first_rows

NAMED = st.lists(st.none() | st.sampled_from("abcd"), max_size=40)


def one_by_one(people: list[Any], most: int) -> list[int]:
    """The rule, said as a loop."""
    known: dict[Any, int] = {}
    seen: dict[Any, int] = {}
    numbers: list[int] = []
    for person in people:
        seen[person] = seen.get(person, 0) + 1
        counts = person is not None and seen[person] <= most
        numbers.append(known.setdefault(person, len(known)) if counts else -1)
    return numbers


@given(NAMED, st.integers(1, 5))
def test_numbers_and_kept_rows_are_those_of_the_loop(people: list[str | None], most: int) -> None:
    expected = one_by_one(people, most)
    assert Unit("who", most).numbers(people).tolist() == expected
    real = Table(pa.table({"who": pa.array(people, pa.string()), "at": pa.array(range(len(people)))}))
    kept = Unit("who", most).kept(real).column("at").to_pylist()
    assert kept == [at for at, number in enumerate(expected) if number >= 0]


@given(NAMED, st.integers(1, 3), st.sampled_from("abcd"))
def test_nobody_elses_coming_or_going_moves_a_persons_rows(
    people: list[str | None], most: int, gone: str
) -> None:
    numbers = Unit("who", most).numbers(people)
    rest = [person for person in people if person != gone]
    without = Unit("who", most).numbers(rest)
    assert [number >= 0 for number, person in zip(numbers, people, strict=True) if person != gone] == [
        number >= 0 for number in without
    ]
    assert (numbers >= 0).sum() - (without >= 0).sum() <= most


def test_a_missing_number_names_nobody() -> None:
    """NaN is equal to nothing, so that each one would be a person of its own."""
    people = [1.0, math.nan, math.nan, 2.0, None, 1.0]
    assert Unit("who", 1).numbers(people).tolist() == [0, -1, -1, 1, -1, -1]
    assert Unit("who", 1).numbers(np.array([math.nan, 3.0])).tolist() == [-1, 0]
    assert Unit("who", 1).numbers([]).tolist() == []
    assert Unit("who", 1).numbers([None, None]).tolist() == [-1, -1]


IDS = {
    name: schema.Column(role=schema.Role.identifier, type=schema.ColumnType.text) for name in ("pid", "visit")
}


def test_each_row_is_a_unit_where_no_column_says_otherwise() -> None:
    unit = Unit.of(schema.Unit(), IDS)
    assert unit == Unit()
    assert unit.numbers(["a", "a", None]).tolist() == [0, 1, 2]
    assert unit.kept(Table(pa.table({"x": [1, 1]}))).rows == 2


def test_a_unit_is_a_record_only_by_the_one_id_that_there_is() -> None:
    only = {"pid": IDS["pid"]}
    own = Unit.of(schema.Unit(column="pid", max_rows=1), only)
    assert own.of_records
    assert own.numbers(["a", "b", "a"]).tolist() == [0, 1, -1]
    assert Unit.of(schema.Unit(column="pid", max_rows=7), only) == Unit("pid", 7, False)
    for name in IDS:
        assert Unit.of(schema.Unit(column=name, max_rows=1), IDS) == Unit(name, 1, False)


def test_codes_below_zero_never_count() -> None:
    assert first_rows(np.array([-1, 2, 2, -1, 0, 2]), 2).tolist() == [False, True, True, False, True, False]
