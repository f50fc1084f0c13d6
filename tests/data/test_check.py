"""A table against its schema."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from comity.data import check_table, read_table
from comity.errors import BadTable
from comity.schema import Schema, parse_schema


def schema(unit: dict | None = None, **columns: dict) -> Schema:
    document: dict = {"columns": columns}
    if unit is not None:
        document["unit"] = unit
    return parse_schema(document, where="here")


AGE = {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 110}
SEX = {"role": "quasi_identifier", "type": "category", "values": ["f", "m"]}
ID = {"role": "identifier", "type": "text"}
TARGET = {"role": "target", "type": "category"}


def test_a_table_that_fits_gets_the_schemas_columns_order_and_types() -> None:
    table = read_table(pa.table({"sex": ["f", None], "extra": [1, 2], "age": [30, 40], "y": [0, 1]}))
    checked = check_table(table, schema(age=AGE, sex=SEX, y=TARGET))
    assert checked.table.names == ("age", "sex", "y")
    assert checked.table.arrow["y"].to_pylist() == ["0", "1"]
    assert checked.left_out == ("extra",)
    assert checked.notes == ("left out, because the schema does not name them: extra",)


def test_values_outside_bounds_and_levels_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("age,sex\n30,f\n-1,x\n111,m\n,\n")
    with pytest.raises(BadTable) as caught:
        check_table(read_table(path), schema(age=AGE, sex=SEX))
    text = str(caught.value)
    assert "3 values do not fit" in text
    assert "row 2 (line 3), column age: '-1' is below the schema's min 0" in text
    assert "row 2 (line 3), column sex: 'x' is none of the schema's values" in text
    assert "row 3 (line 4), column age: '111' is above the schema's max 110" in text
    assert "widen min and max in the schema" in text
    assert caught.value.private


def test_types_are_the_schemas() -> None:
    table = read_table(pa.table({"a": ["x", "y", "3"]}))
    with pytest.raises(BadTable, match=r"2 values do not fit(.|\n)*row 1, column a: 'x' is not a number"):
        check_table(table, schema(a={"role": "sensitive", "type": "number"}))
    halves = read_table(pa.table({"a": [1.5, 2.0]}))
    with pytest.raises(BadTable, match=r"row 1, column a: '1\.5' is not a whole number"):
        check_table(halves, schema(a={"role": "sensitive", "type": "integer"}))
    assert check_table(halves, schema(a={"role": "sensitive", "type": "category"})).table.strings("a") == [
        "1.5",
        "2.0",
    ]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(BadTable, match="no column 'age'"):
        check_table(read_table(pa.table({"agee": [1]})), schema(age=AGE))


def test_duplicate_and_missing_ids_are_listed() -> None:
    table = read_table(pa.table({"id": ["a", "b", "a", None, "a"]}))
    with pytest.raises(BadTable) as caught:
        check_table(table, schema({"column": "id"}, id=ID))
    text = str(caught.value)
    assert "3 values do not fit" in text
    assert "row 3, column id: 'a' stands in an earlier row too" in text
    assert "row 4, column id: '' is missing, but names the privacy unit" in text
    assert "row 5, column id: 'a' stands in an earlier row too" in text


def test_more_rows_per_unit_than_allowed() -> None:
    table = read_table(pa.table({"id": ["a", "b", "a", "a"]}))
    with pytest.raises(BadTable, match="row 4, column id: 'a' stands in more than 2 rows"):
        check_table(table, schema({"column": "id", "max_rows": 2}, id=ID))
    assert check_table(table, schema({"column": "id", "max_rows": 3}, id=ID)).table.rows == 4


def test_rows_without_target_are_left_out_and_counted() -> None:
    table = read_table(pa.table({"a": [1, 2, 3], "y": ["n", None, "y"]}))
    checked = check_table(table, schema(a={"role": "sensitive", "type": "integer"}, y=TARGET))
    assert checked.table.arrow["a"].to_pylist() == [1, 3]
    assert checked.notes == ("1 of 3 rows have no value in y and are left out",)
    with pytest.raises(BadTable, match="no value in any row, but is the target"):
        check_table(read_table(pa.table({"y": ["?", "NA"]})), schema(y=TARGET))
