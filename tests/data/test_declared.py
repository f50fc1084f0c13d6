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

from comity.data.declared import (
    column_names,
    declared_codes,
    declared_numbers,
    declared_table,
    exact_ids,
    level_text,
    numbered,
    one_dimension,
)
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


@pytest.mark.parametrize(
    "made", [list, lambda ids: pl.Series(ids), lambda ids: pd.Series(ids, dtype="Int64"), pa.array,
             lambda ids: pa.chunked_array([ids])],
)  # fmt: skip
@pytest.mark.parametrize("third", [7, None])
def test_long_ids_stay_apart_whether_or_not_another_one_is_missing(made: Any, third: int | None) -> None:
    numbers, missing = numbered(exact_ids(made([2**60, 2**60 + 1, third]), "ids"))
    assert numbers[0] != numbers[1]
    assert missing.tolist() == [False, False, third is None]
    assert level_text(2**60) != level_text(2**60 + 1)


def test_no_number_is_too_long_to_be_read() -> None:
    for huge in (10**400, -(10**5000)):
        assert declared_codes([1, huge], ["1", "2"], "values").tolist() == [0, -1]
        assert abs(declared_numbers([0, huge], -1, 1, "values")[1]) == 1
        assert numbered(exact_ids([1, huge], "ids"))[0].tolist() == [0, 1]


def test_arrow_arrays_are_read_with_and_without_missing_values() -> None:
    assert one_dimension(pa.array(["a", None]), "values").tolist() == ["a", None]
    assert np.isnan(declared_numbers(pa.array([1, None]), 0, 2, "values")).tolist() == [False, True]


def test_one_word_in_a_list_of_numbers_is_a_missing_value_and_no_error() -> None:
    assert np.isnan(declared_numbers([1, 2, "x"], 0, 9, "values")).tolist() == [False, False, True]
    with pytest.raises(BadTable, match="one value per record"):
        declared_numbers([1, [2, 3]], 0, 9, "values")
