"""The store: where it may lie, who may read it, and the SQL that Postgres would get."""

import os
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from comity.errors import BadInput, MissingExtra, UsageError
from comity.ledger import Ledger, verify_ledger
from comity.ledger.sqlite import told
from comity.ledger.store import Store, options
from comity.ledger.tables import ADD_CHECKPOINT, ADD_EVENT, HEAD, LOCK, ROWS, metadata


def postgres(statement: object) -> str:
    return " ".join(str(statement.compile(dialect=postgresql.dialect())).split())


def test_appends_on_postgres_lock_the_ledgers_row() -> None:
    assert postgres(LOCK).endswith("FOR UPDATE")


def test_everything_compiles_for_postgres() -> None:
    tables = [postgres(CreateTable(table)) for table in metadata.sorted_tables]
    assert any("seq BIGINT NOT NULL" in table and "event BYTEA NOT NULL" in table for table in tables)
    for statement in (ADD_EVENT, ADD_CHECKPOINT, HEAD, ROWS):
        assert postgres(statement).startswith(("INSERT INTO", "SELECT"))


def test_readers_see_one_state_on_either() -> None:
    assert options("postgresql", writing=False) == {"isolation_level": "REPEATABLE READ"}
    assert options("postgresql", writing=True) == {}
    assert options("sqlite", writing=True) != options("sqlite", writing=False)


def test_commits_reach_the_disk(place: Path) -> None:
    with Ledger.open(place) as ledger, ledger._store.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_a_file_that_others_can_read_is_refused(place: Path) -> None:
    Ledger.open(place).close()
    os.chmod(place, 0o640)
    with pytest.raises(BadInput, match=r"can be read by others \(mode 640\); run: chmod 600"):
        Ledger.open(place)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be made"):
        Ledger.open(tmp_path / "no" / "ledger.db")


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not a file"):
        Ledger.open(tmp_path)


def test_a_database_of_something_else(place: Path) -> None:
    connection = sqlite3.connect(place)
    connection.execute("CREATE TABLE patients (name TEXT)")
    connection.close()
    os.chmod(place, 0o600)
    with pytest.raises(BadInput, match="a database of something else"):
        Ledger.open(place)
    with pytest.raises(BadInput, match="holds no ledger"):
        verify_ledger(place)


def test_no_database_at_all(place: Path) -> None:
    place.write_text("this is a letter, not a database" * 100)
    os.chmod(place, 0o600)
    with pytest.raises(BadInput, match="is not a ledger"):
        Ledger.open(place)


def test_another_format(place: Path) -> None:
    Ledger.open(place).close()
    connection = sqlite3.connect(place)
    connection.execute("UPDATE comity_ledger SET format = 9")
    connection.commit()
    connection.close()
    with pytest.raises(BadInput, match="has format 9"):
        Ledger.open(place)
    with pytest.raises(BadInput, match="has format 9"):
        verify_ledger(place)


@pytest.mark.parametrize("url", ["mysql://host/db", "oracle://x/y"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises((UsageError, MissingExtra)):
        Store.open(url)


def test_an_unreadable_url_and_an_empty_path() -> None:
    with pytest.raises(UsageError, match="URL cannot be read"):
        Store.open("://")
    with pytest.raises(UsageError, match="path or URL"):
        Store.open("")


def test_a_postgres_that_does_not_answer_is_told_without_the_password() -> None:
    with pytest.raises(BadInput) as caught:
        Store.open("postgresql://user:secret@127.0.0.1:1/ledger?connect_timeout=1")
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_sqlite_urls_are_paths(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/a.db") as ledger:
        ledger.append("note", {})
    assert verify_ledger(tmp_path / "a.db").ok


def test_a_ledger_in_memory_has_no_copy() -> None:
    with pytest.raises(UsageError, match="in memory"):
        verify_ledger(":memory:")


def test_unknown_database_errors_are_told_plainly() -> None:
    with pytest.raises(BadInput, match="cannot be used: near"), told("x.db"):
        sqlite3.connect(":memory:").execute("SELEKT 1")


def test_a_key_file_that_cannot_be_used(place: Path) -> None:
    Ledger.open(place).close()
    key = place.with_name("ledger.db.key")
    os.chmod(key, 0o644)
    with pytest.raises(BadInput, match="can be read by others"):
        Ledger.open(place)
    os.chmod(key, 0o600)
    key.write_text("nonsense")
    with pytest.raises(BadInput, match="damaged"):
        Ledger.open(place)
