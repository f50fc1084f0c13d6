"""What the ledger's tests share: terms, and small ledgers in a file or in a real PostgreSQL."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from comity.crypto.keys import SigningKey
from comity.ledger import Ledger
from comity.ledger.tables import GUARDED

LABEL = "hospital/adult/label"

# SQLite's words for bytes, in PostgreSQL's
_WORDS = (
    (r"CAST\((\w+) AS TEXT\)", r"\1"),
    (r"zeroblob\((\d+)\)", r"decode(repeat('00', \1), 'hex')"),
    (
        r"replace\(event, '([^']*)', '([^']*)'\)",
        r"convert_to(replace(convert_from(event, 'UTF8'), '\1', '\2'), 'UTF8')",
    ),
    (r"x''", r"decode('', 'hex')"),
    (r"\?", r"%s"),
)  # fmt: skip


@dataclass(frozen=True)
class Home:
    """Where a test's ledger lies, on either store, and a way around everything that guards it.

    `key_file` holds its key: SQLite's is beside the file, in a database it is passed.
    """

    place: str
    key_file: Path

    @property
    def in_postgres(self) -> bool:
        return "://" in self.place

    def key(self) -> SigningKey:
        if not self.key_file.exists():
            SigningKey.generate().save(self.key_file)
        return SigningKey.load(self.key_file)

    def open(self, **options: Any) -> Ledger:
        """Open the ledger, with its key where it needs one."""
        given = {"key": self.key()} if self.in_postgres else {}
        return Ledger.open(self.place, **{**given, **options})

    def edit(self, *statements: str) -> None:
        """Change rows behind the ledger's back, its guards put aside."""
        self.run([(statement, ()) for statement in statements])

    def run(self, statements: list[tuple[str, tuple[Any, ...]]]) -> None:
        if self.in_postgres:
            import psycopg

            with psycopg.connect(self.place) as connection:
                for table in GUARDED:
                    connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL".encode())
                for statement, values in statements:
                    connection.execute(_translated(statement).encode(), values or None)
            return
        connection = sqlite3.connect(self.place)
        for table in GUARDED:
            for verb in ("update", "delete"):
                connection.execute(f"DROP TRIGGER IF EXISTS {table}_no_{verb}")
        for statement, values in statements:
            connection.execute(statement, values)
        connection.commit()
        connection.close()

    def read(self, statement: str) -> list[tuple[Any, ...]]:
        if self.in_postgres:
            import psycopg

            with psycopg.connect(self.place) as connection:
                return connection.execute(_translated(statement).encode()).fetchall()
        connection = sqlite3.connect(self.place)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()


def _translated(statement: str) -> str:
    for pattern, replacement in _WORDS:
        statement = re.sub(pattern, replacement, statement)
    return statement


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A file for a ledger, where a test is about files."""
    return tmp_path / "ledger.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """A place for a ledger on each store."""
    if request.param == "postgresql":
        return Home(request.getfixturevalue("postgres_url"), tmp_path / "key.pem")
    return Home(str(tmp_path / "ledger.db"), tmp_path / "ledger.db.key")


@pytest.fixture
def ledger(home: Home) -> Iterator[Ledger]:
    """A ledger with one open account for labels, (1, 1e-6), on each store."""
    with home.open(owner="hospital") as opened:
        opened.open_account(LABEL, (1.0, 1e-6))
        yield opened
