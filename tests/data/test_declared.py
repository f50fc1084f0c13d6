"""Declared columns: each value is read by itself, whatever the other records hold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.data.column import objects
from comity.data.declared import (
    collected,
    column_fault,
    column_names,
    declared_codes,
    declared_column,
    declared_numbers,
    declared_table,
    is_lazy,
    numbered,
    one_dimension,
    rows_known,
)
from comity.data.value import level_text
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
    for values in (np.array(["1", "2"]), pl.Series(["a"]), pa.array([[1]]), np.array([1], dtype="M8[s]")):
        with pytest.raises(BadTable) as told:
            declared_numbers(values, 0, 1, "values")
        assert not told.value.private
    with pytest.raises(BadTable, match="declare the levels") as told:
        declared_table(pl.DataFrame(COLUMNS), {"job": True})
    assert not told.value.private
    with pytest.raises(BadTable, match="did you mean"):
        declared_table(pd.DataFrame(COLUMNS), {"jo": False})


@pytest.mark.parametrize("column", [pd.Series([1]), pl.Series("a", [1]), pa.chunked_array([[1]])])
def test_a_single_column_is_no_frame(column: Any) -> None:
    with pytest.raises(BadTable, match="a frame with named columns is needed"):
        declared_column(column, "a")


@pytest.mark.parametrize("name", [5, None])
def test_a_name_that_is_no_text_is_a_column_that_is_not_there(name: Any) -> None:
    with pytest.raises(BadTable, match="has no column"):
        declared_column(pd.DataFrame({"a": [1]}), name)


def test_labels_that_were_not_declared_have_no_code() -> None:
    assert declared_codes([1, 0, 7, 1], [0, 1], "labels").tolist() == [1, 0, -1, 1]
    assert declared_codes([1.0, np.nan], [0, 1], "labels").tolist() == [1, -1]
    assert declared_codes(["no", None, "yes"], ["no", "yes"], "labels").tolist() == [0, -1, 1]
    assert declared_codes([True, False], [False, True], "labels").tolist() == [1, 0]
    assert declared_codes(["a", 1], [0, 1], "labels").tolist() == [-1, 1]
    assert declared_codes([1, 2], ["a", "b"], "labels").tolist() == [-1, -1]
    for listed in (
        [],
        [[1], [0]],
        np.array([[1], [0]]),
        pd.DataFrame({"y": [1, 0]}),
        pl.DataFrame({"y": [1, 0]}),
    ):
        assert declared_codes(listed, [0, 1], "labels").tolist() == [1, 0][: len(listed)]


MIXED = st.one_of(
    st.none(),
    st.floats(),
    st.integers(),
    st.sampled_from([2**70, -(2**70), 10**400, 2**53 + 1, Decimal("sNaN"), pd.NA, pd.NaT, "\ud800", b"\xff"]),
    st.text(max_size=3),
    st.booleans(),
    st.decimals(places=2, min_value=-99, max_value=99),
    st.decimals(),
    st.binary(max_size=2),
    st.dates(),
    st.datetimes(),
    st.lists(st.integers(), max_size=2),
)
"""What a column without a type of its own may hold."""


UNTYPED: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "numpy": objects,
    "pandas": lambda values: pd.Series(objects(values), dtype=object),
    "pandas category": lambda values: pd.Series(objects([level_text(one) for one in values])).astype(
        "category"
    ),
    "polars": lambda values: pl.Series("x", values, dtype=pl.Object),
}
TYPED: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "whole numbers": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "floats": (pa.float64(), st.floats()),
    "true and false": (pa.bool_(), st.booleans()),
    "words": (pa.string(), st.text(max_size=3)),
    "money": (pa.decimal128(20, 2), st.decimals(places=2, min_value=-9999, max_value=9999)),
    "fine decimals": (pa.decimal128(38, 12), st.decimals(places=12, min_value=-99, max_value=99)),
    "days": (pa.date32(), st.dates()),
    "times": (pa.timestamp("us"), st.datetimes()),
}
FRAMES: dict[str, Callable[[pa.Array], Any]] = {
    "arrow": lambda column: pa.table({"x": column}),
    "polars": lambda column: pl.DataFrame({"x": pl.from_arrow(column)}),
    "pandas": lambda column: pd.DataFrame({"x": pd.Series(column, dtype=pd.ArrowDtype(column.type))}),
}


def read(frame: Any, numbers: bool) -> list[tuple[float, str | None]]:
    name = column_names(frame)[0]
    told = declared_table(frame, {name: True}).numbers(name) if numbers else None
    words = declared_table(frame, {name: False}).strings(name)
    held = np.full(len(words), -1.0) if told is None else np.nan_to_num(told, nan=-1.0)
    return list(zip(held.tolist(), words, strict=True))


def framed(column: Any) -> Any:
    if isinstance(column, pl.Series):
        return pl.DataFrame({"x": column})
    if isinstance(column, pd.Series):
        return pd.DataFrame({"x": column})
    return [[one] for one in column] if isinstance(column, list) else column.reshape(-1, 1)


@pytest.mark.parametrize("kind", UNTYPED)
@given(values=st.lists(MIXED, min_size=1, max_size=6))
@settings(max_examples=50)
def test_no_record_changes_how_another_is_read(kind: str, values: list[Any]) -> None:
    """Each value by itself gives what it gives among others, as a column and in a frame; none is an error."""
    made = UNTYPED[kind]
    levels = ["a", 1, True, Decimal("0.5"), 2**53 + 1]
    number = kind != "pandas category"
    together = read(framed(made(values)), number), declared_codes(made(values), levels, "x").tolist()
    for at, value in enumerate(values):
        alone = read(framed(made([value])), number), declared_codes(made([value]), levels, "x").tolist()
        assert (together[0][at], together[1][at]) == (alone[0][0], alone[1][0])
        if number:
            held = (
                declared_numbers(made(values), 0, 1, "x")[at],
                declared_numbers(made([value]), 0, 1, "x")[0],
            )
            assert held[0] == held[1] or (np.isnan(held[0]) and np.isnan(held[1]))


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("stored", TYPED)
@given(data=st.data())
@settings(max_examples=20)
def test_no_record_changes_how_another_of_its_type_is_read(
    kind: str, stored: str, data: st.DataObject
) -> None:
    """Missing ones among them, which numpy alone would make floats of."""
    arrow, drawn = TYPED[stored]
    values = data.draw(st.lists(st.one_of(st.none(), drawn), min_size=1, max_size=5))
    made, number = FRAMES[kind], stored not in ("words", "days", "times")
    together = read(made(pa.array(values, arrow)), number)
    for at, value in enumerate(values):
        assert together[at] == read(made(pa.array([value], arrow)), number)[0]


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("scale", [1, 2, 7])
def test_decimals_are_numbers_and_levels_of_any_scale(kind: str, scale: int) -> None:
    prices = [Decimal("1.5"), Decimal("2"), None]
    frame = FRAMES[kind](pa.array(prices, pa.decimal128(20, scale)))
    assert read(frame, True) == [(1.5, "1.5"), (2.0, "2"), (-1.0, None)]
    for levels in ([1.5, 2], prices[:2], ["1.5", "2"]):
        assert declared_codes(frame, levels, "x").tolist() == [0, 1, -1]


def test_a_frame_is_not_given_to_what_would_choose_a_type() -> None:
    """Each of these has been read as another type, or ended in an error, for one record's sake."""
    for odd in (Decimal("2.25"), b"b", 3, True, ["a"], 2**70, datetime(2020, 1, 1, 5)):
        for own in (Decimal("1.5"), "a", 1, date(2020, 1, 1)):
            frame = pd.DataFrame({"x": pd.Series([own, own, odd], dtype=object)})
            assert declared_codes(frame, [own], "x").tolist()[:2] == [0, 0]


def test_names_of_columns() -> None:
    assert column_names(pd.DataFrame({0: [1], "columns": [2], "column_names": [3]})) == (
        "0",
        "columns",
        "column_names",
    )
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(BadTable, match="two columns are named 'a'") as told:
        column_names(twice)
    assert not told.value.private
    with pytest.raises(BadTable, match="several lengths") as told:
        declared_table([[1, 2], [3]], {"x0": True})
    assert told.value.private
    for wrong in ([1, 2], [], np.zeros(3), np.zeros((1, 1, 1))):
        with pytest.raises(BadTable, match="records and columns"):
            column_names(wrong)


def test_one_value_per_record_by_shape_alone() -> None:
    for fits in ([1], (1, 2), np.zeros(2), np.zeros((2, 1)), pl.Series([1]), pd.Series([1]), pa.array([1]),
                 range(3), pl.LazyFrame({"a": [1]}), pd.DataFrame({"a": [1]})):  # fmt: skip
        assert column_fault(fits) is None
    for wrong in (None, "age", b"age", {"a": 1}, {1}, 3, object(), np.zeros(()), np.zeros((2, 2)),
                  pd.DataFrame({"a": [1], "b": [1]}), pl.LazyFrame({"a": [1], "b": [1]}),
                  pa.table({})):  # fmt: skip
        assert "one value per record" in str(column_fault(wrong))


def test_lazy_frames_are_known_as_such() -> None:
    lazy = pl.LazyFrame({"a": [1, 2]})
    assert is_lazy(lazy)
    assert not any(
        is_lazy(frame) for frame in ([1], np.zeros(1), pd.DataFrame(), pl.DataFrame(), pa.table({}))
    )
    assert rows_known(lazy) is None
    assert rows_known(collected(lazy)) == 2
    assert rows_known(pl.DataFrame({"a": [1, 2]})) == 2
    assert declared_column(lazy, "a").to_pylist() == [1, 2]


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
    numbers, missing = numbered(one_dimension(made([2**60, 2**60 + 1, third]), "ids"))
    assert numbers[0] != numbers[1]
    assert missing.tolist() == [False, False, third is None]
    assert level_text(2**60) != level_text(2**60 + 1)


def test_no_number_is_too_long_to_be_read() -> None:
    for huge in (10**400, -(10**5000)):
        assert declared_codes([1, huge], ["1", "2"], "values").tolist() == [0, -1]
        assert abs(declared_numbers([0, huge], -1, 1, "values")[1]) == 1
        assert numbered(one_dimension([1, huge], "ids"))[0].tolist() == [0, 1]


def test_arrow_arrays_are_read_with_and_without_missing_values() -> None:
    assert one_dimension(pa.array(["a", None]), "values").tolist() == ["a", None]
    assert np.isnan(declared_numbers(pa.array([1, None]), 0, 2, "values")).tolist() == [False, True]


def test_one_word_in_a_list_of_numbers_is_a_missing_value_and_no_error() -> None:
    assert np.isnan(declared_numbers([1, 2, "x"], 0, 9, "values")).tolist() == [False, False, True]
    assert np.isnan(declared_numbers([1, [2, 3], [4]], 0, 9, "values")).tolist() == [False, True, False]
    with pytest.raises(BadTable, match="one value per record"):
        declared_numbers(np.zeros((2, 2)), 0, 9, "values")
