"""Declared columns: each value is read by itself, whatever the other records hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.data.declared import column_names, declared_codes, declared_numbers, declared_table, level_text
from comity.errors import BadTable

COLUMNS = {"age": [30, None, 200], "job": ["clerk", None, "smith"], "grade": [1, 2, 3]}


@pytest.mark.parametrize("frame", [pd.DataFrame(COLUMNS), pl.DataFrame(COLUMNS), pa.table(COLUMNS),
                                   pl.DataFrame(COLUMNS).lazy()])  # fmt: skip
def test_frames_of_every_kind_read_the_same(frame: Any) -> None:
    table = declared_table(frame, {"age": True, "job": False, "grade": False})
    numbers = table.numbers("age")
    assert numbers[0] == 30
    assert np.isnan(numbers[1])
    assert table.strings("job") == ["clerk", None, "smith"]
    assert table.strings("grade") == ["1", "2", "3"]
    assert column_names(frame) == ("age", "job", "grade")


def test_arrays_have_columns_by_number() -> None:
    array = np.array([[1.5, "a"], [float("inf"), None], ["?", "b"]], dtype=object)
    table = declared_table(array, {"x0": True, "x1": False})
    numbers = table.numbers("x0")
    assert numbers[0] == 1.5
    assert numbers[1] > 1e300
    assert np.isnan(numbers[2])
    assert table.strings("x1") == ["a", None, "b"]
    assert column_names(array) == ("x0", "x1")


def test_words_where_numbers_were_declared_are_refused_in_public() -> None:
    for values in (["a", "b"], np.array(["1", "2"])):
        with pytest.raises(BadTable) as told:
            declared_numbers(values, 0, 1, "values")
        assert not told.value.private
    with pytest.raises(BadTable, match="declare its levels") as told:
        declared_table(pd.DataFrame(COLUMNS), {"job": True})
    assert not told.value.private
    with pytest.raises(BadTable, match="did you mean"):
        declared_table(pd.DataFrame(COLUMNS), {"jo": False})


def test_labels_that_were_not_declared_have_no_code() -> None:
    assert declared_codes([1, 0, 7, 1], [0, 1], "labels").tolist() == [1, 0, -1, 1]
    assert declared_codes([1.0, np.nan], [0, 1], "labels").tolist() == [1, -1]
    assert declared_codes(["no", None, "yes"], ["no", "yes"], "labels").tolist() == [0, -1, 1]
    assert declared_codes([True, False], [False, True], "labels").tolist() == [1, 0]
    with pytest.raises(BadTable, match="words where"):
        declared_codes(["a"], [0, 1], "labels")
    with pytest.raises(BadTable, match="numbers where"):
        declared_codes([1, 2], ["a", "b"], "labels")


@given(st.lists(st.one_of(st.none(), st.floats(), st.text(max_size=3), st.booleans()), max_size=8), st.data())
def test_no_record_changes_how_another_is_read(values: list[Any], data: st.DataObject) -> None:
    """Each value by itself, as objects are stored, gives what it gives among others."""

    def read(own: list[Any]) -> tuple[list[float], list[str | None]]:
        array = np.empty((len(own), 1), dtype=object)
        array[:, 0] = own
        numbers = declared_table(array, {"x0": True}).numbers("x0")
        return np.nan_to_num(numbers, nan=-1.0).tolist(), declared_table(array, {"x0": False}).strings("x0")

    together = read(values)
    for at, value in enumerate(values):
        alone = read([value])
        assert (together[0][at], together[1][at]) == (alone[0][0], alone[1][0])


def test_one_way_to_write_a_level() -> None:
    assert [level_text(one) for one in (3, 3.0, np.int64(3), "3", 0.5, True)] == [
        "3",
        "3",
        "3",
        "3",
        "0.5",
        "True",
    ]
