"""Delivery: what stands in the outbox is posted to the other parties until each has taken it.

One thread per peer. Messages of one session go in their order; a session that is held up does not hold up
another one. A peer that cannot be reached is tried again, at first soon, then every `_LONGEST_S` seconds. A
peer that answers that it will never take a message is not asked again: the session has failed for it.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from comity.errors import ComityError, PartyFailed, VerificationFailed
from comity.node.card import Card
from comity.node.state import Sent, State
from comity.node.worker import Worker

_log = logging.getLogger("comity.node")

_SHORTEST_S = 0.05
_LONGEST_S = 10.0
_MOST_DAMAGED = 10
"""How often a message that arrives damaged is sent again: what is stored here is sound."""
_FINAL = frozenset({400, 403, 404, 409, 410, 413, 422})
"""Answers after which the same message will not be taken later either."""


@dataclass(frozen=True)
class Reply:
    """What a peer said to a message: an HTTP status, and the code of its error."""

    status: int
    code: str = ""


Post = Callable[[bytes], Reply]
"""Hands one message to one peer.

Raises:
    PartyFailed: if the peer cannot be reached: the message may or may not have arrived.
"""


def https_post(card: Card, context: ssl.SSLContext, *, timeout_s: float = 60.0) -> Post:
    """Posting to a peer's node; `context` trusts its certificate and no other."""
    import httpx

    # environment proxies must never carry a message to another host
    client = httpx.Client(verify=context, timeout=timeout_s, trust_env=False)

    def post(data: bytes) -> Reply:
        try:
            answer = client.post(
                f"{card.url}/messages",
                content=data,
                headers={"content-type": "application/octet-stream", "host": card.name},
                extensions={"sni_hostname": card.name},
            )
        except httpx.HTTPError as error:
            raise PartyFailed(f"'{card.name}' cannot be reached ({type(error).__name__})") from None
        return Reply(answer.status_code, "" if answer.status_code == 204 else code_of(answer))

    return post


class Delivery:
    """Delivers to one peer."""

    def __init__(self, state: State, peer: str, post: Post, refused: Callable[[Sent, str], None]) -> None:
        """
        Args:
            refused: told of a message that the peer will not take, with the code it gave.
        """
        self._state = state
        self._peer = peer
        self._post = post
        self._refused = refused
        self._damaged = 0
        self._wait = _SHORTEST_S
        self.worker = Worker(f"to-{peer}", self._deliver_all)

    def _deliver_all(self) -> None:
        self.worker.woken.wait(timeout=_LONGEST_S)
        self.worker.woken.clear()
        if self._tried():
            self._wait = _SHORTEST_S
            return
        self.worker.ending.wait(self._wait)
        self._wait = min(self._wait * 2, _LONGEST_S)
        self.worker.wake()

    def _tried(self) -> bool:
        try:
            return self._round()
        except ComityError as error:
            _log.warning("delivery to %s failed: %s", self._peer, error.code)
        except Exception:  # a fault here must not end deliveries: the next round tries again
            _log.exception("delivery to %s failed", self._peer)
        return False

    def _round(self) -> bool:
        """Deliver all that waits; False if something has to be tried again later."""
        held_up: set[str] = set()
        while not self.worker.ending.is_set():
            waiting = [
                sent for sent in self._state.next_undelivered(self._peer) if sent.session not in held_up
            ]
            if not waiting:
                break
            held_up |= {sent.session for sent in waiting if not self._deliver(sent)}
        return not held_up

    def _deliver(self, sent: Sent) -> bool:
        """Whether this message needs no further try."""
        reply = self._post(sent.data)
        if self.worker.ending.is_set():
            return False  # the node may be closed by now; what was taken is taken without effect again
        if reply.status == 204:
            self._damaged = 0
            self._state.taken(sent)
            return True
        if reply.status not in _FINAL or reply.code == "out-of-order":
            return False
        if reply.code == VerificationFailed.code and self._damaged < _MOST_DAMAGED:
            self._damaged += 1
            return False
        self._damaged = 0
        self._state.taken(sent)
        self._refused(sent, reply.code)
        return True


def code_of(answer: object) -> str:
    """The error code of a node's answer, cut short: it comes from outside."""
    import httpx

    if isinstance(answer, httpx.Response):
        try:
            return str(answer.json()["code"])[:60]
        except (ValueError, KeyError, TypeError):
            return f"HTTP {answer.status_code}"
    return "no answer"
