"""A kept-open TLS connection from a party to one node, for many small messages one after another."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time

from comity.errors import PartyFailed
from comity.node.card import Card

_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 2.0


class Line:
    """Posts bytes to one path of a node; a broken connection is made again, and the same bytes sent again.

    So what is posted has to be idempotent. Not for use by several threads at once.
    """

    def __init__(
        self,
        card: Card,
        context: ssl.SSLContext,
        path: str,
        *,
        timeout_s: float = 30.0,
        patience_s: float = 30.0,
    ) -> None:
        """
        Args:
            card: of the node; its name is what the certificate has to show.
            patience_s: seconds to keep trying to reach it.
        """
        self._card = card
        self._context = context
        self._path = path
        self._timeout_s, self._patience_s = timeout_s, patience_s
        self._open: http.client.HTTPConnection | None = None

    def post(self, data: bytes) -> tuple[int, bytes]:
        """HTTP status and body of the answer.

        Raises:
            PartyFailed: if the node does not answer in time; it may or may not have taken the message.
        """
        deadline = time.monotonic() + self._patience_s
        wait = _FIRST_WAIT_S
        while True:
            try:
                return self._posted(data)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if time.monotonic() + wait > deadline:
                    raise PartyFailed(
                        f"the node of '{self._card.name}' does not answer at {self._card.url} "
                        f"({type(error).__name__}); is it started, and can this machine reach it?"
                    ) from None
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_S)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _posted(self, data: bytes) -> tuple[int, bytes]:
        if self._open is None:
            self._open = self._connected()
        headers = {"host": self._card.name, "content-type": "application/octet-stream"}
        self._open.request("POST", self._path, body=data, headers=headers)
        answer = self._open.getresponse()
        return answer.status, answer.read()

    def _connected(self) -> http.client.HTTPConnection:
        host, port = self._card.host, self._card.port
        plain = socket.create_connection((host, port), timeout=self._timeout_s)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = http.client.HTTPConnection(host, port, timeout=self._timeout_s)
            # the certificate names the party, whatever its address
            connection.sock = self._context.wrap_socket(plain, server_hostname=self._card.name)
        except BaseException:
            plain.close()
            raise
        return connection


def code_of(body: bytes) -> str:
    """The error code in a node's answer, cut short: it comes from outside."""
    try:
        return str(json.loads(body)["code"])[:60]
    except (ValueError, KeyError, TypeError):
        return "no code"
