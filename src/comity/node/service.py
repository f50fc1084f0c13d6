"""A party's node: takes signed messages, runs the programs of its sessions, delivers what they send.

What reaches `Node.take` has passed mutual TLS, which lets in the agreement's parties only. Then, in this
order: the message's signature and addressee; the agreement it names, kept here, signed by all and in force;
the sender's key and role in it; the session; the number. What is taken is stored before the sender hears of
it. The same message again is taken without effect, a changed one is refused.

What is refused to a party that can be told by its signature stands in this party's ledger.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comity.agreement import Withdrawal
from comity.architectures import find
from comity.crypto.tls import certificate_party, client_context, server_context
from comity.errors import BadInput, ClauseRefused, ComityError, PartyFailed, UsageError, VerificationFailed
from comity.ledger import Ledger
from comity.ledger.keeper import Keeper
from comity.ledger.published import HEADER
from comity.ledger.published import Ask as LedgerAsk
from comity.node.card import Card
from comity.node.committed import bind_table
from comity.node.deliver import Delivery, Post, https_post
from comity.node.durable import FAILED, OPEN, Arrivals
from comity.node.enclave.check import Ask, Attestations
from comity.node.enclave.quotes import QuoteSource, available_quotes
from comity.node.folder import PartyFolder
from comity.node.hold import Hold
from comity.node.orders import call
from comity.node.retention import delete_expired, note_ends, take_withdrawal
from comity.node.sessions import Household, Sessions, ends_for, require_ml_party, taking_part, terms_of
from comity.node.shares import Shares
from comity.node.state import Sent, SessionRow, State, Status, now
from comity.node.witness import Witnesses
from comity.node.worker import stop_all
from comity.wire import Message, holds_share, open_message

if TYPE_CHECKING:
    import ssl

    from comity.agreement import Agreement
    from comity.crypto.keys import VerifyKey
    from comity.node.desk import Desk

_log = logging.getLogger("comity.node")

_SESSION_LENGTH = 32
_MOST_RUNNING = 64
_COMPUTING_S = 60.0
"""How long a stop waits for programs at work: what they have charged for would be lost."""
_MOST_NOTED = 1_000
"""Refusals that go into the ledger while a node runs; a peer must not fill it. Further ones are logged."""


class OutOfOrder(ComityError):
    """A message came before one that was sent earlier; it is to be sent again later."""

    code = "out-of-order"
    http_status = 409


class Node:
    """One party's node, without its HTTP side (`comity.node.api`)."""

    def __init__(
        self,
        folder: PartyFolder,
        *,
        ledger: str | Path | None = None,
        state: str | Path | None = None,
        patience_s: float | None = None,
        posts: Mapping[str, Post] | None = None,
        quotes: QuoteSource | None = None,
        ask: Ask | None = None,
    ) -> None:
        """
        Args:
            folder: the party's.
            ledger, state: where they are kept instead of in the folder: a path or a postgresql:// URL.
            posts: how messages reach each peer; over HTTPS to the address of its card by default.
            quotes: of the enclave that this process runs in; found by itself by default.
            ask: how other parties' quotes are got; over HTTPS by default.
            patience_s: seconds that a program waits for another party's next message; a day by default.

        Raises:
            BadInput: if key, certificate, cards, ledger or state cannot be used, or another node uses the
                state.
        """
        self.folder = folder
        self.name = folder.name
        self.key = folder.key
        self.certificate = folder.certificate
        certificate_party(self.certificate, self.key.verify_key, self.name)
        self._peers = folder.peers()
        for card in self._peers.values():
            card.verify()
        self.state = State.open(state or folder.state_path, Shares(folder.shares_path))
        self.hold = Hold(self.state)
        self.ledger = Ledger.open(ledger or folder.ledger_path, key=self.key, owner=self.name)
        self.attestations = Attestations(folder, quotes or available_quotes(), ask)
        self.arrivals = Arrivals()
        house = Household(self.name, self.key, folder.path, self.ledger)
        waits = {} if patience_s is None else {"patience_s": patience_s}
        self._sessions = Sessions(
            house,
            self.state,
            self.arrivals,
            self._wake,
            self.attestations.require,
            ended=lambda: self.witnesses.worker.wake(),
            **waits,
        )
        self._deliveries = {
            name: Delivery(self.state, name, (posts or {}).get(name) or self._https(card), self._not_taken)
            for name, card in self._peers.items()
        }
        self.keeper = Keeper(folder.countersigned_path, party=self.name, key=self.key, ledger=self.ledger)
        self.witnesses = Witnesses(self.ledger, self.keeper, self._peers, self._offered)
        self._opening = threading.Lock()
        self._agreements: dict[str, Agreement] = {}
        self._noted = 0
        self._desk: Desk | None = None
        self._desking = threading.Lock()

    def _offered(self, card: Card, offered: Mapping[str, Any]) -> Mapping[str, Any]:
        """A peer's countersignature of this ledger's head, asked for over HTTPS."""
        ask = LedgerAsk.sign(self.key, party=self.name, owner=card.name)
        headers = {HEADER: ask.header, "content-type": "application/json"}
        data = json.dumps(offered).encode()
        answer = call(self.folder, card, "POST", "/ledger/countersign", data, headers=headers)
        if answer.status != 200:
            raise PartyFailed(f"'{card.name}' did not countersign: {answer.body.get('code', answer.status)}")
        return answer.body

    def _https(self, card: Card) -> Post:
        return https_post(card, client_context(self.key, self.certificate, card.certificate))

    def server_context(self) -> ssl.SSLContext:
        """TLS for this node's server: the parties whose cards are kept here get in, and this party itself."""
        trusted = [card.certificate for card in self._peers.values()]
        return server_context(self.key, self.certificate, [*trusted, self.certificate])

    def start(self) -> None:
        """Go on with the sessions that a stop or a crash had interrupted, and with deliveries."""
        today = datetime.now(UTC).date()
        note_ends(self.folder, self.ledger, on=today)
        for agreement in self.folder.agreements().values():
            delete_expired(self.folder, agreement, self.ledger, on=today, forget=self.state.forget)
        self.state.tidy()
        self.witnesses.worker.start()
        for delivery in self._deliveries.values():
            delivery.worker.start()
        for row in self.state.sessions():
            if row.status is Status.running:
                self._sessions.start(row, self._kept(row.agreement))

    def stop(self) -> None:
        """Let programs that wait give up, and close; what is stored goes on after the next start."""
        self.arrivals.stop()
        with self._desking:
            if self._desk is not None:
                self._desk.stop()
        self.witnesses.worker.end()
        self._sessions.join(timeout_s=2.0, computing_s=_COMPUTING_S)
        stop_all([self.witnesses.worker, *(delivery.worker for delivery in self._deliveries.values())])
        self.ledger.close()
        self.hold.release()
        self.state.close()

    @property
    def desk(self) -> Desk:
        """Where feedback is answered; opened when it is first asked for."""
        from comity.node.desk import Desk

        with self._desking:
            if self._desk is None:
                self._desk = Desk(self)
            return self._desk

    # what comes from other parties

    def take(self, data: bytes) -> None:
        """Store one message, and begin its session if it opens one.

        Raises:
            VerificationFailed: if it is not signed by a known party for this one.
            ClauseRefused: if agreement or role do not allow it.
            OutOfOrder: if an earlier message is missing.
            BadInput: if it is malformed or differs from the one that had its number.
        """
        message = open_message(data, keys=self.peer_keys(), recipient=self.name)
        try:
            self._admit(message, data)
        except OutOfOrder:
            raise
        except ComityError as error:
            self.note_refusal(message, error)
            raise
        self.arrivals.notify()

    def peer_keys(self) -> dict[str, VerifyKey]:
        return {name: card.key for name, card in self._peers.items()}

    def _admit(self, message: Message, data: bytes) -> None:
        agreement = self.agreement_of(message)
        row = self.state.session(message.session)
        if row is None:
            self._check_invitation(message, agreement)
        elif row.agreement != agreement.digest:
            raise VerificationFailed("the message names another agreement than its session")
        else:
            self._check_place(message, row, agreement)
        fingerprint = hashlib.sha256(data).hexdigest()
        due = self.state.received(message.session, message.sender)
        if message.number > due:
            raise OutOfOrder(f"message {message.number} came where {due} was due")
        place = (message.session, message.sender, message.number)
        new = self.state.put(*place, fingerprint, data, share=holds_share(message))
        if row is None:
            self._open(message, agreement)
        elif self.state.has_ended(message.session):
            self.state.used(*place)
        if new and row is not None and message.topic == FAILED:
            told = str(message.body.get("message", message.body.get("code", "")))[:500]
            whom = ends_for(row, agreement, message.sender)
            self.arrivals.fail(message.session, whom, f"party '{message.sender}' gave up: {told}")

    def agreement_of(self, message: Message) -> Agreement:
        """The agreement that a message names, if it is kept here and the sender has the key it names."""
        try:
            agreement = self._kept(message.agreement)
        except BadInput:
            raise ClauseRefused(
                "this party has not signed the agreement that the message names", clause="signatures"
            ) from None
        party = agreement.party(message.sender)
        if party.key != self._peers[message.sender].key:
            raise ClauseRefused(
                f"the agreement names another key for '{message.sender}' than its card",
                clause=f"parties.{message.sender}.key",
            )
        return agreement

    def _kept(self, digest: str) -> Agreement:
        """An agreement of this party's folder; what has a digest never changes, so it is read once."""
        if digest not in self._agreements:
            agreement = self.folder.agreement(digest)
            if len(agreement.signatures) < len(agreement.parties):
                return agreement  # signatures may still come in
            self._agreements[digest] = agreement
        return self._agreements[digest]

    def _check_invitation(self, message: Message, agreement: Agreement) -> None:
        if message.topic != OPEN or message.number != 0:
            # the ML party's invitation may be slower than another party's first message
            raise OutOfOrder("the message belongs to no session that this party has been invited to")
        if not _is_session(message.session):
            raise BadInput("a session has a name of 32 hexadecimal digits")
        self.check_standing(agreement)
        require_ml_party(agreement, message.sender)
        architecture, _ = terms_of(message.body, agreement, self.name)
        if self.name not in taking_part(find(architecture), agreement):
            raise ClauseRefused(
                f"'{self.name}' has no part in '{architecture}'", clause=f"parties.{self.name}.role"
            )
        bind_table(self.folder, agreement, self.ledger)
        running = sum(row.status is Status.running for row in self.state.sessions())
        if running >= _MOST_RUNNING:
            raise ClauseRefused(
                "this party runs as many sessions as it can", clause=f"architectures.{architecture}"
            )

    def check_standing(self, agreement: Agreement) -> None:
        """Signed by all, not expired, not replaced by a later agreement, not withdrawn from."""
        self.folder.standing(agreement, datetime.now(UTC).date()).check()

    def _check_place(self, message: Message, row: SessionRow, agreement: Agreement) -> None:
        if message.sender not in taking_part(find(row.architecture), agreement):
            raise ClauseRefused(
                f"'{message.sender}' has no part in '{row.architecture}'",
                clause=f"parties.{message.sender}.role",
            )

    def _open(self, message: Message, agreement: Agreement) -> None:
        architecture, terms = terms_of(message.body, agreement, self.name)
        row = _row(message.session, agreement, architecture, message.sender, terms)
        with self._opening:
            if self.state.begin(row):
                self._sessions.start(row, agreement)

    def note_refusal(self, message: Message, error: ComityError) -> None:
        _log.warning("refused a message of %s: %s", message.sender, error.code)
        self._noted += 1
        if self._noted > _MOST_NOTED:
            return
        self.ledger.append(
            "refused",
            {
                "party": message.sender,
                "purpose": f"a message of session {message.session[:_SESSION_LENGTH]}",
                "reason": error.public_message,
            },
        )

    def _not_taken(self, sent: Sent, code: str) -> None:
        """A peer will never take a message: the session ends, and the ledger says why."""
        self.ledger.append(
            "refused",
            {
                "party": sent.recipient,
                "purpose": f"message {sent.number} of session {sent.session}",
                "reason": f"'{sent.recipient}' refused it: {code}",
            },
        )
        self.arrivals.fail(sent.session, "", f"party '{sent.recipient}' refused a message: {code}")

    def take_withdrawal(self, document: object) -> None:
        """Keep a party's signed withdrawal: from now on nothing leaves under its agreement.

        Live conversations under it end, and so do sessions that wait for a message. Deleting what is held is
        for this party's people: `comity agree withdraw --received`.

        Raises:
            BadInput: if it is none, or the agreement is not kept here.
            ClauseRefused, VerificationFailed: if it is not by one of the agreement's parties.
        """
        if not isinstance(document, dict):
            raise BadInput("a withdrawal is a JSON object")
        withdrawal = Withdrawal.read(document, where="the withdrawal")
        take_withdrawal(self.folder, withdrawal, self.ledger)
        _log.info("'%s' has withdrawn from agreement %s", withdrawal.party, withdrawal.agreement[:12])
        with self._desking:
            if self._desk is not None:
                self._desk.end(withdrawal.agreement)
        for row in self.state.sessions():
            if row.status is Status.running and row.agreement == withdrawal.agreement:
                reason = f"party '{withdrawal.party}' withdrew from the agreement"
                self.arrivals.fail(row.id, "", reason)

    # what comes from the party's own people

    def obey(self, data: bytes) -> dict[str, Any]:
        """One order, signed with this party's own key: each is obeyed once.

        Raises:
            VerificationFailed: if it is signed by anybody else, or was given before.
            UsageError: if there is no such order.
        """
        order = open_message(data, keys={self.name: self.key.verify_key}, recipient=self.name)
        if not _is_session(order.session) or not self.state.claim_order(order.session):
            raise VerificationFailed("this order has been given before; give it again as a new one")
        match order.topic:
            case "run":
                return {"session": self._run(order)}
            case "sessions":
                return {"sessions": [row.to_dict() for row in self.state.sessions()]}
            case unknown:
                raise UsageError(f"a node does not know the order {unknown[:40]!r}")

    def _run(self, order: Message) -> str:
        """Open a session as the ML party of an agreement."""
        agreement = self._kept(order.agreement)
        self.check_standing(agreement)
        require_ml_party(agreement, self.name)
        architecture, terms = terms_of(order.body, agreement, self.name)
        for name in taking_part(find(architecture), agreement):
            if name != self.name and name not in self._peers:
                raise BadInput(
                    f"there is no card of '{name}', which takes part: get it and run comity party add"
                )
        self.attestations.require(agreement, architecture)
        row = _row(order.session, agreement, architecture, self.name, terms)
        if self.state.begin(row):
            self._sessions.start(row, agreement)
        return row.id

    def _wake(self, recipient: str) -> None:
        self._deliveries[recipient].worker.wake()


def _row(
    session: str, agreement: Agreement, architecture: str, opener: str, terms: dict[str, Any]
) -> SessionRow:
    return SessionRow(session, agreement.digest, architecture, opener, now(), terms, Status.running, {})


def _is_session(name: str) -> bool:
    return len(name) == _SESSION_LENGTH and not set(name) - set("0123456789abcdef")
