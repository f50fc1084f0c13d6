"""Table: columns as numbers, levels and strings; rows taken; tables below each other."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.data import concat_tables, read_table
from comity.data.table import Table, as_text, dictionary_codes
from comity.errors import BadTable
from comity.schema import ColumnType

TABLE = Table(pa.table({"n": [3, None, 1], "x": [0.5, 2.25, None], "w": ["b", "a", None]}))


def test_types_and_missing() -> None:
    assert [TABLE.type(name) for name in TABLE.names] == [
        ColumnType.integer,
        ColumnType.number,
        ColumnType.text,
    ]
    assert TABLE.missing("n").tolist() == [False, True, False]
    assert (TABLE.rows, len(TABLE), "n" in TABLE, "q" in TABLE) == (3, 3, True, False)


def test_numbers_levels_strings() -> None:
    np.testing.assert_array_equal(TABLE.numbers("n"), [3, np.nan, 1])
    codes, levels = TABLE.levels("n")
    assert (codes.tolist(), levels) == ([1, -1, 0], ("1", "3"))
    assert TABLE.levels("w")[1] == ("a", "b")
    assert TABLE.strings("x") == ["0.5", "2.25", None]
    with pytest.raises(BadTable, match="column w is text"):
        TABLE.numbers("w")


def test_levels_of_numbers_are_in_the_order_of_numbers() -> None:
    assert Table(pa.table({"n": [10, 9, -1]})).levels("n")[1] == ("-1", "9", "10")


def test_an_unknown_column_is_named_with_near_ones() -> None:
    table = Table(pa.table({"income": [1], "age": [2]}), "north.csv")
    with pytest.raises(BadTable, match=r"north\.csv has no column 'incme'; did you mean income"):
        table.column("incme")
    with pytest.raises(BadTable, match="its columns are: income, age"):
        table.select(["zzz"])


def test_taking_rows_leaves_nothing_of_the_others() -> None:
    table = Table(pa.table({"w": ["secret", "kept"]}))
    for rows in (np.array([1]), np.array([False, True])):
        part = table.take(rows)
        assert part.arrow.to_pydict() == {"w": ["kept"]}
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, part.arrow.schema) as writer:
            writer.write_table(part.arrow)
        assert b"secret" not in sink.getvalue().to_pybytes()


def test_columns_replaced_added_dropped() -> None:
    table = TABLE.with_column("n", pa.array([7, 8, 9])).with_column("z", pa.array(["q", None, "r"]))
    assert table.names == ("n", "x", "w", "z")
    assert table.drop(["x", "w"]).arrow.to_pydict() == {"n": [7, 8, 9], "z": ["q", None, "r"]}
    assert TABLE.arrow["n"].to_pylist() == [3, None, 1]


def test_tables_below_each_other_take_the_wider_type() -> None:
    one = Table(pa.table({"a": [1, 2], "b": [1, 2], "c": ["x", "y"], "d": [None, None]}, schema=None))
    one = read_table(one.arrow)
    two = read_table(pa.table({"b": ["q", None], "a": [0.5, None], "d": [4, 5], "c": [None, None]}))
    both = concat_tables([one, two])
    assert both.arrow.to_pydict() == {
        "a": [1.0, 2.0, 0.5, None],
        "b": ["1", "2", "q", None],
        "c": ["x", "y", None, None],
        "d": [None, None, 4, 5],
    }
    assert [str(kind) for kind in both.arrow.schema.types] == ["double", "string", "string", "int64"]
    with pytest.raises(BadTable, match="e is in one of them only"):
        concat_tables([one, one.with_column("e", pa.array([1, 2]))])
    with pytest.raises(BadTable, match="at least one"):
        concat_tables([])


@given(st.lists(st.one_of(st.none(), st.sampled_from("abc")), max_size=20), st.integers(1, 7))
def test_codes_decode_to_the_column(values: list[str | None], chunk: int) -> None:
    chunks = [pa.array(values[at : at + chunk], pa.string()) for at in range(0, len(values), chunk)]
    table = Table(pa.table({"c": pa.chunked_array(chunks, pa.string())}))
    codes, levels = table.levels("c")
    assert [None if code < 0 else levels[code] for code in codes] == values == table.strings("c")
    assert list(levels) == sorted(set(levels))
    raw, distinct = dictionary_codes(table.column("c"))
    assert [None if code < 0 else distinct[int(code)].as_py() for code in raw] == values


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_text_of_a_number_reads_back(value: float) -> None:
    assert float(as_text(value)) == value
