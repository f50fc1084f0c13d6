"""A party at work: its folder, its key, its server, and the sessions it takes part in."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comity.crypto.keys import SigningKey, VerifyKey
from comity.crypto.tls import certificate_party, client_context, self_certificate, server_context
from comity.errors import BadInput, UsageError
from comity.node.channel import HttpChannel, Peer
from comity.node.meter import Meter
from comity.node.server import InboxServer, bind
from comity.wire import Inbox, Sealer

if TYPE_CHECKING:
    from comity.agreement import Agreement
    from comity.ledger import Ledger

RECEIVE_TIMEOUT_S = 1800.0


@dataclass(frozen=True)
class Session:
    """An opened session: the agreement it runs under and where this party keeps what belongs to it."""

    name: str
    agreement: Agreement
    folder: Path
    inbox: Inbox
    ledger: Ledger


class Party:
    """One party's end of everything. Its key is made on first use and stays in its folder."""

    def __init__(self, name: str, folder: Path, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.name = name
        self.folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"the folder {folder} cannot be used: {error.strerror}") from None
        key_path = folder / "key.pem"
        if not key_path.exists():
            SigningKey.generate().save(key_path)
        self.key = SigningKey.load(key_path)
        self.certificate = self_certificate(self.key, name)
        self._host = host
        self._listener = bind(host, port)
        self.port: int = self._listener.getsockname()[1]
        self._server: InboxServer | None = None
        self._peers: dict[str, Peer] = {}
        self._sessions: dict[str, Session] = {}

    def connect(self, peers: Mapping[str, Peer]) -> None:
        """Start the inbox for these peers, each bound to its key.

        Raises:
            VerificationFailed: if a peer's certificate is not made from its key.
        """
        for peer in peers.values():
            certificate_party(peer.certificate, peer.key, peer.name)
        self._peers = dict(peers)
        context = server_context(self.key, self.certificate, [peer.certificate for peer in peers.values()])
        self._server = InboxServer(self.name, self._listener, context)
        self._server.know({peer.name: peer.key for peer in peers.values()})
        self._server.start()

    def sign(self, agreement_text: str) -> str:
        """This party's signature under an agreement, as the agreement file writes it."""
        from comity.agreement import parse_agreement

        agreement = parse_agreement(agreement_text, where="the agreement to sign")
        signed = agreement.sign(self.name, self.key)
        return next(entry.signature for entry in signed.signatures if entry.party == self.name)

    def open_session(self, session: str, run: str, agreement_text: str) -> None:
        """Verify the agreement and get ready to take this session's messages.

        Raises:
            BadAgreement, VerificationFailed, ClauseRefused: if the agreement is not in force.
        """
        from comity.agreement import parse_agreement, verify_agreement
        from comity.ledger import Ledger

        if self._server is None:
            raise UsageError(f"party '{self.name}' has no peers yet: connect it first")
        agreement = parse_agreement(agreement_text, where="the session's agreement")
        verify_agreement(agreement, on=datetime.now(UTC).date())
        self._check_keys(agreement)
        folder = self.folder / "sessions" / run
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True, mode=0o700)
        (folder / "agreement.yaml").write_text(agreement_text, encoding="utf-8")
        self._sessions[session] = Session(
            name=session,
            agreement=agreement,
            folder=folder,
            inbox=self._server.open_session(session, agreement.digest),
            # one ledger for the party's life: what is spent stays spent, whatever the session
            ledger=Ledger.open(self.folder / "ledger.db", key=self.key, owner=self.name),
        )

    def _check_keys(self, agreement: Agreement) -> None:
        known: dict[str, VerifyKey] = {peer.name: peer.key for peer in self._peers.values()}
        known[self.name] = self.key.verify_key
        for party in agreement.parties:
            if party.name in known and str(known[party.name]) != str(party.key):
                raise BadInput(
                    f"the agreement names another key for '{party.name}' than the one it connects with"
                )

    def run(
        self, session: str, architecture: str, task: Mapping[str, Any], options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Run this party's program of an architecture to its end and measure it.

        Returns:
            `figures` of the program and `cost` of this process.
        """
        from comity.architectures import find
        from comity.architectures.agreed_task import read_options, require_agreed
        from comity.architectures.definition import Seat, Task

        state = self._session(session)
        role = state.agreement.party(self.name).role
        program = find(architecture).programs.get(role)
        if program is None:
            raise UsageError(f"architecture '{architecture}' has no part for role '{role}'")
        learned = Task.from_dict(task)
        chosen = read_options(find(architecture), options)
        require_agreed(learned, state.agreement, self.name, find(architecture), chosen)
        channel = self._channel(session, state, may_query=role != "provider")
        meter = Meter()
        try:
            seat = Seat(
                party=self.name,
                providers=tuple(party.name for party in state.agreement.by_role("provider")),
                ml_party=state.agreement.by_role("ml_party")[0].name,
                folder=self.folder,
                session=state.folder,
                agreement=state.agreement,
                ledger=state.ledger,
                key=self.key,
                task=learned,
                options=chosen,
            )
            figures = program(seat, channel)
        finally:
            channel.close()
        return {"figures": figures, "cost": meter.read().to_dict(channel.counters)}

    def _channel(self, session: str, state: Session, *, may_query: bool) -> HttpChannel:
        sealer = Sealer(
            session=session,
            agreement=state.agreement.digest,
            party=self.name,
            key=self.key,
            may_query=may_query,
        )
        contexts = {
            name: client_context(self.key, self.certificate, peer.certificate)
            for name, peer in self._peers.items()
        }
        return HttpChannel(sealer, state.inbox, self._peers, contexts, timeout_s=RECEIVE_TIMEOUT_S)

    def abort(self, session: str, sender: str, reason: str) -> None:
        """Tell a running program that another party is gone."""
        state = self._sessions.get(session)
        if state is not None:
            state.inbox.fail(sender, reason)

    def close_session(self, session: str) -> None:
        """Forget the session; its folder stays."""
        if self._server is not None:
            self._server.close_session(session)
        state = self._sessions.pop(session, None)
        if state is not None:
            # closing writes what is still in SQLite's -wal file into the ledger itself: a copy is whole
            state.ledger.close()

    def _session(self, session: str) -> Session:
        if session not in self._sessions:
            raise UsageError(f"party '{self.name}' has no session {session!r}")
        return self._sessions[session]

    def close(self) -> None:
        if self._server is not None:
            self._server.stop()
        else:
            self._listener.close()
