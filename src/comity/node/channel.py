"""A Channel over HTTPS: one party's end of a session between processes or machines."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from comity.crypto.keys import VerifyKey
from comity.errors import PartyFailed
from comity.node.deliver import code_of
from comity.wire import Counters, Inbox, Kind, Message, Outgoing, Sealer


@dataclass(frozen=True)
class Peer:
    """Where another party listens, its key in the agreement, and its TLS certificate (PEM)."""

    name: str
    host: str
    port: int
    key: VerifyKey
    certificate: bytes


class HttpChannel:
    """Sends by `POST /messages` to the peer's inbox; receives from this party's own inbox.

    `contexts` holds, per peer, a TLS context that trusts that peer's certificate and no other.
    """

    def __init__(
        self,
        sealer: Sealer,
        inbox: Inbox,
        peers: Mapping[str, Peer],
        contexts: Mapping[str, ssl.SSLContext],
        *,
        timeout_s: float,
    ) -> None:
        import httpx

        self._sealer = sealer
        self._inbox = inbox
        self._peers = dict(peers)
        self._timeout_s = timeout_s
        # environment proxies must never carry a message to another host
        self._clients = {
            name: httpx.Client(verify=contexts[name], timeout=timeout_s, trust_env=False) for name in peers
        }
        self.counters = Counters()

    def send(self, recipient: str, item: Outgoing) -> None:
        """Deliver one message.

        Raises:
            PartyFailed: if the peer cannot be reached, shows another certificate, or refuses the message.
        """
        import httpx

        peer = self._peers.get(recipient)
        if peer is None:
            raise PartyFailed(f"party '{recipient}' is not one of this session's peers")
        data = self._sealer.seal(recipient, item)
        try:
            answer = self._clients[recipient].post(
                f"https://{peer.host}:{peer.port}/messages",
                content=data,
                headers={"content-type": "application/octet-stream", "host": recipient},
                extensions={"sni_hostname": recipient},
            )
        except httpx.HTTPError as error:
            raise PartyFailed(
                f"party '{recipient}' cannot be reached at {peer.host}:{peer.port} ({type(error).__name__}: "
                f"{error}); check that it runs and holds the key that the agreement names"
            ) from None
        if answer.status_code != 204:
            raise PartyFailed(f"party '{recipient}' did not take a message: {code_of(answer)}")
        self.counters.count(len(data))

    def resend(self, recipient: str) -> Kind | None:
        """Nothing: this session ends with its process."""
        return None

    def hold_secrets(self) -> None:
        """Nothing: this session ends with its process."""

    def receive(self, sender: str) -> Message:
        """The next message of `sender`; see `comity.wire.Inbox.get`."""
        return self._inbox.get(sender, timeout_s=self._timeout_s)

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
