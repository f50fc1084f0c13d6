"""Tables as bytes: what goes in comes out, and nothing more than the rows goes in."""

from __future__ import annotations

import pyarrow as pa
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


@pytest.mark.parametrize("data", [b"", b"nonsense", table_to_bytes(pa.table({"a": [1, 2, 3]}))[:-40]])
def test_what_is_no_table_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        table_from_bytes(data)
