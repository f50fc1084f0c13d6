"""What has been told to whom, by question: the same question again is answered with the same sums, for free.

The same question is the same weighing of the same groups of the same frame, under the same agreement and
task, at the same epsilon, by the same party; names of groupings and conversations do not count. Another party
that asks it pays for an answer of its own: it would learn otherwise what the first one has asked.

A row is written in one transaction with the answer that tells it. The database holds one row for a question,
so that no second process can answer it differently.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
)

from comity.ledger.adding import Adding
from comity.ledger.sqlite import told

if TYPE_CHECKING:
    from comity.node.books import Grouping
    from comity.validate.group_sums import GroupSum

_metadata = MetaData()
_told = Table(
    "feedback_told",
    _metadata,
    Column("question", String(64), primary_key=True),
    Column("agreement", String(64), nullable=False),
    Column("release", Integer, nullable=False),
    Column("sums", Text, nullable=False),
    sqlite_with_rowid=False,
)

_ADD: Final = Adding(insert(_told), *_told.c.keys())

_KEPT: Final = 100_000
"""Answers kept in memory, some 300 bytes each; further ones are looked up in the database."""

_TOGETHER: Final = 500


@dataclass(frozen=True)
class Told:
    """A question that was answered.

    Attributes:
        question: its digest (`question_digests`).
        agreement: the digest of the agreement that it was asked under.
        release: the place in the provider's ledger of the release that told it.
        sums: what was told, noise included.
    """

    question: str
    agreement: str
    release: int
    sums: tuple[int, ...]


class Answers:
    """All that was told at one node's desk, in the database of its state. Safe between threads."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine, self._name = engine, name
        self._lock = threading.Lock()
        self._kept: dict[str, Told] = {}
        with told(name):
            _metadata.create_all(engine)
            with engine.connect() as connection:
                rows = connection.execute(select(_told).limit(_KEPT + 1)).all()
        self._whole = len(rows) <= _KEPT
        self._remember(map(_read, rows))

    def find(self, questions: Iterable[str]) -> dict[str, Told]:
        """What was told to these questions, where something was."""
        asked = set(questions)
        with self._lock:
            found = {question: self._kept[question] for question in asked & self._kept.keys()}
            if self._whole:
                return found
        missing = sorted(asked - found.keys())
        with told(self._name), self._engine.connect() as connection:
            for start in range(0, len(missing), _TOGETHER):
                some = select(_told).where(_told.c.question.in_(missing[start : start + _TOGETHER]))
                found |= {row.question: _read(row) for row in connection.execute(some)}
        return found

    def keep(self, connection: Connection, rows: Sequence[Told]) -> None:
        """Store answers in a connection's transaction; they count once `kept` is told that it is done."""
        values = [
            {
                "question": row.question,
                "agreement": row.agreement,
                "release": row.release,
                "sums": ",".join(map(str, row.sums)),
            }
            for row in rows
        ]
        if values:
            _ADD.execute(connection, values)

    def kept(self, rows: Sequence[Told]) -> None:
        """These answers are on the disk."""
        with self._lock:
            self._remember(rows)

    def _remember(self, rows: Iterable[Told]) -> None:
        for row in rows:
            if len(self._kept) >= _KEPT:
                self._whole = False
                return
            self._kept[row.question] = row


def forget(connection: Connection, agreement: str) -> None:
    """Delete what was told under an agreement that has ended."""
    connection.execute(delete(_told).where(_told.c.agreement == agreement))


def question_digests(
    asked: Sequence[tuple[GroupSum, Grouping]], *, book: str, recipient: str, epsilon: float
) -> list[str]:
    """The digest of each question: everything that its exact answer, its noise and its price depend on.

    Args:
        asked: questions with the groupings that they are about.
        book: what agreement, task and frame are told apart by.
        recipient: who is to be told.
    """
    start = hashlib.sha256(json.dumps([book, recipient, float(epsilon).hex()]).encode())
    digests: list[str] = []
    for question, grouping in asked:
        hasher = start.copy()
        hasher.update(grouping.digest)
        hasher.update(json.dumps(question.to_list()[1]).encode())
        digests.append(hasher.hexdigest())
    return digests


def _read(row: Any) -> Told:
    return Told(row.question, row.agreement, row.release, tuple(map(int, row.sums.split(","))))
