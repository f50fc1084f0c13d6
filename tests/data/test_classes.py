"""Equivalence classes against a dictionary of tuples."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from comity.data import equivalence_classes, read_table, table_codes

CODES = hnp.arrays(
    dtype=st.sampled_from([np.int8, np.int32, np.int64, np.uint16, np.uint64]),
    shape=hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=30),
    elements={"min_value": 0, "max_value": 3},
)


def reference(codes: np.ndarray) -> tuple[list[int], list[int]]:
    tuples = [tuple(row) for row in codes.tolist()]
    order = {value: at for at, value in enumerate(sorted(set(tuples)))}
    return [order[value] for value in tuples], [tuples.count(value) for value in order]


@given(CODES)
def test_classes_are_those_of_equal_tuples(codes: np.ndarray) -> None:
    index, sizes = equivalence_classes(codes)
    assert (index.tolist(), sizes.tolist()) == reference(codes)


@given(
    hnp.arrays(
        np.int64,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8),
        elements=st.sampled_from([-(2**63), -(2**62), -1, 0, 1, 2**40, 2**62, 2**63 - 1]),
    )
)
def test_huge_codes_do_not_overflow(codes: np.ndarray) -> None:
    index, sizes = equivalence_classes(codes)
    assert (index.tolist(), sizes.tolist()) == reference(codes)


def test_unsigned_extremes() -> None:
    codes = np.array([[2**64 - 1], [0], [2**64 - 1], [2**64 - 2]], dtype=np.uint64)
    index, sizes = equivalence_classes(codes)
    assert (index.tolist(), sizes.tolist()) == ([2, 0, 2, 1], [1, 1, 2])


def test_many_wide_columns() -> None:
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 2**16, size=(500, 12), dtype=np.uint16)
    codes[250:] = codes[:250]
    index, sizes = equivalence_classes(codes)
    assert (index.tolist(), sizes.tolist()) == reference(codes)


@pytest.mark.parametrize("rows", [0, 3])
def test_no_columns_is_one_class(rows: int) -> None:
    index, sizes = equivalence_classes(np.zeros((rows, 0), dtype=np.int32))
    assert (index.tolist(), sizes.tolist()) == ([0] * rows, [rows] if rows else [])


def test_missing_equals_missing() -> None:
    table = read_table(pa.table({"a": [1, None, None], "b": ["x", None, None]}))
    _, sizes = equivalence_classes(table_codes(table, ["a", "b"]))
    assert sizes.tolist() == [2, 1]
    assert table_codes(table, []).shape == (3, 0)
