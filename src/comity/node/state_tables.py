"""The tables of a node's state, and the steps that bring older ones up to this version's."""

from __future__ import annotations

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
    insert,
    inspect,
    select,
    update,
)

from comity.errors import BadInput
from comity.ledger.sqlite import WRITING

FORMAT = 2
"""The version of these tables. `migrate` brings older ones up to it: 2 stores shares sealed."""

_metadata = MetaData()
_about = Table("comity_node", _metadata, Column("format", Integer, primary_key=True, autoincrement=False))
SESSIONS = Table(
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
INBOX = Table(
    "inbox",
    _metadata,
    Column("session", String(64), primary_key=True),
    Column("sender", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
    Column("data", LargeBinary, nullable=False),
)
OUTBOX = Table(
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
ORDERS = Table("orders", _metadata, Column("name", String(64), primary_key=True))


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
        elif present < FORMAT:
            connection.execute(update(_about).values(format=FORMAT))


def _present_format(connection: Connection) -> int | None:
    if not inspect(connection).has_table(_about.name):
        return None
    return connection.execute(select(_about.c.format)).scalar()
