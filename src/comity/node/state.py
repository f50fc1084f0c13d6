"""What a node must not forget: sessions, every message that came in or goes out, and orders already obeyed.

A message is stored before it is acknowledged, and stored before it is sent; both are on the disk when the
call returns (SQLite with WAL and synchronous=FULL, or PostgreSQL). Rows of the in- and outbox are never
changed but for the mark that the other party has taken one, and stay until their agreement ends (`forget`).
Nothing here holds a key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from comity.errors import BadInput, UsageError
from comity.ledger.postgres import url_engine
from comity.ledger.sqlite import WRITING, file_engine, told
from comity.wire import Kind

FORMAT = 1
"""The version of these tables. `migrate` brings older ones up to it."""

_metadata = MetaData()
_about = Table("comity_node", _metadata, Column("format", Integer, primary_key=True, autoincrement=False))
_sessions = Table(
    "sessions",
    _metadata,
    Column("id", String(64), primary_key=True),
    Column("agreement", String(64), nullable=False),
    Column("architecture", String(64), nullable=False),
    Column("opener", String(64), nullable=False),
    Column("opened", String(32), nullable=False),
    Column("terms", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("result", Text, nullable=False),
)
_inbox = Table(
    "inbox",
    _metadata,
    Column("session", String(64), primary_key=True),
    Column("sender", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
    Column("data", LargeBinary, nullable=False),
)
_outbox = Table(
    "outbox",
    _metadata,
    Column("session", String(64), primary_key=True),
    Column("recipient", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("topic", String(200), nullable=False),
    Column("content", String(64), nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("taken", Boolean, nullable=False),
)
_orders = Table("orders", _metadata, Column("name", String(64), primary_key=True))


class Status(StrEnum):
    """Where a session stands at this party."""

    running = "running"
    done = "done"
    failed = "failed"
    refused = "refused"


@dataclass(frozen=True)
class SessionRow:
    """A session as stored. `terms` holds task and options; `result` figures and cost, or what went wrong."""

    id: str
    agreement: str
    architecture: str
    opener: str
    opened: str
    terms: Mapping[str, Any]
    status: Status
    result: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """What `comity node status` shows; the task's schema is left out."""
        return {
            "session": self.id,
            "agreement": self.agreement,
            "architecture": self.architecture,
            "opener": self.opener,
            "opened": self.opened,
            "status": str(self.status),
            "result": dict(self.result),
        }


@dataclass(frozen=True)
class Sent:
    """A message of the outbox; `content` is the digest of what was to be sent, before numbers and names."""

    session: str
    recipient: str
    number: int
    kind: Kind
    topic: str
    content: str
    data: bytes


class State:
    """One node's tables. Safe between threads; one process at a time."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self.name = name

    @property
    def engine(self) -> Engine:
        """The database, for tables of the node's that are kept beside these."""
        return self._engine

    @classmethod
    def open(cls, place: Path | str) -> State:
        """The state at a path or a `postgresql://` URL, made if there is none.

        Raises:
            BadInput: if it cannot be used, or was written by a newer comity.
        """
        if isinstance(place, str) and "://" in place:
            state = cls(_url_engine(place), place.split("@")[-1])
        else:
            state = cls(file_engine(Path(place), wait=30.0), str(place))
        with told(state.name):
            migrate(state._engine, state.name)
        return state

    def close(self) -> None:
        self._engine.dispose()

    def _write(self):
        return self._engine.connect().execution_options(**{WRITING: True})

    # sessions

    def begin(self, row: SessionRow) -> bool:
        """Store a new session; False if it is there already."""
        values = {
            "id": row.id,
            "agreement": row.agreement,
            "architecture": row.architecture,
            "opener": row.opener,
            "opened": row.opened,
            "terms": json.dumps(dict(row.terms)),
            "status": str(row.status),
            "result": json.dumps(dict(row.result)),
        }
        return self._insert_once(_sessions, values)

    def finish(self, session: str, status: Status, result: Mapping[str, Any]) -> None:
        with told(self.name), self._write() as connection, connection.begin():
            connection.execute(
                update(_sessions)
                .where(_sessions.c.id == session)
                .values(status=str(status), result=json.dumps(dict(result)))
            )

    def session(self, session: str) -> SessionRow | None:
        with told(self.name), self._engine.connect() as connection:
            row = connection.execute(select(_sessions).where(_sessions.c.id == session)).first()
        return None if row is None else _session(row)

    def sessions(self) -> list[SessionRow]:
        """All sessions, the oldest first."""
        with told(self.name), self._engine.connect() as connection:
            rows = connection.execute(select(_sessions).order_by(_sessions.c.opened)).all()
        return [_session(row) for row in rows]

    # messages that came in

    def put(self, session: str, sender: str, number: int, digest: str, data: bytes) -> bool:
        """Store a message that came in; False if this very message is stored already.

        Raises:
            BadInput: if another message has its number: it was changed on the way, or sent twice differently.
        """
        values = {"session": session, "sender": sender, "number": number, "digest": digest, "data": data}
        if self._insert_once(_inbox, values):
            return True
        if self._stored_digest(session, sender, number) != digest:
            raise BadInput(f"message {number} of '{sender}' came twice, and the second one differs")
        return False

    def _stored_digest(self, session: str, sender: str, number: int) -> str | None:
        place = _at(_inbox, session, sender, number)
        with told(self.name), self._engine.connect() as connection:
            return connection.execute(select(_inbox.c.digest).where(*place)).scalar()

    def incoming(self, session: str, sender: str, number: int) -> bytes | None:
        """The bytes of one message that came in."""
        place = _at(_inbox, session, sender, number)
        with told(self.name), self._engine.connect() as connection:
            return connection.execute(select(_inbox.c.data).where(*place)).scalar()

    def received(self, session: str, sender: str) -> int:
        """How many messages of this sender are stored: the number that is due next."""
        chosen = select(_inbox.c.number).where(_inbox.c.session == session, _inbox.c.sender == sender)
        with told(self.name), self._engine.connect() as connection:
            last = connection.execute(chosen.order_by(_inbox.c.number.desc()).limit(1)).scalar()
        return 0 if last is None else last + 1

    # messages that go out

    def keep(self, sent: Sent) -> None:
        """Store a message before it is sent."""
        with told(self.name), self._write() as connection, connection.begin():
            connection.execute(
                insert(_outbox).values(
                    session=sent.session,
                    recipient=sent.recipient,
                    number=sent.number,
                    kind=str(sent.kind),
                    topic=sent.topic[:200],
                    content=sent.content,
                    data=sent.data,
                    taken=False,
                )
            )

    def outgoing(self, session: str, recipient: str, number: int) -> Sent | None:
        place = (
            _outbox.c.session == session,
            _outbox.c.recipient == recipient,
            _outbox.c.number == number,
        )
        with told(self.name), self._engine.connect() as connection:
            row = connection.execute(select(_outbox).where(*place)).first()
        return None if row is None else _sent(row)

    def next_undelivered(self, recipient: str) -> list[Sent]:
        """The first message of every session that this recipient has not taken yet."""
        waiting = (_outbox.c.recipient == recipient, _outbox.c.taken.is_(False))
        with told(self.name), self._engine.connect() as connection:
            keys = connection.execute(
                select(_outbox.c.session, _outbox.c.number).where(*waiting).order_by(_outbox.c.number)
            ).all()
        first: dict[str, int] = {}
        for session, number in keys:
            first.setdefault(session, number)
        found = [self.outgoing(session, recipient, number) for session, number in first.items()]
        return [sent for sent in found if sent is not None]

    def taken(self, sent: Sent) -> None:
        """Mark that the recipient has a message, or will never take it."""
        with told(self.name), self._write() as connection, connection.begin():
            connection.execute(
                update(_outbox)
                .where(
                    _outbox.c.session == sent.session,
                    _outbox.c.recipient == sent.recipient,
                    _outbox.c.number == sent.number,
                )
                .values(taken=True)
            )

    def forget(self, session: str) -> int:
        """Delete a session's stored messages, its agreement having ended; how many. If it ran, it stops."""
        refused = {
            "code": "clause-refused",
            "message": "its agreement has ended, its messages were deleted",
        }
        gone = 0
        with told(self.name), self._write() as connection, connection.begin():
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete = ON")
            for table in (_inbox, _outbox):
                gone += connection.execute(delete(table).where(table.c.session == session)).rowcount
            connection.execute(
                update(_sessions)
                .where(_sessions.c.id == session, _sessions.c.status == str(Status.running))
                .values(status=str(Status.refused), result=json.dumps(refused))
            )
        return gone

    # orders of the party's own people

    def claim_order(self, name: str) -> bool:
        """Whether this order is new; a repeated one is not obeyed again."""
        return self._insert_once(_orders, {"name": name})

    def _insert_once(self, table: Table, values: Mapping[str, Any]) -> bool:
        try:
            with told(self.name), self._write() as connection, connection.begin():
                connection.execute(insert(table).values(**values))
        except BadInput as error:
            if isinstance(error.__cause__, IntegrityError):
                return False
            raise
        return True


def now() -> str:
    """The present moment in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def migrate(engine: Engine, name: str) -> None:
    """Make the tables, or bring older ones up to this version's; each step in one transaction.

    Raises:
        BadInput: if a newer comity wrote them.
    """
    with engine.connect().execution_options(**{WRITING: True}) as connection, connection.begin():
        present = _present_format(connection)
        if present is None:
            _metadata.create_all(connection)
            connection.execute(insert(_about).values(format=FORMAT))
        elif present > FORMAT:
            raise BadInput(
                f"the node's state {name} has format {present}, and this comity knows formats up to "
                f"{FORMAT}: start it with the newer version"
            )


def _present_format(connection: Connection) -> int | None:
    if not inspect(connection).has_table(_about.name):
        return None
    return connection.execute(select(_about.c.format)).scalar()


def _at(table: Table, session: str, sender: str, number: int):
    return table.c.session == session, table.c.sender == sender, table.c.number == number


def _session(row: Any) -> SessionRow:
    return SessionRow(
        id=row.id,
        agreement=row.agreement,
        architecture=row.architecture,
        opener=row.opener,
        opened=row.opened,
        terms=json.loads(row.terms),
        status=Status(row.status),
        result=json.loads(row.result),
    )


def _sent(row: Any) -> Sent:
    return Sent(
        row.session, row.recipient, row.number, Kind(row.kind), row.topic, row.content, bytes(row.data)
    )


def _url_engine(place: str) -> Engine:
    url = make_url(place)
    if url.get_backend_name() != "postgresql":
        raise UsageError("a node's state is kept in SQLite or PostgreSQL: give a path or postgresql://...")
    return url_engine(url, wait=30.0)
