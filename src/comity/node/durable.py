"""A Channel that outlives its process: every message is stored before it counts.

A program that is started again after a crash begins at its beginning. It receives the messages that had come
in, in their order; what it had sent to a party is sent again as it was, byte for byte, and what its gate had
let through is not made a second time (`resend`). So a program may draw and charge before a message, never
between a message and what is the same message again.

A query that would now be another one than the stored one (it held a key that went with the process) ends the
session: two different messages never have one number. So does a program that holds keys or shares in memory
only (`hold_secrets`), if what an earlier process had sent rests on them.

Shares are stored sealed, and go when they have served (`comity.node.shares`): at their sender once they are
taken; at their recipient when they are received by a program that could not be taken up again anyway, else
when the session has ended there.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from comity.crypto.canonical import digest
from comity.crypto.keys import VerifyKey
from comity.errors import PartyFailed
from comity.node.state import Sent, State
from comity.wire import Counters, Kind, Message, Outgoing, Query, Sealer, holds_share, open_message


class Arrivals:
    """Wakes programs when a message has been stored or a party has given up; one per node."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._failed: dict[tuple[str, str], str] = {}
        self._stopped = False

    def notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def fail(self, session: str, party: str, reason: str) -> None:
        """No more will come from this party in this session."""
        with self._changed:
            self._failed.setdefault((session, party), reason)
            self._changed.notify_all()

    def stop(self) -> None:
        """The node ends: whoever waits gives up; its session goes on when the node is started again."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def wait(self, session: str, party: str, ready: Callable[[], bytes | None], *, timeout_s: float) -> bytes:
        """What `ready` gives once it gives something.

        Raises:
            Stopping: if the node ends first.
            PartyFailed: if the party failed, or sent nothing in time.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                found = ready()
                if found is not None:
                    return found
                if self._stopped:
                    raise Stopping
                # its own session's end is told in a message; a failure of another one may come first
                reason = self._failed.get((session, party)) or self._failed.get((session, ""))
                if reason is not None:
                    raise PartyFailed(reason)
                left = deadline - time.monotonic()
                if left <= 0:
                    raise PartyFailed(f"party '{party}' sent nothing for {timeout_s:g} seconds")
                self._changed.wait(min(left, 5.0))


class Stopping(BaseException):
    """The node is being stopped while a program waits: no error, and nothing that a program should handle."""


class DurableChannel:
    """One party's end of a session between nodes. Not for use by several threads at once."""

    def __init__(
        self,
        session: str,
        party: str,
        sealer: Sealer,
        state: State,
        arrivals: Arrivals,
        keys: Mapping[str, VerifyKey],
        *,
        first: Mapping[str, int],
        wake: Callable[[str], None],
        patience_s: float,
    ) -> None:
        """
        Args:
            first: per sender, the number of the first message that is the program's: those before opened
                the session.
            wake: told the recipient whenever a message has been stored for it.
            patience_s: how long to wait for a message.
        """
        self._session = session
        self._party = party
        self._sealer = sealer
        self._state = state
        self._arrivals = arrivals
        self._keys = dict(keys)
        self._wake = wake
        self._patience_s = patience_s
        self._next_in = dict(first)
        self._next_out: dict[str, int] = {}
        self._holds_secrets = False
        self.counters = Counters()

    def skip(self, recipient: str) -> None:
        """Count a message that was sent before the program began."""
        self._sealer.pass_over(recipient)
        self._next_out[recipient] = self._next_out.get(recipient, 0) + 1

    def send(self, recipient: str, item: Outgoing) -> None:
        """Store a message and have it delivered; it may arrive much later.

        Raises:
            PartyFailed: if the recipient is no party of the session, or the message that was stored under
                this number before a restart was another one.
        """
        if recipient not in self._keys or recipient == self._party:
            raise PartyFailed(f"party '{recipient}' is not one of this session's peers")
        stored = self._stored(recipient)
        if stored is None:
            data = self._sealer.seal(recipient, item)
            number = self._next_out.get(recipient, 0)
            sent = Sent(self._session, recipient, number, item.kind, item.topic, content_of(item), data)
            self._state.keep(replace(sent, share=holds_share(item)))
            self._next_out[recipient] = number + 1
            self._sent(recipient, len(data))
            return
        if isinstance(item, Query) and stored.content != content_of(item):
            raise PartyFailed(
                "this session cannot be taken up again: what this party had sent before it was restarted "
                "held keys that went with the process; open a new session"
            )
        self._again(stored)

    def resend(self, recipient: str) -> Kind | None:
        """Send again what an earlier life of this session had stored next for `recipient`, if anything."""
        stored = self._stored(recipient)
        if stored is None:
            return None
        self._again(stored)
        return stored.kind

    def send_last(self, recipient: str, item: Outgoing) -> None:
        """Send after everything that an earlier life of this session had stored for `recipient`."""
        while self.resend(recipient) is not None:
            pass
        self.send(recipient, item)

    def hold_secrets(self) -> None:
        """From here on the program holds keys or shares that go with its process.

        Raises:
            PartyFailed: if an earlier process of this session had sent more than this one has: that rests on
                what went with it.
        """
        others = (name for name in self._keys if name != self._party)
        if any(self._stored(name) is not None for name in others):
            raise PartyFailed(
                f"'{self._party}' was restarted, and the keys and shares that it held in this session went "
                "with its process: open a new session"
            )
        self._holds_secrets = True

    def _stored(self, recipient: str) -> Sent | None:
        return self._state.outgoing(self._session, recipient, self._next_out.get(recipient, 0))

    def _again(self, stored: Sent) -> None:
        self._sealer.pass_over(stored.recipient)
        self._next_out[stored.recipient] = stored.number + 1
        self._sent(stored.recipient, stored.size)

    def _sent(self, recipient: str, size: int) -> None:
        self.counters.count(size)
        self._wake(recipient)

    def receive(self, sender: str) -> Message:
        """The sender's next message, waiting for it."""
        number = self._next_in.get(sender, 0)
        data = self._arrivals.wait(
            self._session,
            sender,
            lambda: self._state.incoming(self._session, sender, number),
            timeout_s=self._patience_s,
        )
        if not data:
            raise PartyFailed(
                f"'{self._party}' was restarted after it had used a share of '{sender}', which is deleted by "
                "then: open a new session"
            )
        message = open_message(data, keys=self._keys, recipient=self._party)
        self._next_in[sender] = number + 1
        if self._holds_secrets:
            self._state.used(self._session, sender, number)
        if message.topic == FAILED:
            raise PartyFailed(f"party '{sender}' gave up: {str(message.body.get('message', ''))[:500]}")
        return message

    def close(self) -> None:
        """Nothing to let go of: the node delivers what is stored."""


OPEN = "session/open"
"""The topic of a session's first message, from the ML party to everybody else."""

FAILED = "session/failed"
"""The topic of the message by which a party tells that its program has ended early."""


def content_of(item: Outgoing) -> str:
    """Digest of what is to be sent: kind, topic, body and parts."""
    return digest(
        {
            "kind": str(item.kind),
            "topic": item.topic,
            "body": dict(item.body),
            "parts": {name: hashlib.sha256(data).hexdigest() for name, data in item.parts.items()},
        }
    )
