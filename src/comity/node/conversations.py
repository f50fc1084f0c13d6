"""Feedback conversations as a node keeps them: every message that was answered, with the answer's bytes.

A row is written once, with its answer, before the answer leaves; several are written in one commit. Messages
that registered something are kept whole, since a restart needs them; of a question its digest is enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    Column,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
)

from comity.ledger.adding import Adding
from comity.ledger.sqlite import WRITING, told
from comity.node.told import Answers, Told, forget

_metadata = MetaData()
_answered = Table(
    "feedback",
    _metadata,
    Column("at", Integer, primary_key=True, autoincrement=True),
    Column("session", String(64), nullable=False),
    Column("sender", String(64), nullable=False),
    Column("agreement", String(64), nullable=False),
    Column("number", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("plan", String(64)),
    Column("request", LargeBinary),
    Column("answer", LargeBinary, nullable=False),
    UniqueConstraint("session", "number"),
)


_ADD = Adding(insert(_answered), *(column.name for column in _answered.c if column.name != "at"))


@dataclass(frozen=True)
class Answered:
    """A message of a conversation, answered.

    Attributes:
        digest: SHA-256 of its bytes.
        plan: the name of the plan that it was taken through the gate with, if it was.
        request: its bytes, where it registered something; None for a question.
        answer: the bytes that it was answered with; empty where it was taken without a word.
    """

    session: str
    sender: str
    agreement: str
    number: int
    digest: str
    plan: str | None
    request: bytes | None
    answer: bytes


class Conversations:
    """One node's conversations, in the database of its state.

    Attributes:
        told: what was told, by question.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine, self._name = engine, name
        with told(name):
            _metadata.create_all(engine)
        self.told = Answers(engine, name)

    def keep(self, rows: Sequence[Answered], answers: Sequence[Told] = ()) -> None:
        """Store answered messages, and what they told, in one transaction; on the disk when it returns."""
        values = [vars(row) for row in rows]
        writing = self._engine.connect().execution_options(**{WRITING: True})
        with told(self._name), writing as connection, connection.begin():
            _ADD.execute(connection, values)
            self.told.keep(connection, answers)
        self.told.kept(answers)

    def find(self, session: str, number: int) -> Answered | None:
        """One answered message."""
        place = (_answered.c.session == session, _answered.c.number == number)
        with told(self._name), self._engine.connect() as connection:
            row = connection.execute(select(_answered).where(*place)).first()
        return None if row is None else _read(row)

    def due(self, session: str) -> int:
        """The number that is due next."""
        count = select(func.count()).where(_answered.c.session == session)
        with told(self._name), self._engine.connect() as connection:
            return int(connection.execute(count).scalar_one())

    def registered(self) -> Iterator[Answered]:
        """The messages that registered something and were taken, in the order in which they were."""
        kept = select(_answered).where(_answered.c.request.is_not(None), _answered.c.answer == b"")
        with told(self._name), self._engine.connect() as connection:
            for row in connection.execute(kept.order_by(_answered.c.at)):
                yield _read(row)

    def plans(self) -> set[str]:
        """The names of all plans whose answers are stored."""
        named = select(_answered.c.plan).where(_answered.c.plan.is_not(None))
        with told(self._name), self._engine.connect() as connection:
            return set(connection.execute(named).scalars())

    def forget(self, agreement: str) -> int:
        """Delete all conversations under an agreement that has ended; how many messages."""
        writing = self._engine.connect().execution_options(**{WRITING: True})
        with told(self._name), writing as connection, connection.begin():
            forget(connection, agreement)
            return connection.execute(delete(_answered).where(_answered.c.agreement == agreement)).rowcount


def _read(row: object) -> Answered:
    values = dict(row._mapping)  # type: ignore[attr-defined]
    values.pop("at")
    return Answered(**values)
