"""Tables in PostgreSQL, read over ADBC into Arrow: `postgresql://user@host/database?table=schema.name`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from comity.errors import BadTable, MissingExtra, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMES = ("postgresql://", "postgres://")


def is_address(source: str) -> bool:
    """Whether a source is the address of a PostgreSQL table."""
    return source.startswith(SCHEMES)


def split_address(address: str) -> tuple[str, str, str]:
    """An address as (address of the database, quoted table name, name to show without user and password).

    Raises:
        UsageError: if it does not name one table.
    """
    parts = urlsplit(address)
    options = parse_qsl(parts.query)
    tables = [value for key, value in options if key == "table"]
    if len(tables) != 1 or not tables[0]:
        raise UsageError(
            "a PostgreSQL address names one table: postgresql://user@host/database?table=SCHEMA.NAME"
        )
    rest = urlencode([(key, value) for key, value in options if key != "table"])
    database = urlunsplit(("postgresql", parts.netloc, parts.path, rest, ""))
    quoted = ".".join('"' + step.replace('"', '""') + '"' for step in tables[0].split("."))
    host = parts.netloc.rpartition("@")[2]
    return database, quoted, f"table {tables[0]} at {host}{parts.path}"


def read_postgres(address: str) -> tuple[pa.Table, str]:
    """All rows of the table, and how to name it in messages.

    Raises:
        MissingExtra: if no driver is installed.
        BadTable: if the database or the table cannot be reached.
    """
    database, table, shown = split_address(address)
    try:
        import adbc_driver_postgresql.dbapi as adbc
    except ImportError:
        raise MissingExtra("reading a PostgreSQL table", "postgres") from None
    try:
        with adbc.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(f"select * from {table}")
            return cursor.fetch_arrow_table(), shown
    except adbc.Error as error:
        # the driver's words may hold the address with its password: only the last, plain part is kept
        reason = str(error).strip().splitlines()[0].replace(database, "the database")
        raise BadTable(f"{shown} cannot be read: {reason}") from None
