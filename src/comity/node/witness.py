"""Having one's ledger countersigned: each new checkpoint is offered to the other parties, who keep it.

After a session has ended, and once an hour, a node offers its ledger's head to every peer with the proof that
it extends the head which that peer signed last. Who does not answer is asked again later; a ledger that was
rewritten finds no signature, and its refusal stays with the peer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from comity.errors import ComityError
from comity.ledger import Ledger
from comity.ledger.countersignatures import Countersignature, offer
from comity.ledger.keeper import Keeper
from comity.node.card import Card
from comity.node.worker import Worker

_log = logging.getLogger("comity.node")

_EVERY_S = 3600.0
_SETTLE_S = 0.5
"""A session's end wakes all parties at once; what they append in this time is signed together."""

Offered = Callable[[Card, dict[str, Any]], Mapping[str, Any]]
"""Hands an offer to a peer and returns its countersignature's JSON.

Raises:
    ComityError: if the peer does not answer, or does not sign.
"""


class Witnesses:
    """Asks every peer for its countersignature, from a thread of its own."""

    def __init__(self, ledger: Ledger, keeper: Keeper, peers: Mapping[str, Card], offered: Offered) -> None:
        self._ledger = ledger
        self._keeper = keeper
        self._peers = dict(peers)
        self._offered = offered
        self.worker = Worker("witnesses", self._ask_again)

    def _ask_again(self) -> None:
        self.worker.woken.wait(timeout=_EVERY_S)
        if self.worker.ending.wait(_SETTLE_S):
            return
        self.worker.woken.clear()
        self.ask_all()

    def ask_all(self) -> dict[str, bool]:
        """Offer the present head to every peer; whether each has signed it now."""
        return {
            name: self._ask(card) for name, card in self._peers.items() if not self.worker.ending.is_set()
        }

    def _ask(self, card: Card) -> bool:
        last = self._keeper.got(card.name)
        if last is not None and last.size >= self._ledger.size:
            return True
        try:
            answer = self._offered(card, offer(self._ledger, last))
            if self.worker.ending.is_set():
                return False  # the node may be closed by now
            signed = Countersignature.from_dict(answer)
            self._keeper.accept(signed, key=card.key, ledger=self._ledger)
        except ComityError as error:
            _log.warning("no countersignature of %s: %s", card.name, error.code)
            return False
        except Exception:  # a fault here must not end the thread: the next round asks again
            _log.exception("asking %s for a countersignature failed", card.name)
            return False
        return True
