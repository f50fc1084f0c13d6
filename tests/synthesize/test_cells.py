"""Cells: every value has one, and a value drawn from a cell lies in it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.data import Table
from comity.errors import BadSchema
from comity.schema import Schema, parse_schema
from comity.synthesize.cells import MISSING, MOST_CELLS, LevelCells, NumberCells, cells_of


def schema(**columns: dict) -> Schema:
    return parse_schema({"columns": columns}, where="the test's schema")


@given(st.integers(-(10**6), 10**6), st.integers(0, 10**6), st.booleans())
def test_a_value_drawn_from_a_cell_lies_in_it(low: int, span: int, whole: bool) -> None:
    cells = NumberCells.between("x", low, low + span, whole=whole)
    assert cells.edges[0] == low
    assert all(one < two for one, two in zip(cells.edges, cells.edges[1:], strict=False))
    drawn = np.arange(1, cells.size, dtype=np.int64)
    for uniform in (0.0, 0.5, 1 - 2.0**-53):
        values = cells.values(drawn, np.full(len(drawn), uniform))
        again = cells.count(Table(pa.table({"x": values})))
        assert np.array_equal(again, drawn)
        assert min(values.to_pylist()) >= low
        assert max(values.to_pylist()) <= low + span


def test_few_whole_numbers_have_a_cell_each() -> None:
    cells = NumberCells.between("age", 17, 90, whole=True)
    assert cells.size == 74 + 1
    ages = Table(pa.table({"age": [17, 18, 90, None, 5, 1000]}))
    assert cells.count(ages).tolist() == [1, 2, 74, MISSING, 1, 74]


def test_amounts_have_a_cell_for_zero_and_finer_ones_near_it() -> None:
    cells = NumberCells.between("gain", 0, 99_999, whole=True)
    edges = np.array(cells.edges)
    assert edges[:3].tolist() == [0, 1, 2] or edges[1] - edges[0] <= 2
    assert np.diff(edges).max() <= 99_999 / 32 + 1
    share = NumberCells.between("share", 0.0, 1.0, whole=False)
    assert share.values(np.array([1]), np.array([0.9])).to_pylist() == [0.0]


def test_levels_have_cells_and_what_is_no_level_is_missing() -> None:
    cells = LevelCells("job", ("a", "b"))
    assert cells.count(Table(pa.table({"job": ["b", None, "z", "a"]}))).tolist() == [2, 0, 0, 1]
    assert cells.values(np.array([2, 0, 1]), np.zeros(3)).to_pylist() == ["b", None, "a"]


def test_a_schema_without_bounds_or_levels_is_named() -> None:
    open_schema = schema(
        age={"role": "insensitive", "type": "integer"}, job={"role": "insensitive", "type": "category"}
    )
    with pytest.raises(BadSchema, match=r"age \(min and max\), job \(values\)"):
        cells_of(open_schema, ["age", "job"])
    many = schema(
        code={"role": "insensitive", "type": "category", "values": [str(at) for at in range(MOST_CELLS)]}
    )
    with pytest.raises(BadSchema, match="4096 levels"):
        cells_of(many, ["code"])


def test_one_value_is_one_cell() -> None:
    assert NumberCells.between("x", 3, 3, whole=True).size == 2
    assert NumberCells.between("x", 3, 3, whole=False).size == 2
