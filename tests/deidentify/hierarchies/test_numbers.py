"""Labels of intervals: a value lies within the interval that its label names, whatever its size."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.deidentify import from_schema, intervals
from comity.errors import UsageError
from comity.schema import Column, ColumnType, Role, Schema

LABEL = re.compile(r"([\[(])(\S+), (\S+)([\])])")


def within(value, label):
    """Whether a value lies in an interval, as a person reads it."""
    found = LABEL.fullmatch(label)
    if found is None:
        return label in ("*", str(value))
    low, high, number = Fraction(found[2]), Fraction(found[3]), Fraction(str(value))
    return low <= number and (number < high or (found[4] == "]" and number == high))


@given(st.integers(-(10**16), 10**16), st.integers(10**5, 10**17), st.integers(1, 6), st.data())
def test_whole_numbers_lie_in_the_interval_that_is_written(low, span, levels, data):
    low, high = int(float(low)), int(float(low + span))
    tree = intervals(low, high, levels=levels, integer=True)
    near = [int(edge) + by for edge in tree.edges for by in (-1, 0, 1)]
    value = data.draw(st.sampled_from([v for v in near if low <= v <= high]) | st.integers(low, high))
    for level in range(tree.levels):
        (label,) = tree.generalise([value], level)
        assert within(value, label), (value, label)
        assert "e" not in label
        assert tree.generalise([str(value)], level) == [label]


@given(st.floats(-1e12, 1e12), st.floats(1e-3, 1e12), st.integers(1, 6), st.floats(0, 1), st.integers(0, 63))
def test_numbers_lie_in_the_interval_that_is_written(low, span, levels, share, edge):
    high = low + span
    try:
        tree = intervals(low, high, levels=levels, integer=False)
    except UsageError:
        return
    for value in (min(max(low + share * (high - low), low), high), tree.edges[edge % len(tree.edges)]):
        for level in range(tree.levels):
            (label,) = tree.generalise([value], level)
            assert within(value, label), (value, label)


def test_an_edge_that_no_float_holds_is_moved_to_one_that_does():
    tree = intervals(1, 27_942_405_962_071_272, levels=2, integer=True)
    for edge in tree.edges[1:-1]:
        for value in (int(edge) - 1, int(edge), int(edge) + 1):
            (label,) = tree.generalise([value], 0)
            assert within(value, label), (value, label)


def test_an_edge_above_a_million_is_written_whole():
    tree = intervals(1, 20_000_015)
    assert tree.generalise([1_250_001, 1_250_002], 0) == ["[1, 1250002)", "[1250002, 2500003)"]


def test_bounds_that_cannot_be_told_apart_are_refused():
    with pytest.raises(UsageError, match="further apart than numbers reach"):
        intervals(-1e308, 1e308)
    with pytest.raises(UsageError, match="held exactly"):
        intervals(0, 2**60 + 1)


def test_one_large_value_of_a_schema_has_its_row():
    column = Column(role=Role.quasi_identifier, type=ColumnType.integer, min=1_250_001, max=1_250_001)
    assert from_schema(Schema(columns={"q": column}), ["q"])["q"].leaves == ("1250001",)
