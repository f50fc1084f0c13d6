"""Where the ledger is kept: one table of entries and one of checkpoints, in SQLite or Postgres.

Appends happen one at a time, across processes: on SQLite a writing transaction begins with the write lock
(BEGIN IMMEDIATE), on Postgres it locks the single row of the table `comity_ledger`. A commit is on the disk
when it returns (WAL with synchronous=FULL; synchronous_commit). Nothing is ever updated or deleted, and the
database's own triggers refuse to.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, insert, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from comity.errors import BadInput, UsageError
from comity.ledger.adding import Adding
from comity.ledger.checkpoints import Checkpoint
from comity.ledger.entries import Entry, Row
from comity.ledger.postgres import lock_for_making, url_engine
from comity.ledger.sqlite import WRITING, copy_engine, file_engine, memory_engine, told
from comity.ledger.tables import (
    ADD_CHECKPOINT,
    ADD_EVENT,
    COUNT_GUARDS,
    FORMAT,
    GUARD_COUNT,
    GUARDS,
    HEAD,
    LOCK,
    ROWS,
    checkpoints,
    events,
    ledger,
    metadata,
)

Place = str | Path
"""A path, `:memory:`, or a database URL."""


_EVENTS: Final = Adding(ADD_EVENT, *events.c.keys())
_CHECKPOINTS: Final = Adding(ADD_CHECKPOINT, *checkpoints.c.keys())


class Store:
    """One ledger's tables. `name` is how messages call it: its path, or its URL without the password."""

    def __init__(self, engine: Engine, name: str, after: Callable[[], None]) -> None:
        self.name = name
        self._engine = engine
        self._after = after

    @classmethod
    def open(cls, place: Place, *, wait: float = 30.0) -> Store:
        """The store at a place, made if there is none: a path, `:memory:`, or a database URL.

        Raises:
            BadInput: if it cannot be used, or holds something else.
        """
        where = _located(place)
        if isinstance(where, URL):
            store = cls(url_engine(where, wait=wait), where.render_as_string(hide_password=True), _nothing)
        elif where is None:
            store = cls(memory_engine(), ":memory:", _nothing)
        else:
            store = cls(file_engine(where, wait=wait), str(where), _nothing)
        try:
            store._prepare()
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def open_copy(cls, place: Place) -> Store:
        """The store at a place, to be read only; its file may be a copy on a medium that cannot be written.

        Raises:
            BadInput: if there is none.
        """
        where = _located(place)
        if where is None:
            raise UsageError("a ledger in memory has no copy to read; give its path or URL")
        if isinstance(where, URL):
            store = cls(url_engine(where, wait=30), where.render_as_string(hide_password=True), _nothing)
        else:
            engine, after = copy_engine(where)
            store = cls(engine, str(where), after)
        try:
            with told(store.name), store._engine.connect() as connection:
                if not inspect(connection).has_table(ledger.name):
                    raise BadInput(f"{store.name} holds no ledger")
                store._check_format(connection)
        except BaseException:
            store.close()
            raise
        return store

    @property
    def path(self) -> Path | None:
        """The file, where it is one."""
        return None if self.name == ":memory:" or "://" in self.name else Path(self.name)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()
        self._after()

    @contextmanager
    def writing(self) -> Generator[Connection, None, None]:
        """A transaction that holds the ledger's lock; durable when it ends, undone if it raises."""
        with told(self.name), self._begin(writing=True) as connection:
            connection.execute(LOCK)
            yield connection

    @contextmanager
    def reading(self) -> Generator[Connection, None, None]:
        """A transaction that sees one state of the ledger."""
        with told(self.name), self._begin(writing=False) as connection:
            yield connection

    def rows(self, connection: Connection, start: int = 0) -> Iterator[Row]:
        """The entries from `start` on, in order."""
        for seq, kind, event, salt, leaf in connection.execute(ROWS, {"start": start}):
            yield Row(seq, kind, event, salt, leaf)

    def row(self, connection: Connection, seq: int) -> Row | None:
        """One entry."""
        found = connection.execute(select(events).where(events.c.seq == seq)).first()
        return None if found is None else Row(found.seq, found.kind, found.event, found.salt, found.leaf)

    def leaves(self, connection: Connection, start: int, stop: int) -> list[bytes]:
        """The leaf hashes of the entries from `start` up to `stop`."""
        chosen = (events.c.seq >= start) & (events.c.seq < stop)
        query = select(events.c.leaf).where(chosen).order_by(events.c.seq)
        return [leaf for (leaf,) in connection.execute(query)]

    def head_at(self, connection: Connection, size: int) -> Checkpoint | None:
        """The checkpoint of a size."""
        row = connection.execute(select(checkpoints).where(checkpoints.c.size == size)).first()
        return None if row is None else _checkpoint(*row)

    def heads(self, connection: Connection) -> Iterator[Checkpoint]:
        """All checkpoints, by size."""
        for row in connection.execute(select(checkpoints).order_by(checkpoints.c.size)):
            yield _checkpoint(*row)

    def head(self, connection: Connection) -> Checkpoint | None:
        """The checkpoint of the largest size."""
        row = connection.execute(HEAD).first()
        return None if row is None else _checkpoint(*row)

    def add(self, connection: Connection, *added: tuple[Entry, Checkpoint]) -> None:
        """Append entries, each with its checkpoint."""
        _EVENTS.execute(connection, [_entry_row(entry) for entry, _ in added])
        _CHECKPOINTS.execute(connection, [_checkpoint_row(head) for _, head in added])

    def _prepare(self) -> None:
        """Make the tables and their guards, unless they are there."""
        with told(self.name), self._engine.connect() as connection:
            made = inspect(connection).has_table(ledger.name) and _guarded(connection)
        if not made:
            with told(self.name), self._begin(writing=True) as connection:
                if connection.dialect.name == "postgresql":
                    lock_for_making(connection)
                self._make_tables(connection)
        with told(self.name), self._engine.connect() as connection:
            self._check_format(connection)

    @contextmanager
    def _begin(self, *, writing: bool) -> Generator[Connection, None, None]:
        connected = self._engine.connect()
        chosen = options(connected.dialect.name, writing=writing)
        with connected.execution_options(**chosen) as connection, connection.begin():
            yield connection

    def _make_tables(self, connection: Connection) -> None:
        present = set(inspect(connection).get_table_names())
        if ledger.name not in present:
            if connection.dialect.name == "sqlite" and present:
                raise BadInput(
                    f"{self.name} is a database of something else; give the ledger a file of its own"
                )
            metadata.create_all(connection)
            connection.execute(insert(ledger).values(id=1, format=FORMAT))
        for statement in GUARDS[connection.dialect.name]:
            connection.exec_driver_sql(statement)

    def _check_format(self, connection: Connection) -> None:
        stored = connection.execute(select(ledger.c.format)).scalar()
        if stored != FORMAT:
            raise BadInput(f"the ledger {self.name} has format {stored}, this comity reads format {FORMAT}")


def options(dialect: str, *, writing: bool) -> dict[str, Any]:
    """Of a transaction. Readers see one state throughout: SQLite's do by themselves, Postgres's must ask."""
    if dialect == "sqlite":
        return {WRITING: writing}
    return {} if writing else {"isolation_level": "REPEATABLE READ"}


def _entry_row(entry: Entry) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "kind": entry.kind,
        "event": entry.event,
        "salt": entry.salt,
        "leaf": entry.leaf,
    }


def _checkpoint_row(head: Checkpoint) -> dict[str, Any]:
    return {
        "size": head.size,
        "ledger": head.ledger,
        "root": head.root,
        "time": head.time,
        "agreement": head.agreement,
        "signature": head.signature,
    }


def _checkpoint(
    size: int, ledger: bytes, root: bytes, time: str, agreement: str | None, signature: bytes
) -> Checkpoint:
    return Checkpoint(ledger, size, root, time, agreement, signature)


def _located(place: Place) -> URL | Path | None:
    """A URL, a path, or None for memory."""
    text = str(place)
    if text == ":memory:":
        return None
    if isinstance(place, Path) or "://" not in text:
        if not text.strip():
            raise UsageError("give the ledger's path or URL")
        return Path(place)
    try:
        url = make_url(text)
    except ArgumentError:
        raise UsageError(
            "the ledger's URL cannot be read; write for example postgresql://host/database"
        ) from None
    if url.get_backend_name() == "sqlite":
        return Path(url.database) if url.database and url.database != ":memory:" else None
    return url


def _guarded(connection: Connection) -> bool:
    """Whether the database refuses by itself to change what is there."""
    dialect = connection.dialect.name
    count = connection.exec_driver_sql(COUNT_GUARDS[dialect]).scalar_one()
    return count >= GUARD_COUNT[dialect]


def _nothing() -> None:
    return
