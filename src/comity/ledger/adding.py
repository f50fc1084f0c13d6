"""Adding many small rows: an insert that is put into its database's words once, not at every commit.

SQLAlchemy's own executemany walks every value of every row; for rows of text, bytes and whole numbers, which
both drivers take as they are, that is most of what a commit costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Insert


class Adding:
    """Runs an insert for many rows, each with a value (str, bytes, int, None) for each of these columns."""

    def __init__(self, statement: Insert, *columns: str) -> None:
        self._statement, self._columns = statement, columns
        self._written: dict[str, tuple[str, tuple[str, ...] | None]] = {}

    def execute(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert one row or more."""
        statement, order = self._written.get(connection.dialect.name) or self._write(connection)
        if order is None:
            connection.exec_driver_sql(statement, [dict(row) for row in rows])
        else:
            connection.exec_driver_sql(statement, [tuple(row[name] for name in order) for row in rows])

    def _write(self, connection: Connection) -> tuple[str, tuple[str, ...] | None]:
        compiled = self._statement.compile(dialect=connection.dialect, column_keys=list(self._columns))
        places = getattr(compiled, "positiontup", None)
        written = str(compiled), None if places is None else tuple(places)
        self._written[connection.dialect.name] = written
        return written
