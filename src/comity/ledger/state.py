"""What a process knows of a ledger: the tree's frontier, the accounts and the last checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from comity.crypto.keys import SigningKey, VerifyKey
from comity.errors import BadInput, VerificationFailed
from comity.ledger.checkpoints import Checkpoint
from comity.ledger.currency import ORDERS
from comity.ledger.entries import Entry, now
from comity.ledger.memory import Memory
from comity.ledger.merkle import Frontier
from comity.ledger.replay import Accounts
from comity.ledger.store import Store

LEDGER_FORMAT = 1
COMMITTED = "table commitment"
"""What the note of a commitment to a table says it is."""

WRITTEN_ORDERS = [f"{order:g}" if order < math.inf else "inf" for order in ORDERS]


class State:
    """Advances entry by entry, and only over entries that fit what is already known."""

    def __init__(self, name: str) -> None:
        self.accounts = Accounts()
        self.memory = Memory()
        self.ended: dict[str, Mapping[str, Any]] = {}
        self.committed: dict[str, str] = {}
        self._name = name
        self._frontier = Frontier()
        self._head: Checkpoint | None = None
        self._owner = ""
        self._key: VerifyKey | None = None

    @property
    def size(self) -> int:
        return self._frontier.size

    @property
    def head(self) -> Checkpoint:
        """The checkpoint of all entries known."""
        if self._head is None:
            raise VerificationFailed(f"the ledger {self._name} has no checkpoint")
        return self._head

    @property
    def key(self) -> VerifyKey:
        if self._key is None:
            raise VerificationFailed(f"the ledger {self._name} is not founded: its first entry names no key")
        return self._key

    @property
    def next_path(self) -> tuple[bytes, ...]:
        """The inclusion path that the next leaf will have under the next root: every peak is on its left."""
        return tuple(reversed(self._frontier.peaks))

    @property
    def owner(self) -> str:
        return self._owner

    def catch_up(self, store: Store, connection: Connection) -> None:
        """Take in the entries that others appended, and hold them against the last checkpoint.

        Raises:
            VerificationFailed: naming the row, if they do not fit.
        """
        for row in store.rows(connection, self.size):
            if row.seq != self.size:
                raise VerificationFailed(f"seq {self.size} is missing from the ledger {self._name}")
            self._take(Entry.read(row))
        head = store.head(connection)
        if head != self._head:
            self._check(head)
            self._head = head

    def next(self, kind: str, body: Mapping[str, Any], key: SigningKey) -> tuple[Entry, Checkpoint]:
        """The entry and checkpoint that would come next; nothing changes until `accept`."""
        entry = Entry.make(self.size, kind, body)
        frontier = self._frontier.append(entry.leaf)
        first = entry.leaf if self._head is None else self._head.ledger
        head = Checkpoint.sign(key, ledger=first, size=frontier.size, root=frontier.root(), time=now())
        return entry, head

    def accept(self, entry: Entry, head: Checkpoint) -> None:
        """Take in what was just appended."""
        self._take(entry)
        self._head = head

    def trial(self, key: SigningKey) -> Trial:
        """Entries to come, on trial; nothing changes here until `accept_trial`."""
        first = None if self._head is None else self._head.ledger
        return Trial(self.accounts.copy(), self._frontier, first, key)

    def accept_trial(self, trial: Trial) -> None:
        """Take in what was just appended together."""
        for entry in trial.entries:
            self._heed(replace(entry, checkpoint=None, path=None))
        self.accounts, self._frontier = trial.accounts, trial.frontier
        self._head = trial.entries[-1].checkpoint

    def _heed(self, entry: Entry) -> None:
        if entry.kind == "note" and isinstance(entry.body.get("ended"), str):
            self.ended.setdefault(entry.body["ended"], entry.body)
        if entry.kind == "note" and entry.body.get("what") == COMMITTED:
            lineage = str(entry.body.get("account")).rpartition("/")[0]
            # `commitments.record` lets another one take its place until the first charge
            self.committed[lineage] = str(entry.body["commitment"]["digest"])
        self.memory.take(entry)

    def _take(self, entry: Entry) -> None:
        if entry.seq == 0:
            self._owner, self._key = founded(entry)
        try:
            self.accounts.apply(entry.kind, entry.body)
        except BadInput as error:
            raise VerificationFailed(f"seq {entry.seq}: {error}") from None
        self._heed(entry)
        self._frontier = self._frontier.append(entry.leaf)

    def _check(self, head: Checkpoint | None) -> None:
        if head is None or head.size != self.size:
            stored = 0 if head is None else head.size
            raise VerificationFailed(
                f"the ledger {self._name} has {self.size} entries and a checkpoint of {stored}: "
                "entries or checkpoints were cut off"
            )
        if head.root != self._frontier.root():
            raise VerificationFailed(
                f"the entries of the ledger {self._name} are not the ones that were signed: seq "
                f"{self.size - 1} or an earlier one was changed (comity ledger verify finds which)"
            )
        head.verify(self.key)


class Trial:
    """Entries that are to be appended in one transaction, each with its own signed checkpoint.

    Attributes:
        accounts: as they will be after these entries: the next decision is made over them.
        frontier: the tree's, likewise.
        entries: so far, in order.
    """

    def __init__(self, accounts: Accounts, frontier: Frontier, first: bytes | None, key: SigningKey) -> None:
        self.accounts = accounts
        self.frontier = frontier
        self.entries: list[Entry] = []
        self._first = first
        self._key = key

    def add(self, kind: str, body: Mapping[str, Any]) -> None:
        """One more entry."""
        entry = Entry.make(self.frontier.size, kind, body)
        path = tuple(reversed(self.frontier.peaks))
        self.frontier = self.frontier.append(entry.leaf)
        head = Checkpoint.sign(
            self._key,
            ledger=self._first or entry.leaf,
            size=self.frontier.size,
            root=self.frontier.root(),
            time=entry.time,
        )
        self.accounts.apply(kind, entry.body)
        self.entries.append(replace(entry, checkpoint=head, path=path))


def founded(entry: Entry) -> tuple[str, VerifyKey]:
    """Owner and key that the first entry names.

    Raises:
        VerificationFailed: if it is not the first entry of a ledger that this comity reads.
    """
    body = entry.body
    if entry.kind != "founded" or set(body) != {"format", "owner", "key", "orders"}:
        raise VerificationFailed(
            f"seq {entry.seq}: a ledger begins with its founding, not with '{entry.kind}'"
        )
    if body["format"] != LEDGER_FORMAT or body["orders"] != WRITTEN_ORDERS:
        raise VerificationFailed(
            "seq 0: the ledger was founded in another format, or with other Renyi orders"
        )
    try:
        return str(body["owner"]), VerifyKey.parse(str(body["key"]))
    except BadInput as error:
        raise VerificationFailed(f"seq 0: {error}") from None
