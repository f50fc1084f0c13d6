"""Bounds and levels that nobody has made public: paid for whatever the column holds, and rare ones hidden."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from comity.data import Table
from comity.schema import Schema, parse_schema
from comity.synthesize import make_synthetic, opened
from comity.synthesize.purse import Noisy, Purse

NOTHING: list[Any] = [None] * 400


def of(values: list[Any], kind: pa.DataType) -> Table:
    return Table(pa.table({"x": pa.array(values, kind)}))


def purse() -> Purse:
    return Purse(8.0, 1e-6)


@settings(max_examples=20)
@given(st.lists(st.none() | st.sampled_from("abc"), max_size=30))
def test_levels_are_paid_for_whatever_the_column_holds(values: list[str | None]) -> None:
    """What is left tells others what was there: a column without any value costs as much as a full one."""
    bought = purse()
    price = bought.whole / 10
    opened.levels(of(values, pa.string()), "x", bought, price, delta=1e-7, rows_per_unit=1)
    assert bought.left == bought.whole - price


@settings(max_examples=20)
@given(st.lists(st.none() | st.integers(-9, 9), max_size=30), st.booleans())
def test_bounds_are_paid_for_whatever_the_column_holds(values: list[int | None], whole: bool) -> None:
    bought = purse()
    price = bought.whole / 10
    opened.bounds(of(values, pa.int64()), "x", bought, price, whole=whole)
    assert bought.left == bought.whole - price


def with_rare(rare: pa.Array) -> Table:
    digits = np.arange(400) % 10
    return Table(pa.table({**{name: np.roll(digits, at) for at, name in enumerate("abc")}, "rare": rare}))


def known(kind: str) -> Schema:
    digit = {"role": "insensitive", "type": "integer", "min": 0, "max": 9}
    columns = {**dict.fromkeys("abc", digit), "rare": {"role": "insensitive", "type": kind}}
    return parse_schema({"columns": columns}, where="the test")


@pytest.mark.parametrize(
    ("kind", "stored", "value"),
    [("category", pa.string(), "a rare disease"), ("integer", pa.int64(), 7), ("number", pa.float64(), 0.5)],
)
def test_a_manifest_is_the_same_on_neighbours(kind: str, stored: pa.DataType, value: Any) -> None:
    """A column without a value, and with one row's: nothing that is printed may tell which of them it was.

    At epsilon 16 each digit's 40 rows stand out of a noise of 4 rows or so, and one row of `rare` out of
    neither table: the same marginals are counted up to the order in which the tree was chosen. False alarm:
    the one level passes its threshold with 1e-7; each column's bins come from counts 9 deviations high.
    """
    told = []
    for values in (NOTHING, [value, *NOTHING[1:]]):
        made = make_synthetic(
            with_rare(pa.array(values, stored)), known(kind), [*"abc", "rare"],
            epsilon=16.0, delta=1e-6, method="mst", rows=5,
        )  # fmt: skip
        manifest = made.manifest
        paid = sorted((len(one["columns"]), one["sigma"], one["share"]) for one in manifest["measured"])
        told.append((paid, manifest["choices"], [one["cells"] for one in manifest["columns"]][:3]))
    assert told[0] == told[1]


def fixed(values: list[float], sigma: float) -> Any:
    class Fixed(Purse):
        def measure(self, counts: Any, price: float) -> Noisy:
            assert len(counts) == len(values)
            return Noisy(np.array(values), sigma)

    return Fixed(1.0, 1e-6)


@pytest.mark.parametrize("rows", [1, 50, 10**6])
@pytest.mark.parametrize("delta", [1e-3, 1e-8, 1e-13, 1e-20])
def test_the_threshold_is_that_of_its_delta_however_small(delta: float, rows: int) -> None:
    """Beyond 1e-16, 1 - delta is 1: no threshold could be worked out from it."""
    threshold = rows + 10.0 * float(norm.isf(delta / rows))
    table = of(["below", "over"], pa.string())
    for factor, expected in ((1e-9, ("over",)), (-1e-9, ())):
        values = [0.0, threshold * (1 + factor)]
        found = opened.levels(table, "x", fixed(values, 10.0), 0.1, delta=delta, rows_per_unit=rows)
        assert found.levels == expected


def test_a_level_of_one_unit_shows_as_rarely_as_was_promised() -> None:
    """20,000 levels of one row each at a delta of 0.01: 200 show, with a standard deviation of 14.

    Six of them each way: false alarm 2e-9.
    """
    table = of([f"l{at}" for at in range(20_000)], pa.string())
    bought = Purse(1.0, 1e-6)
    found = opened.levels(table, "x", bought, bought.whole, delta=0.01, rows_per_unit=1)
    # at most 4,095 levels are kept, which is far more
    assert abs(len(found.levels) - 200) < 6 * 14.1


def test_frequent_levels_come_and_a_single_one_does_not() -> None:
    """At a noise of about a row: two levels 200 deviations over the threshold; one row's level passes with
    the threshold's own delta of 1e-10."""
    table = of(["a"] * 300 + ["b"] * 300 + ["c"] + [None] * 9, pa.string())
    bought = Purse(8.0, 1e-6)
    found = opened.levels(table, "x", bought, bought.whole, delta=1e-10, rows_per_unit=1)
    assert found.levels == ("a", "b")


@pytest.mark.parametrize(
    ("values", "whole", "low", "high"),
    [
        ([5] * 500 + [100] * 500, True, 4, 127),
        ([-5] * 500 + [0] * 500, True, -7, 0),
        ([0.3] * 500 + [2.5] * 500, False, 0.25, 4.0),
        ([0] * 500, True, 0, 0),
        ([None] * 500, True, 0, 1),
    ],
)
def test_bounds_are_powers_of_two_around_what_many_rows_hold(
    values: list[Any], whole: bool, low: float, high: float
) -> None:
    """At most 192 cells of noise alone at 6 deviations: false alarm 2e-7."""
    bought = Purse(8.0, 1e-6)
    kind = pa.int64() if whole else pa.float64()
    found = opened.bounds(of(values, kind), "x", bought, bought.whole, whole=whole)
    assert (found.low, found.high) == (low, high)


def test_whether_numbers_are_whole_is_the_schemas_to_say() -> None:
    """Not the values': one row with a half would change how a column is stored."""
    for kind in (pa.int64(), pa.float64()):
        bought = Purse(8.0, 1e-6)
        found = opened.bounds(of([5] * 500, kind), "x", bought, bought.whole, whole=False)
        assert not found.whole
