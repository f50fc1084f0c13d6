"""Arrow to numpy and back, against Arrow's own conversion."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.data.arrays import booleans, fixed_width, to_arrow, valid


@given(st.lists(st.one_of(st.none(), st.booleans())), st.integers(0, 9), st.integers(0, 30))
def test_booleans_and_validity_of_slices(values: list[bool | None], start: int, length: int) -> None:
    array = pa.array(values, pa.bool_()).slice(min(start, len(values)), length)
    assert booleans(array).tolist() == [value is True for value in array.to_pylist()]
    assert valid(array).tolist() == [value is not None for value in array.to_pylist()]


@given(st.lists(st.one_of(st.none(), st.integers(-100, 100))), st.integers(0, 9), st.integers(1, 5))
def test_numbers_of_slices_and_chunks(values: list[int | None], start: int, chunk: int) -> None:
    for kind, fill in ((pa.int64(), -1), (pa.int8(), -1), (pa.float32(), -1.0), (pa.float64(), -1.0)):
        array = pa.array(values, kind).slice(min(start, len(values)))
        chunks = pa.chunked_array([array.slice(at, chunk) for at in range(0, len(array), chunk)], kind)
        expected = [fill if value is None else value for value in array.to_pylist()]
        assert fixed_width(array, fill).tolist() == expected
        assert fixed_width(chunks, fill).tolist() == expected


@pytest.mark.parametrize("dtype", ["bool", "int8", "int32", "int64", "uint8", "float32", "float64"])
def test_to_arrow_and_back(dtype: str) -> None:
    values = np.array([1, 0, 1, 1, 0, 1, 0, 0, 1, 1]).astype(dtype)[1:]
    missing = np.array([0, 0, 1, 0, 0, 1, 0, 0, 1], dtype=bool)
    assert to_arrow(values).to_pylist() == values.tolist()
    expected = [None if gone else value for value, gone in zip(values.tolist(), missing, strict=True)]
    assert to_arrow(values, missing).to_pylist() == expected
    assert to_arrow(values[:0]).to_pylist() == []
