"""A ledger read from its rows alone: no key, nothing written. For exports and audits."""

from __future__ import annotations

from dataclasses import dataclass

from comity.crypto.keys import VerifyKey
from comity.errors import VerificationFailed
from comity.ledger.checkpoints import Checkpoint, Inclusion
from comity.ledger.entries import Entry
from comity.ledger.openings import Opening
from comity.ledger.state import founded
from comity.ledger.store import Place, Store
from comity.ledger.tree import Tree
from comity.ledger.verify import verify_store


@dataclass(frozen=True)
class LedgerCopy:
    """Everything that a ledger holds, verified.

    Attributes:
        owner, key: as its founding names them.
        head: its newest checkpoint.
        entries: all of them, in order.
    """

    owner: str
    key: VerifyKey
    head: Checkpoint
    entries: tuple[Entry, ...]
    tree: Tree

    def opening(self, sequence: int) -> Opening:
        """An entry with its proof under `head`.

        Raises:
            UsageError: if there is none.
        """
        path = self.tree.inclusion_path(sequence, self.head.size)
        entry = self.entries[sequence]
        return Opening(Inclusion(sequence, entry.leaf, path, self.head), entry.salt, entry.event)

    @property
    def leaves(self) -> list[bytes]:
        """The leaf hashes of all entries."""
        return [entry.leaf for entry in self.entries]


def read_copy(place: Place) -> LedgerCopy:
    """Read and verify a ledger, or a copy of one.

    Raises:
        BadInput: if there is none.
        VerificationFailed: naming what is wrong with it.
    """
    store = Store.open_copy(place)
    try:
        verify_store(store, checkpoint=None, key=None).raise_for_faults()
        with store.reading() as connection:
            head = store.head(connection)
            entries = tuple(Entry.read(row) for row in store.rows(connection))
    finally:
        store.close()
    if head is None or head.size > len(entries):
        raise VerificationFailed(f"the ledger {store.name} has no checkpoint")
    owner, key = founded(entries[0])
    tree = Tree()
    tree.extend(entry.leaf for entry in entries[: head.size])
    return LedgerCopy(owner, key, head, entries[: head.size], tree)
