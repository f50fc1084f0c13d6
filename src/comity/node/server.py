"""A party's inbox: an HTTPS server that takes signed messages from the agreement's parties only.

TLS: each side presents a certificate made from its party key, and trusts exactly the certificates of the
agreement's parties (`comity.crypto.tls`). On top of it every message is signed, addressed and numbered.
An answer to the sender says only whether the message was taken, with an error code and no details.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from comity.crypto.keys import VerifyKey
from comity.errors import BadInput, ComityError, PartyFailed
from comity.wire import Inbox, open_message

if TYPE_CHECKING:
    import ssl

    import uvicorn
    from starlette.requests import Request
    from starlette.responses import Response

MAX_MESSAGE_BYTES = 2 * 1024**3
_START_TIMEOUT_S = 20.0


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        BadInput: if the port is taken or may not be used, with what to do.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(64)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise BadInput(
                f"port {port} on {host} is in use by another process; choose another with --port, "
                "or leave --port away to take a free one"
            ) from None
        raise BadInput(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return listener


class InboxServer:
    """Serves `POST /messages` on a bound socket in a thread of its own."""

    def __init__(self, party: str, listener: socket.socket, context: ssl.SSLContext) -> None:
        self._party = party
        self._listener = listener
        self._context = context
        self._keys: Mapping[str, VerifyKey] = {}
        self._inboxes: dict[str, Inbox] = {}
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def know(self, keys: Mapping[str, VerifyKey]) -> None:
        """Set the keys that senders sign with."""
        self._keys = dict(keys)

    def open_session(self, session: str, agreement: str) -> Inbox:
        """From now on messages of this session are taken."""
        inbox = Inbox(session=session, agreement=agreement)
        self._inboxes[session] = inbox
        return inbox

    def close_session(self, session: str) -> None:
        self._inboxes.pop(session, None)

    def start(self) -> None:
        """Serve, and return once the server answers.

        Raises:
            PartyFailed: if it does not come up.
        """
        import uvicorn
        from starlette.applications import Starlette
        from starlette.routing import Route

        app = Starlette(routes=[Route("/messages", self._take, methods=["POST"])])
        context = self._context
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            date_header=False,
            ssl_context_factory=lambda _config, _default: context,
        )
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, name="inbox", daemon=True
        )
        self._thread.start()
        waiter = threading.Event()
        for _ in range(int(_START_TIMEOUT_S / 0.01)):
            if self._server.started:
                return
            if not self._thread.is_alive():
                break
            waiter.wait(0.01)
        raise PartyFailed(f"the inbox of party '{self._party}' did not start")

    def stop(self) -> None:
        """Stop serving and close the socket."""
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(timeout=5)
        self._listener.close()

    async def _take(self, request: Request) -> Response:
        from starlette.responses import JSONResponse, Response

        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_MESSAGE_BYTES:
                return JSONResponse({"code": "too-large"}, status_code=413)
        try:
            message = open_message(bytes(body), keys=self._keys, recipient=self._party)
            inbox = self._inboxes.get(message.session)
            if inbox is None:
                return JSONResponse({"code": "no-session"}, status_code=409)
            inbox.put(message)
        except ComityError as error:
            return JSONResponse({"code": error.code}, status_code=error.http_status)
        return Response(status_code=204)
