"""What a node must not forget: sessions, every message that came in or goes out, and orders already obeyed.

A message is stored before it is acknowledged, and stored before it is sent; both are on the disk when the
call returns (SQLite with WAL and synchronous=FULL, or PostgreSQL). Rows of the in- and outbox are never
changed but for the mark that the other party has taken one, and stay until their agreement ends (`forget`);
of shares only the row stays (`comity.node.shares`). Nothing here holds a key.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Table, delete, insert, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from comity.errors import BadInput, UsageError
from comity.ledger.postgres import url_engine
from comity.ledger.sqlite import WRITING, file_engine, told
from comity.node.shares import Place, Shares, gone, is_share, size_of
from comity.node.state_tables import INBOX, ORDERS, OUTBOX, SESSIONS, migrate
from comity.wire import Kind


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
    """A message of the outbox; `content` is the digest of what was to be sent, before numbers and names.

    Attributes:
        data: empty of a share that its recipient has taken; `size` is then what it had.
        share: whether it is to be stored as one.
    """

    session: str
    recipient: str
    number: int
    kind: Kind
    topic: str
    content: str
    data: bytes
    share: bool = False
    size: int = 0
    taken: bool = False

    @property
    def place(self) -> Place:
        return Place(self.session, "out", self.recipient, self.number)


class State:
    """One node's tables. Safe between threads; one process at a time."""

    def __init__(self, engine: Engine, name: str, shares: Shares | None = None) -> None:
        self._engine = engine
        self._shares = shares
        self._putting = threading.Lock()
        self.name = name

    @property
    def engine(self) -> Engine:
        """The database, for tables of the node's that are kept beside these."""
        return self._engine

    @classmethod
    def open(cls, place: Path | str, shares: Shares | None = None) -> State:
        """The state at a path or a `postgresql://` URL, made if there is none.

        Args:
            shares: the keys of stored shares; those in `shares` beside the state's file by default.

        Raises:
            BadInput: if it cannot be used, or was written by a newer comity.
        """
        if isinstance(place, str) and "://" in place:
            state = cls(_url_engine(place), place.split("@")[-1], shares)
        else:
            beside = Shares(Path(place).absolute().parent / "shares")
            state = cls(file_engine(Path(place), wait=30.0), str(place), shares or beside)
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
        return self._insert_once(SESSIONS, values)

    def finish(self, session: str, status: Status, result: Mapping[str, Any]) -> None:
        """The session has ended: the shares that came in have served."""
        with told(self.name), self._write() as connection, connection.begin():
            connection.execute(
                update(SESSIONS)
                .where(SESSIONS.c.id == session)
                .values(status=str(status), result=json.dumps(dict(result)))
            )
        self._drop_incoming(session)

    def session(self, session: str) -> SessionRow | None:
        with told(self.name), self._engine.connect() as connection:
            row = connection.execute(select(SESSIONS).where(SESSIONS.c.id == session)).first()
        return None if row is None else _session(row)

    def has_ended(self, session: str) -> bool:
        row = self.session(session)
        return row is not None and row.status is not Status.running

    def sessions(self) -> list[SessionRow]:
        """All sessions, the oldest first."""
        with told(self.name), self._engine.connect() as connection:
            rows = connection.execute(select(SESSIONS).order_by(SESSIONS.c.opened)).all()
        return [_session(row) for row in rows]

    # messages that came in

    def put(
        self, session: str, sender: str, number: int, digest: str, data: bytes, *, share: bool = False
    ) -> bool:
        """Store a message that came in; False if this very message is stored already.

        Raises:
            BadInput: if another message has its number: it was changed on the way, or sent twice differently.
        """
        values = {"session": session, "sender": sender, "number": number, "digest": digest}
        with self._putting:  # two deliveries of one share at once would each make a key
            stored = self._stored_digest(session, sender, number)
            if stored is None:
                kept = self._kept(Place(session, "in", sender, number), data, share)
                if self._insert_once(INBOX, {**values, "data": kept}):
                    return True
                stored = self._stored_digest(session, sender, number)
        if stored != digest:
            raise BadInput(f"message {number} of '{sender}' came twice, and the second one differs")
        return False

    def _kept(self, place: Place, data: bytes, share: bool) -> bytes:
        """What is stored of a message."""
        if not share:
            return data
        if self._shares is None:
            raise UsageError(f"the node's state {self.name} was opened without a place for keys of shares")
        return self._shares.seal(place, data)

    def _opened(self, place: Place, stored: bytes) -> bytes:
        if not is_share(stored):
            return stored
        return b"" if self._shares is None else self._shares.open(place, stored)

    def _stored_digest(self, session: str, sender: str, number: int) -> str | None:
        place = _at(INBOX, session, sender, number)
        with told(self.name), self._engine.connect() as connection:
            return connection.execute(select(INBOX.c.digest).where(*place)).scalar()

    def incoming(self, session: str, sender: str, number: int) -> bytes | None:
        """The bytes of one message that came in; none at all of a share that has served."""
        place = _at(INBOX, session, sender, number)
        with told(self.name), self._engine.connect() as connection:
            stored = connection.execute(select(INBOX.c.data).where(*place)).scalar()
        return None if stored is None else self._opened(Place(session, "in", sender, number), bytes(stored))

    def used(self, session: str, sender: str, number: int) -> None:
        """Once a share that came in has served: destroy its key, delete its content. Others stay."""
        place = _at(INBOX, session, sender, number)
        with told(self.name), self._engine.connect() as connection:
            stored = connection.execute(select(INBOX.c.data).where(*place)).scalar()
        if stored is None or not is_share(bytes(stored)) or self._shares is None:
            return
        size = size_of(bytes(stored))
        self._shares.drop(Place(session, "in", sender, number))
        with told(self.name), self._write() as connection, connection.begin():
            connection.execute(update(INBOX).where(*place).values(data=gone(size)))

    def _drop_incoming(self, session: str) -> None:
        for place in [] if self._shares is None else self._shares.of(session):
            if place.box == "in":
                self.used(session, place.peer, place.number)

    def tidy(self) -> None:
        """Destroy the keys of shares that a crash has left: they were used or taken, or not stored at all."""
        for place in [] if self._shares is None else list(self._shares.all()):
            if place.box == "in" and self.has_ended(place.session):
                self.used(place.session, place.peer, place.number)
            elif place.box == "out" and self._shares is not None:
                sent = self.outgoing(place.session, place.peer, place.number)
                if sent is None or sent.taken:
                    self._shares.drop(place)

    def received(self, session: str, sender: str) -> int:
        """How many messages of this sender are stored: the number that is due next."""
        chosen = select(INBOX.c.number).where(INBOX.c.session == session, INBOX.c.sender == sender)
        with told(self.name), self._engine.connect() as connection:
            last = connection.execute(chosen.order_by(INBOX.c.number.desc()).limit(1)).scalar()
        return 0 if last is None else last + 1

    # messages that go out

    def keep(self, sent: Sent) -> None:
        """Store a message before it is sent."""
        with told(self.name), self._write() as connection, connection.begin():
            connection.execute(
                insert(OUTBOX).values(
                    session=sent.session,
                    recipient=sent.recipient,
                    number=sent.number,
                    kind=str(sent.kind),
                    topic=sent.topic[:200],
                    content=sent.content,
                    data=self._kept(sent.place, sent.data, sent.share),
                    taken=False,
                )
            )

    def outgoing(self, session: str, recipient: str, number: int) -> Sent | None:
        place = (
            OUTBOX.c.session == session,
            OUTBOX.c.recipient == recipient,
            OUTBOX.c.number == number,
        )
        with told(self.name), self._engine.connect() as connection:
            row = connection.execute(select(OUTBOX).where(*place)).first()
        return None if row is None else self._sent(row)

    def _sent(self, row: Any) -> Sent:
        stored = bytes(row.data)
        data = self._opened(Place(row.session, "out", row.recipient, row.number), stored)
        return Sent(
            session=row.session,
            recipient=row.recipient,
            number=row.number,
            kind=Kind(row.kind),
            topic=row.topic,
            content=row.content,
            data=data,
            share=is_share(stored),
            size=size_of(stored),
            taken=row.taken,
        )

    def next_undelivered(self, recipient: str) -> list[Sent]:
        """The first message of every session that this recipient has not taken yet."""
        waiting = (OUTBOX.c.recipient == recipient, OUTBOX.c.taken.is_(False))
        with told(self.name), self._engine.connect() as connection:
            keys = connection.execute(
                select(OUTBOX.c.session, OUTBOX.c.number).where(*waiting).order_by(OUTBOX.c.number)
            ).all()
        first: dict[str, int] = {}
        for session, number in keys:
            first.setdefault(session, number)
        found = [self.outgoing(session, recipient, number) for session, number in first.items()]
        return [sent for sent in found if sent is not None]

    def taken(self, sent: Sent) -> None:
        """Mark that the recipient has a message, or will never take it. A share has then served."""
        values: dict[str, Any] = {"taken": True}
        if sent.share:
            values["data"] = gone(sent.size)
        with told(self.name), self._write() as connection, connection.begin():
            connection.execute(
                update(OUTBOX)
                .where(
                    OUTBOX.c.session == sent.session,
                    OUTBOX.c.recipient == sent.recipient,
                    OUTBOX.c.number == sent.number,
                )
                .values(**values)
            )
        if sent.share and self._shares is not None:
            self._shares.drop(sent.place)

    def forget(self, session: str) -> int:
        """Delete a session's stored messages, its agreement having ended; how many. If it ran, it stops."""
        refused = {
            "code": "clause-refused",
            "message": "its agreement has ended, its messages were deleted",
        }
        deleted = 0
        if self._shares is not None:
            self._shares.drop_all(session)
        with told(self.name), self._write() as connection, connection.begin():
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete = ON")
            for table in (INBOX, OUTBOX):
                deleted += connection.execute(delete(table).where(table.c.session == session)).rowcount
            connection.execute(
                update(SESSIONS)
                .where(SESSIONS.c.id == session, SESSIONS.c.status == str(Status.running))
                .values(status=str(Status.refused), result=json.dumps(refused))
            )
        return deleted

    # orders of the party's own people

    def claim_order(self, name: str) -> bool:
        """Whether this order is new; a repeated one is not obeyed again."""
        return self._insert_once(ORDERS, {"name": name})

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


def _url_engine(place: str) -> Engine:
    url = make_url(place)
    if url.get_backend_name() != "postgresql":
        raise UsageError("a node's state is kept in SQLite or PostgreSQL: give a path or postgresql://...")
    return url_engine(url, wait=30.0)
