"""Tables as bytes: what goes in comes out, and nothing more than the rows goes in."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from comity.data.ipc import table_from_bytes, table_to_bytes
from comity.errors import BadInput


def test_a_table_comes_back() -> None:
    table = pa.table({"age": pa.array([1, None, 3]), "job": pa.array(["a", "b", None])})
    assert table_from_bytes(table_to_bytes(table)).equals(table)


def test_a_dictionary_does_not_carry_the_values_of_rows_left_out() -> None:
    coded = pa.table({"ill": pa.array(["flu", "SECRET", "flu"]).dictionary_encode()})
    data = table_to_bytes(coded.take([0, 2]))
    assert b"SECRET" not in data
    assert table_from_bytes(data).column("ill").to_pylist() == ["flu", "flu"]


def test_what_stands_beside_the_rows_in_memory_stays_there() -> None:
    words = pa.table({"job": pa.array(["SECRET", "b", "c", "SECRET"])})
    numbers = pa.table({"pay": pa.array([b"SECRET01", b"12345678"], pa.binary(8))})
    hidden = [
        words.slice(1, 2),
        words.slice(0, 3).slice(1),
        # what was made missing keeps its place in Arrow's memory
        pa.table({"pay": pc.call_function("if_else", [pa.array([True, False]), None, numbers["pay"]])}),
        pa.table({"job": pa.array(["a", "SECRET"]).dictionary_encode()}).slice(0, 1),
        pa.table({"job": pa.array(["SECRET and more than twelve", "b"], pa.string_view())}).slice(1),
    ]
    for table in hidden:
        data = table_to_bytes(table)
        assert b"SECRET" not in data
        assert table_from_bytes(data).to_pylist() == table.to_pylist()


@pytest.mark.parametrize("data", [b"", b"nonsense", table_to_bytes(pa.table({"a": [1, 2, 3]}))[:-40]])
def test_what_is_no_table_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        table_from_bytes(data)
