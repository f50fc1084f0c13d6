"""The rules by which values become typed columns, whatever delivered them."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.data.read import read_table
from comity.data.typed import MISSING, as_strings, type_column
from comity.errors import BadTable
from comity.schema import ColumnType


def typed(values: list, wanted: ColumnType | None = None, type: pa.DataType | None = None):
    column, faults = type_column("c", pa.chunked_array([pa.array(values, type=type)]), wanted)
    return column.to_pylist(), str(column.type), faults


@pytest.mark.parametrize("blank", ["", "  ", "?", " ? ", "NA", "\tNA\u00a0"])
def test_blank_question_mark_and_na_are_missing(blank: str) -> None:
    assert typed(["1", blank, "2"])[0] == [1, None, 2]
    assert typed(["x", blank, "y"])[0] == ["x", None, "y"]


@pytest.mark.parametrize("word", ["na", "N/A", "null", "None", "-", "??"])
def test_nothing_else_is_missing(word: str) -> None:
    assert typed(["x", word])[0] == ["x", word]
    assert typed(["1", "2", word])[2].total == 1


def test_blanks_around_values_go() -> None:
    assert typed([" 7 ", "8\t"])[0] == [7, 8]
    assert typed([" a b ", "c"])[0] == ["a b", "c"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "x"], "int64"),  # exactly half
        (["1", "x", "y"], "string"),
        (["1", "x", "", "?"], "int64"),  # missing values do not vote
        (["", "?"], "string"),
        (["1.5", "2"], "double"),
        (["1.0", "2"], "int64"),
        (["+5", "-0", "1e3"], "int64"),
        ([".5", "5."], "double"),
        (["1,5", "2,5"], "string"),
        (["0x10", "0x11"], "string"),
        (["1_000", "2_000"], "string"),
        (["１", "２"], "string"),
        (["true", "false"], "string"),
        (["2020-01-01"], "string"),
    ],
)
def test_half_of_the_values_decide_the_type(values: list[str], expected: str) -> None:
    assert typed(values)[1] == expected


def test_every_value_that_is_no_number_is_listed() -> None:
    _, _, faults = typed(["1", "x", "2", "NaN", "-inf", "1e999", "3", "4", "5", "6"])
    assert [(fault.row, fault.value, fault.why) for fault in faults.first] == [
        (2, "x", "is not a number"),
        (4, "NaN", "is not a finite number"),
        (5, "-inf", "is not a finite number"),
        (6, "1e999", "is too large for a number"),
    ]


def test_a_column_of_literal_nans_is_numeric_and_bad() -> None:
    assert typed(["NaN", "nan", "1"])[2].total == 2


def test_nan_in_a_text_column_is_a_word() -> None:
    values, kind, faults = typed(["Nan", "Inf", "Anna", "Bob", "Carl"])
    assert (values, kind, faults.total) == (["Nan", "Inf", "Anna", "Bob", "Carl"], "string", 0)


@pytest.mark.parametrize("values", [["02139", "10001"], ["12345678901234567890", "1"]])
def test_digits_that_a_number_would_change_stay_text(values: list[str]) -> None:
    assert typed(values)[:2] == (values, "string")


@pytest.mark.parametrize("values", [["0", "1"], ["05", "6"], ["02139", "1000x", "10001"]])
def test_other_digits_are_numbers(values: list[str]) -> None:
    assert typed(values)[1] == "int64"


def test_long_whole_numbers_keep_every_digit() -> None:
    assert typed(["123456789012345678", "-123456789012345677"])[0] == [
        123456789012345678,
        -123456789012345677,
    ]


def test_the_schema_overrules_the_values() -> None:
    assert typed(["1", "02"], ColumnType.category)[:2] == (["1", "02"], "string")
    assert typed(["1", "2"], ColumnType.number)[:2] == ([1.0, 2.0], "double")
    values, kind, faults = typed(["1", "2.5", "x"], ColumnType.integer)
    assert (values, kind) == ([1, None, None], "int64")
    assert [fault.why for fault in faults.first] == ["is not a whole number", "is not a number"]
    assert typed(["a", "b", "1"], ColumnType.integer)[2].total == 2


@pytest.mark.parametrize(
    ("values", "type", "expected", "kind"),
    [
        ([True, None, False], None, ["true", None, "false"], "string"),
        ([1, None], pa.int8(), [1, None], "int64"),
        ([2**64 - 1, 1], pa.uint64(), [str(2**64 - 1), "1"], "string"),
        ([1.0, None, 3.0], pa.float32(), [1, None, 3], "int64"),
        ([0.5, -0.0], None, [0.5, 0.0], "double"),
        (["a", "b"], pa.large_string(), ["a", "b"], "string"),
        (["a", "b"], pa.string_view(), ["a", "b"], "string"),
        ([None, None], pa.null(), [None, None], "string"),
    ],
)
def test_types_of_other_sources(values: list, type: pa.DataType | None, expected: list, kind: str) -> None:
    assert typed(values, type=type)[:2] == (expected, kind)


def test_dictionaries_decimals_and_dates() -> None:
    from datetime import date, datetime
    from decimal import Decimal

    coded = pa.chunked_array([pa.array(["b", None, "a", "b"]).dictionary_encode()])
    assert type_column("c", coded)[0].to_pylist() == ["b", None, "a", "b"]
    holed = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2], pa.int32()), pa.array(["x", None, "x"]))
    assert type_column("c", pa.chunked_array([holed]))[0].to_pylist() == ["x", None, "x"]
    assert typed([Decimal("1.50"), Decimal("2.00")])[0] == [1.5, 2.0]
    assert typed([date(2020, 2, 3)])[0] == ["2020-02-03"]
    assert typed([datetime(2020, 2, 3)])[0] == ["2020-02-03"]
    assert typed([datetime(2020, 2, 3, 4, 5, 6)])[0] == ["2020-02-03 04:05:06"]
    assert typed([datetime(2020, 2, 3, 4, 5, 6, 7)], type=pa.timestamp("ns"))[0] == [
        "2020-02-03 04:05:06.000007"
    ]


def test_extension_types_are_read_by_what_they_store() -> None:
    import uuid

    one = uuid.UUID(int=5)
    assert typed([one.bytes, None], type=pa.uuid())[0] == [str(one), None]
    opaque = pa.opaque(pa.string(), "numeric", "PostgreSQL")  # how the driver hands over NUMERIC
    numbers = pa.ExtensionArray.from_storage(opaque, pa.array(["1.50", None, "2"]))
    assert type_column("c", pa.chunked_array([numbers]))[0].to_pylist() == [1.5, None, 2.0]


@pytest.mark.parametrize(
    "array", [pa.array([[1]]), pa.array([b"x"]), pa.array([{"a": 1}]), pa.array([1], pa.duration("s"))]
)
def test_what_is_not_one_plain_value_per_row_is_refused(array: pa.Array) -> None:
    with pytest.raises(BadTable, match="column c"):
        type_column("c", pa.chunked_array([array]))


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), min_size=1))
def test_floats_survive_as_text(values: list[float | None]) -> None:
    numbers, kind, faults = typed(values, type=pa.float64())
    assert faults.total == 0
    again, _ = type_column(
        "c", as_strings(type_column("c", pa.chunked_array([pa.array(values, pa.float64())]))[0])
    )
    if any(value is not None for value in values) and kind == "double":
        assert again.to_pylist() == numbers
    assert [None if v is None else float(v) for v in numbers] == [
        None if v is None else v + 0.0 for v in values
    ]


@given(st.lists(st.text(alphabet="ab ?NA1.\n\u00e9", max_size=4), min_size=1, max_size=30))
def test_text_keeps_what_is_there(values: list[str]) -> None:
    column, faults = type_column("c", pa.chunked_array([pa.array(values)]), ColumnType.text)
    expected = [None if value.strip() in MISSING else value.strip() for value in values]
    assert column.to_pylist() == expected
    assert faults.total == 0


@given(st.lists(st.sampled_from(["1", "2", "x", "", "NaN", "3.5"]), min_size=1, max_size=60))
def test_fault_count_is_exact_and_rows_are_right(values: list[str]) -> None:
    _, kind, faults = typed(values)
    present = [value for value in values if value]
    parse = [value for value in present if value != "x"]
    if present and 2 * len(parse) >= len(present):
        bad = [row for row, value in enumerate(values, start=1) if value in ("x", "NaN")]
        assert faults.total == len(bad)
        assert [fault.row for fault in faults.first] == bad[:20]
    else:
        assert (kind, faults.total) == ("string", 0)


def test_untyped_reading_keeps_numbers_as_text() -> None:
    table = read_table(pa.table({"a": ["1", "*", "10-19"], "b": [1, None, 2]}), typed=False)
    assert table.arrow.to_pydict() == {"a": ["1", "*", "10-19"], "b": ["1", None, "2"]}
