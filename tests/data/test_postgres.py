"""PostgreSQL addresses: what they name, and what is said when they fail."""

from __future__ import annotations

import sys

import pytest

from comity.data import read_table
from comity.data.postgres import is_address, split_address
from comity.errors import BadTable, MissingExtra, UsageError

ADDRESS = "postgresql://user:secret@127.0.0.1:1/data?table=public.people&connect_timeout=1"


def test_an_address_names_a_database_and_one_table() -> None:
    database, table, shown = split_address(ADDRESS)
    assert database == "postgresql://user:secret@127.0.0.1:1/data?connect_timeout=1"
    assert table == '"public"."people"'
    assert shown == "table public.people at 127.0.0.1:1/data"
    assert split_address('postgres://h/d?table=a"; drop table b')[1] == '"a""; drop table b"'
    assert is_address("postgres://x")
    assert not is_address("postgres.csv")


@pytest.mark.parametrize("query", ["", "?table=", "?table=a&table=b", "?tables=a"])
def test_an_address_without_one_table_is_refused(query: str) -> None:
    with pytest.raises(UsageError, match="names one table"):
        read_table(f"postgresql://h/d{query}")


def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
    with pytest.raises(MissingExtra, match=r"pip install 'comity\[postgres\]'"):
        read_table(ADDRESS)


def test_a_database_that_cannot_be_reached_is_named_without_its_password() -> None:
    pytest.importorskip("adbc_driver_postgresql")
    with pytest.raises(
        BadTable, match=r"table public.people at 127\.0\.0\.1:1/data cannot be read"
    ) as caught:
        read_table(ADDRESS)
    assert "secret" not in str(caught.value)
