"""Serving a node until it is told to stop: uvicorn over the node's TLS, in this process's main thread."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from comity.node.api import application

if TYPE_CHECKING:
    from comity.node.service import Node

_STOP_TIMEOUT_S = 5
_GOODBYE_S = 0.2
"""How long a peer's idle connection may take to close; most are kept open by peers that read nothing."""
_MOST_CONNECTIONS = 256
_MOST_HEADER_BYTES = 16 * 1024


def serve(node: Node, listener: socket.socket, ready: Callable[[int], None]) -> None:
    """Serve until SIGTERM or SIGINT; requests in progress are finished, then the node stops.

    Args:
        listener: bound and listening.
        ready: called with the port once requests are taken.
    """
    import uvicorn

    context = node.server_context()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if self.started:
                node.start()
                ready(listener.getsockname()[1])

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            stopping = asyncio.ensure_future(super().shutdown(sockets=sockets))
            await asyncio.sleep(_GOODBYE_S)
            for connection in filter(_is_idle, list(self.server_state.connections)):
                connection.transport.abort()
            await stopping

    if threading.current_thread() is threading.main_thread():
        # uvicorn gives the signal once more when it has stopped serving; by default that would end this
        # process before the node has stopped
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    # what goes wrong is logged; that it started and stopped is said by whoever runs this
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_is_trouble)
    config = uvicorn.Config(
        application(node),
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        date_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        h11_max_incomplete_event_size=_MOST_HEADER_BYTES,
        timeout_graceful_shutdown=_STOP_TIMEOUT_S,
        ssl_context_factory=lambda _config, _default: context,
    )
    try:
        Server(config).run(sockets=[listener])
    finally:
        node.stop()
        listener.close()


def _is_idle(connection: Any) -> bool:
    """Whether no request is in progress on one of uvicorn's connections."""
    return connection.cycle is None or connection.cycle.response_complete


def _is_trouble(record: logging.LogRecord) -> bool:
    """A peer's idle connection that outlasts a stop is none: what is stored goes on after the next start."""
    return not str(record.msg).startswith("Cancel %s running task")
