"""Message and Channel: how parties talk, and the only way bytes leave a party's process.

A message is a signed header in canonical JSON plus named binary parts whose digests the header holds.
Two kinds of thing can be sent:

* `Issued`: what the gate has let through (a release, a share, a notice, a refusal). Only `comity.gate` makes
  them.
* `Query`: what the ML party or the mediator asks. A provider's channel refuses to send one, so nothing
  leaves a provider but what the gate issued.

Byte layout of a message on the wire::

    "CMTY1"  signature (64)  length of header (4, big-endian)  header  parts, one after another

The signature is Ed25519 over the header's bytes; the header names session, agreement, sender, recipient,
number, kind, topic, body and every part's name, size and SHA-256. A receiver takes each number of a
sender once per session, in order, so a replayed or dropped message is noticed.
"""

from __future__ import annotations

import hashlib
import json
import queue
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from comity.crypto.canonical import canonical_bytes
from comity.crypto.keys import SigningKey, VerifyKey
from comity.errors import ComityError, PartyFailed, VerificationFailed

_MAGIC = b"CMTY1"
_SIGNATURE_BYTES = 64
_HEADER_KEYS = frozenset(
    {"session", "agreement", "sender", "recipient", "number", "kind", "topic", "body", "parts"}
)
MAX_HEADER_BYTES = 64 * 1024 * 1024


class Kind(StrEnum):
    """What a message is."""

    query = "query"
    release = "release"
    share = "share"
    notice = "notice"
    refusal = "refusal"


class Outgoing(ABC):
    """Something with a kind, a topic, a JSON body and named binary parts, ready to be sent."""

    topic: str
    body: Mapping[str, Any]
    parts: Mapping[str, bytes]

    @property
    @abstractmethod
    def kind(self) -> Kind: ...


@dataclass(frozen=True)
class Query(Outgoing):
    """What an ML party or mediator asks of another party. It is made of the asker's own facts."""

    topic: str
    body: Mapping[str, Any] = field(default_factory=lambda: dict[str, Any]())
    parts: Mapping[str, bytes] = field(default_factory=lambda: dict[str, bytes]())

    @property
    def kind(self) -> Kind:
        return Kind.query


class Issued(Outgoing):
    """What the gate has let through. Its subclasses are in `comity.plan`; only `comity.gate` makes them."""


@dataclass(frozen=True)
class Message:
    """A message as received, its signature checked."""

    session: str
    agreement: str
    sender: str
    recipient: str
    number: int
    kind: Kind
    topic: str
    body: Mapping[str, Any]
    parts: Mapping[str, bytes]


@dataclass
class Counters:
    """What a party has sent: messages, and their bytes as signed (before TLS and HTTP add theirs)."""

    messages: int = 0
    bytes_sent: int = 0

    def count(self, size: int) -> None:
        self.messages += 1
        self.bytes_sent += size


class Channel(Protocol):
    """One party's end of a session. Not for use by several threads at once."""

    counters: Counters

    def resend(self, recipient: str) -> Kind | None:
        """Send again what this session, before its process was restarted, had sent next to `recipient`.

        Returns:
            The kind of that message; None where nothing was sent yet, and always None on a channel that
            does not outlive its process.
        """
        ...

    def hold_secrets(self) -> None:
        """Say that from here on this program holds keys or shares that go with its process.

        Raises:
            PartyFailed: if an earlier process of this session had come further; never on a channel that does
                not outlive its process.
        """
        ...

    def send(self, recipient: str, item: Outgoing) -> None:
        """Deliver to another party's inbox.

        Raises:
            PartyFailed: if the other party cannot be reached or does not take it.
        """
        ...

    def receive(self, sender: str) -> Message:
        """The sender's next message, waiting for it.

        Raises:
            PartyFailed: if none comes in time.
            VerificationFailed: if a number is missing or comes twice.
        """
        ...


def holds_share(item: Outgoing | Message) -> bool:
    """Whether a message holds a share, which nobody keeps once it has served.

    Those that the gate issued say so by their kind. A query whose parts are shares, of an ML party or a
    mediator that computes, says so in its body: `"share": true`.
    """
    return item.kind is Kind.share or (item.kind is Kind.query and item.body.get("share") is True)


class Sealer:
    """Signs and numbers one party's messages in one session, and refuses what may not leave."""

    def __init__(self, *, session: str, agreement: str, party: str, key: SigningKey, may_query: bool) -> None:
        self._session = session
        self._agreement = agreement
        self._party = party
        self._key = key
        self._may_query = may_query
        self._numbers: dict[str, int] = {}

    def pass_over(self, recipient: str) -> None:
        """Count a message that an earlier process of this party has sealed."""
        self._numbers[recipient] = self._numbers.get(recipient, 0) + 1

    def set_back(self, recipient: str, number: int) -> None:
        """Count from `number` on: the messages from there on were not taken, or are due."""
        self._numbers[recipient] = number

    def seal(self, recipient: str, item: Outgoing) -> bytes:
        """The signed bytes of the next message to `recipient`.

        Raises:
            ComityError: if the item was not issued by the gate and this party may not ask queries.
        """
        if not isinstance(item, Issued) and not (self._may_query and isinstance(item, Query)):
            raise ComityError(
                f"party '{self._party}' tried to send a {type(item).__name__} that the gate did not issue"
            )
        number = self._numbers.get(recipient, 0)
        parts = [
            {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in item.parts.items()
        ]
        header = canonical_bytes(
            {
                "session": self._session,
                "agreement": self._agreement,
                "sender": self._party,
                "recipient": recipient,
                "number": number,
                "kind": item.kind.value,
                "topic": item.topic,
                "body": dict(item.body),
                "parts": parts,
            }
        )
        self._numbers[recipient] = number + 1
        signature = self._key.sign(header)
        return b"".join((_MAGIC, signature, len(header).to_bytes(4, "big"), header, *item.parts.values()))


def open_message(data: bytes, *, keys: Mapping[str, VerifyKey], recipient: str) -> Message:
    """Check a message's layout, signature, recipient and parts.

    Raises:
        VerificationFailed: with no word of the content, if anything does not fit.
    """
    start = len(_MAGIC) + _SIGNATURE_BYTES
    if len(data) < start + 4 or not data.startswith(_MAGIC):
        raise VerificationFailed("a message arrived that is not in comity's format")
    signature = data[len(_MAGIC) : start]
    length = int.from_bytes(data[start : start + 4], "big")
    header_bytes = data[start + 4 : start + 4 + length]
    if length > MAX_HEADER_BYTES or len(header_bytes) != length:
        raise VerificationFailed("a message arrived truncated")
    header = _parse_header(header_bytes)
    key = keys.get(header["sender"])
    if key is None:
        raise VerificationFailed("a message arrived from a sender that is not a party of the agreement")
    key.verify(signature, header_bytes, what=f"a message from '{header['sender']}'")
    if header["recipient"] != recipient:
        raise VerificationFailed(f"a message from '{header['sender']}' is addressed to another party")
    parts = _split_parts(header["parts"], data[start + 4 + length :])
    return Message(
        session=header["session"],
        agreement=header["agreement"],
        sender=header["sender"],
        recipient=header["recipient"],
        number=header["number"],
        kind=Kind(header["kind"]),
        topic=header["topic"],
        body=header["body"],
        parts=parts,
    )


def _parse_header(data: bytes) -> dict[str, Any]:
    try:
        header = json.loads(data)
    except (ValueError, RecursionError):
        raise VerificationFailed("a message arrived whose header is not JSON") from None
    if not isinstance(header, dict) or set(header) != _HEADER_KEYS:
        raise VerificationFailed("a message arrived whose header has missing or unknown keys")
    texts = ("session", "agreement", "sender", "recipient", "kind", "topic")
    if (
        not all(isinstance(header[key], str) for key in texts)
        or type(header["number"]) is not int
        or not isinstance(header["body"], dict)
        or not isinstance(header["parts"], list)
        or header["kind"] not in set(Kind)
    ):
        raise VerificationFailed("a message arrived whose header has a value of the wrong type")
    return header


def _split_parts(listed: list[Any], data: bytes) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    position = 0
    for entry in listed:
        if not isinstance(entry, dict) or set(entry) != {"name", "size", "sha256"}:
            raise VerificationFailed("a message arrived whose list of parts cannot be read")
        name, size = entry["name"], entry["size"]
        if not isinstance(name, str) or type(size) is not int or size < 0 or name in parts:
            raise VerificationFailed("a message arrived whose list of parts cannot be read")
        part = data[position : position + size]
        if len(part) != size or hashlib.sha256(part).hexdigest() != entry["sha256"]:
            raise VerificationFailed(f"the part '{name[:40]}' of a message arrived damaged")
        parts[name] = part
        position += size
    if position != len(data):
        raise VerificationFailed("a message arrived with bytes after its last part")
    return parts


class Inbox:
    """Holds checked messages until the party's program asks for them; safe between threads."""

    def __init__(self, *, session: str, agreement: str) -> None:
        self._session = session
        self._agreement = agreement
        self._lock = threading.Lock()
        self._next: dict[str, int] = {}
        self._waiting: dict[str, queue.Queue[Message | str]] = {}

    def _queue(self, sender: str) -> queue.Queue[Message | str]:
        with self._lock:
            return self._waiting.setdefault(sender, queue.Queue())

    def put(self, message: Message) -> None:
        """Take a message whose signature has been checked.

        Raises:
            VerificationFailed: for another session or agreement, or a number out of order.
        """
        if message.session != self._session or message.agreement != self._agreement:
            raise VerificationFailed(f"a message from '{message.sender}' belongs to another session")
        with self._lock:
            expected = self._next.get(message.sender, 0)
            if message.number != expected:
                raise VerificationFailed(
                    f"message {message.number} from '{message.sender}' came where {expected} was due: "
                    "it was repeated, or one before it was lost"
                )
            self._next[message.sender] = expected + 1
        self._queue(message.sender).put(message)

    def fail(self, sender: str, reason: str) -> None:
        """Wake whoever waits for `sender`: its process is gone."""
        self._queue(sender).put(reason)

    def get(self, sender: str, *, timeout_s: float) -> Message:
        """The next message from `sender`.

        Raises:
            PartyFailed: if none comes in time or the sender has failed.
        """
        try:
            item = self._queue(sender).get(timeout=timeout_s)
        except queue.Empty:
            raise PartyFailed(f"party '{sender}' sent nothing for {timeout_s:g} seconds") from None
        if isinstance(item, str):
            raise PartyFailed(f"party '{sender}' failed: {item}")
        return item


class MemoryChannel:
    """Channels between programs of one process, for tests: same messages, same checks, no network."""

    def __init__(self, party: str, sealer: Sealer, inbox: Inbox, *, timeout_s: float = 30.0) -> None:
        self._party = party
        self._sealer = sealer
        self._inbox = inbox
        self._timeout_s = timeout_s
        self._peers: dict[str, Inbox] = {}
        self._keys: dict[str, VerifyKey] = {}
        self.counters = Counters()
        self.sent: deque[bytes] = deque()

    def connect(self, peers: Mapping[str, MemoryChannel], keys: Mapping[str, VerifyKey]) -> None:
        """Make the other ends known; `keys` are those of the agreement."""
        self._peers = {name: channel._inbox for name, channel in peers.items()}
        self._keys = dict(keys)

    def send(self, recipient: str, item: Outgoing) -> None:
        if recipient not in self._peers:
            raise PartyFailed(f"party '{recipient}' is not connected")
        data = self._sealer.seal(recipient, item)
        self.counters.count(len(data))
        self.sent.append(data)
        self._peers[recipient].put(open_message(data, keys=self._keys, recipient=recipient))

    def resend(self, recipient: str) -> Kind | None:
        return None

    def hold_secrets(self) -> None:
        """Nothing: this session ends with its process."""

    def receive(self, sender: str) -> Message:
        return self._inbox.get(sender, timeout_s=self._timeout_s)
