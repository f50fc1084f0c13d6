"""The PostgreSQL seam: how a ledger's database is reached and made, and what its errors mean to people.

Every connection asks for commits that are on the server's disk when they return, whatever the server's
default is, and gives up on a lock after a while instead of waiting for ever. A connection that broke is
replaced. Who may change the tables or stop their triggers can still rewrite rows: `comity ledger verify`
finds that, and the countersignatures of other parties find what even the ledger's own key could hide.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL

from comity.errors import BadInput, ComityError, MissingExtra, UsageError

MAKING_LOCK: Final = 0x636F6D697479
"""The advisory lock under which tables are made: two processes may found one ledger at the same moment."""

# SQLSTATE classes and codes, from PostgreSQL's appendix A
_FULL: Final = frozenset({"53100", "54000"})
_LOCKED: Final = frozenset({"55P03", "40P01", "57014"})
_CONNECTION: Final = ("08", "57P")
_NOT_ALLOWED: Final = ("28", "42501", "3D000")


def url_engine(url: URL, *, wait: float) -> Engine:
    """The engine of a ledger in a database.

    Args:
        url: with or without the driver's name; `?options=-csearch_path%3Dnorth` keeps it in a schema.
        wait: seconds to wait for another process that holds the write lock.

    Raises:
        UsageError: for another kind of database.
        MissingExtra: if the driver is not installed.
    """
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername.partition("+")[0] != "postgresql":
        raise UsageError(f"a ledger is kept in SQLite or PostgreSQL, not in {url.drivername}")
    try:
        engine = create_engine(url, pool_pre_ping=True)
    except ImportError:
        raise MissingExtra("A ledger in PostgreSQL", "postgres") from None
    milliseconds = max(1, round(wait * 1000))

    @event.listens_for(engine, "connect")
    def settle(connection: Any, _: object) -> None:  # pyright: ignore[reportUnusedFunction]
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = on")
            cursor.execute(f"SET lock_timeout = {milliseconds}")
        connection.commit()

    return engine


def lock_for_making(connection: Connection) -> None:
    """Wait until no other process makes tables; lets go when the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MAKING_LOCK})


def explained(error: BaseException, name: str) -> ComityError:
    """What an error of psycopg means to people; `name` is the ledger's URL without its password."""
    state = getattr(error, "sqlstate", None) or ""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if state in _FULL:
        return BadInput(
            f"the server that holds the ledger {name} is out of room: nothing was written; free some space"
        )
    if state in _LOCKED:
        return BadInput(
            f"another process keeps the ledger {name} locked: nothing was written; wait for it to finish, "
            "or stop it, and ask again"
        )
    if not state or state.startswith(_CONNECTION):
        return BadInput(
            f"the ledger {name} cannot be reached ({text}): check the server, the address and the network; "
            "what was being written either is there as a whole or is not there"
        )
    if state.startswith(_NOT_ALLOWED):
        return BadInput(f"the ledger {name} cannot be opened for this ({text}): check user and rights")
    return BadInput(f"the ledger {name} cannot be used: {text}")
