"""The ledger's tables and the statements over them, for SQLite and Postgres alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    insert,
    select,
)

FORMAT: Final = 1
"""The version of what is stored; another one is refused."""


class Blob(LargeBinary):
    """Bytes; a stored value of another type reads as none, so that its row fails its hash."""

    cache_ok = True

    def result_processor(self, dialect: object, coltype: object) -> Any:
        return _bytes_or_none


def _bytes_or_none(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


_Whole = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()

ledger = Table(
    "comity_ledger",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("format", Integer, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("seq", _Whole, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("event", Blob, nullable=False),
    Column("salt", Blob, nullable=False),
    Column("leaf", Blob, nullable=False),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("size", _Whole, primary_key=True, autoincrement=False),
    Column("ledger", Blob, nullable=False),
    Column("root", Blob, nullable=False),
    Column("time", String(32), nullable=False),
    Column("agreement", String(128)),
    Column("signature", Blob, nullable=False),
)

LOCK = select(ledger.c.format).where(ledger.c.id == 1).with_for_update()
"""Takes the ledger's row; on SQLite, where the transaction has the lock already, it only reads it."""

ADD_EVENT = insert(events)
ADD_CHECKPOINT = insert(checkpoints)
ROWS = (
    select(events)
    .where(events.c.seq >= bindparam("start"))
    .order_by(events.c.seq)
    .execution_options(yield_per=1000)
)
HEAD = select(checkpoints).order_by(checkpoints.c.size.desc()).limit(1)

GUARDED: Final = ("events", "checkpoints")
"""The tables that are only ever added to; the database itself refuses anything else."""

_ONLY_ADDED: Final = "a ledger is only added to: rows are never changed, deleted or replaced"

_SQLITE_GUARDS: Final = tuple(
    f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
    f"BEGIN SELECT RAISE(ABORT, '{_ONLY_ADDED}'); END"
    for table in GUARDED
    for verb in ("UPDATE", "DELETE")
)

_POSTGRES_GUARDS: Final = (
    "CREATE OR REPLACE FUNCTION comity_only_added() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{_ONLY_ADDED}' USING ERRCODE = 'integrity_constraint_violation'; END $$",
    *(
        f"CREATE OR REPLACE TRIGGER {table}_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION comity_only_added()"
        for table in GUARDED
    ),
)

GUARDS: Final[Mapping[str, tuple[str, ...]]] = {"sqlite": _SQLITE_GUARDS, "postgresql": _POSTGRES_GUARDS}
"""By dialect, the statements that make the database refuse to change what is there; again does no harm."""

COUNT_GUARDS: Final[Mapping[str, str]] = {
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name GLOB '*_no_*'",
    "postgresql": (
        "SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
        "WHERE t.tgname = c.relname || '_only_added' AND t.tgenabled <> 'D' "
        "AND c.relnamespace = current_schema()::regnamespace"
    ),
}
"""By dialect, how many of those triggers there are and are switched on."""

GUARD_COUNT: Final[Mapping[str, int]] = {"sqlite": 2 * len(GUARDED), "postgresql": len(GUARDED)}
