"""Entries: what the ledger records, the bytes it commits to, and the salt that keeps them unguessable.

A leaf is SHA-256(0x00 || salt || event): the event in canonical form, behind 256 random bits of salt, so that
whoever sees leaves and proofs cannot confirm a guess at an event. Salt and event together open the leaf.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, cast

from comity.crypto.canonical import canonical_bytes
from comity.errors import BadInput, VerificationFailed
from comity.ledger.checkpoints import Checkpoint
from comity.ledger.merkle import leaf_hash

KINDS: Final = ("founded", "opened", "charged", "asked", "refused", "withheld", "released", "note")
"""The closed list of what happens: the ledger is founded, an account opened, and the rest as named."""

SALT_SIZE: Final = 32


@dataclass(frozen=True)
class Entry:
    """One entry of a ledger.

    Attributes:
        seq: its place, from 0.
        kind: one of `KINDS`.
        time: when it was appended, UTC (ISO 8601).
        body: what happened; keys by kind.
        event: the canonical bytes of all of the above.
        salt: 32 random bytes; who knows them can confirm guesses at the event.
        leaf: the leaf hash over salt and event.
        checkpoint: the signed head that was stored with it, where it was just appended.
        path: its inclusion proof under that head, likewise.
    """

    seq: int
    kind: str
    time: str
    body: Mapping[str, Any]
    event: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    leaf: bytes = field(repr=False)
    checkpoint: Checkpoint | None = field(default=None, repr=False)
    path: tuple[bytes, ...] | None = field(default=None, repr=False)

    @classmethod
    def make(cls, seq: int, kind: str, body: Mapping[str, Any]) -> Entry:
        """A new entry, now, with fresh salt.

        Raises:
            BadInput: if the body has no canonical form.
        """
        time = now()
        event = canonical_bytes({"seq": seq, "kind": kind, "time": time, "body": dict(body)})
        salt = secrets.token_bytes(SALT_SIZE)
        return cls(seq, kind, time, parsed_event(event, seq)["body"], event, salt, leaf_hash(salt + event))

    @classmethod
    def read(cls, row: Row) -> Entry:
        """The entry that a stored row holds, checked against itself and its leaf hash.

        Raises:
            VerificationFailed: naming the row, if the event is damaged or is not the row's.
        """
        if len(row.salt) != SALT_SIZE or leaf_hash(row.salt + row.event) != row.leaf:
            raise VerificationFailed(
                f"seq {row.seq}: what is stored does not match its leaf hash: event or salt was edited"
            )
        event = parsed_event(row.event, row.seq)
        if event["seq"] != row.seq:
            raise VerificationFailed(
                f"seq {row.seq}: this row holds the entry that was appended as seq {event['seq']}: "
                "rows were renumbered or reordered"
            )
        if event["kind"] != row.kind:
            raise VerificationFailed(
                f"seq {row.seq}: the row says '{row.kind}', its event says '{event['kind']}'"
            )
        return cls(row.seq, row.kind, event["time"], event["body"], row.event, row.salt, row.leaf)


@dataclass(frozen=True)
class Row:
    """An entry as it is stored."""

    seq: int
    kind: str
    event: bytes
    salt: bytes
    leaf: bytes


def now() -> str:
    """The time in UTC to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parsed_event(event: bytes, seq: int) -> dict[str, Any]:
    """What the bytes of an event say: seq, kind, time and body.

    Raises:
        VerificationFailed: naming the row, if they are no event.
    """
    try:
        value = json.loads(event)
    except ValueError:
        raise VerificationFailed(f"seq {seq}: the event is not JSON") from None
    if not isinstance(value, dict):
        raise VerificationFailed(f"seq {seq}: the event is not an object")
    document = cast("dict[str, Any]", value)
    types = {"seq": int, "kind": str, "time": str, "body": dict}
    if set(document) != set(types) or any(type(document[name]) is not kind for name, kind in types.items()):
        raise VerificationFailed(f"seq {seq}: the event does not have exactly seq, kind, time and body")
    if document["kind"] not in KINDS:
        raise VerificationFailed(f"seq {seq}: '{document['kind']}' is no kind of entry")
    return document


def check_canonical(entry: Entry) -> None:
    """Check that the event is the canonical form of what it says, so that it says one thing only.

    Raises:
        VerificationFailed: if it is not.
    """
    meaning = {"seq": entry.seq, "kind": entry.kind, "time": entry.time, "body": dict(entry.body)}
    try:
        same = canonical_bytes(meaning) == entry.event
    except BadInput:
        same = False
    if not same:
        raise VerificationFailed(f"seq {entry.seq}: the event is not in canonical form")
