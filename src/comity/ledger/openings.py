"""An entry shown to another party: its salt and event, and the proof that the signed ledger holds just that.

Leaf hashes tell nothing of what they commit to; salt and event together open one leaf and no other. What is
opened to whom is decided where entries are published (`comity.ledger.published`) and by the gate, whose
receipts open the entry of the release to its recipient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from comity.crypto.keys import VerifyKey
from comity.errors import BadInput, UsageError, VerificationFailed
from comity.ledger.checkpoints import Inclusion
from comity.ledger.entries import Entry, Row, check_canonical, parsed_event
from comity.ledger.merkle import leaf_hash

_OPENED = {"salt", "event"}


@dataclass(frozen=True)
class Opening:
    """One entry with the proof that it is in the ledger.

    Attributes:
        inclusion: its place, leaf hash and path to the root of a signed checkpoint.
        salt: the 32 bytes that the leaf commits to before the event.
        event: the entry's canonical JSON, as the ledger holds it.
    """

    inclusion: Inclusion
    salt: bytes = field(repr=False)
    event: bytes = field(repr=False)

    def verify(self, key: VerifyKey) -> Entry:
        """Check checkpoint, path and leaf, and read the entry.

        Raises:
            VerificationFailed: if any of them fails, or the event is not an entry of that place.
        """
        self.inclusion.verify(key)
        seq = self.inclusion.seq
        if leaf_hash(self.salt + self.event) != self.inclusion.leaf:
            raise VerificationFailed(f"seq {seq}: the entry shown is not the one that the ledger holds")
        kind = parsed_event(self.event, seq)["kind"]
        entry = Entry.read(Row(seq, kind, self.event, self.salt, self.inclusion.leaf))
        check_canonical(entry)
        return entry

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: that of the inclusion proof, with salt and event."""
        return {**self.inclusion.to_dict(), "salt": self.salt.hex(), "event": self.event.decode("utf-8")}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read the JSON form; nothing is verified yet.

        Raises:
            BadInput: if it is not an opened entry.
        """
        salt, event = document.get("salt"), document.get("event")
        if not isinstance(salt, str) or not isinstance(event, str):
            raise BadInput("an opened entry has salt (hexadecimal) and event (text)")
        inclusion = Inclusion.from_dict({k: v for k, v in document.items() if k not in _OPENED})
        try:
            return cls(inclusion, bytes.fromhex(salt), event.encode("utf-8"))
        except ValueError:
            raise BadInput("an opened entry's salt is hexadecimal, its event is text") from None


def opening_of(entry: Entry) -> Opening:
    """The opening of an entry that was just appended, under the checkpoint stored with it.

    Raises:
        UsageError: for an entry that was read back: ask the ledger to prove it.
    """
    if entry.checkpoint is None or entry.path is None:
        raise UsageError(f"entry {entry.seq} was read back from the ledger; use Ledger.opening({entry.seq})")
    inclusion = Inclusion(entry.seq, entry.leaf, entry.path, entry.checkpoint)
    return Opening(inclusion, entry.salt, entry.event)
