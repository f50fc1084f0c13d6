"""The peer of node_feedback: a bare server with the same TLS, signature check, commit and noise.

Arguments: folder of the party, port, the asker's public key. It answers `POST /feedback` with one number.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
import threading
from pathlib import Path

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity import noise
from comity.crypto.keys import VerifyKey
from comity.crypto.tls import server_context
from comity.node.folder import PartyFolder


def main(where: str, port: str, asker: str) -> None:
    folder = PartyFolder.open(Path(where))
    key = VerifyKey.parse(asker)
    context = server_context(folder.key, folder.certificate, [c.certificate for c in folder.peers().values()])
    database = sqlite3.connect(folder.path / "peer.db", isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE IF NOT EXISTS asked (id INTEGER PRIMARY KEY, body BLOB)")

    def answer(body: bytes) -> bytes:
        key.verify(body[5:69], body[73:], what="the question")
        database.execute("INSERT INTO asked (body) VALUES (?)", (body,))
        return str(int(noise.add_discrete_laplace(np.array([7]), 100.0)[0])).encode()

    one = threading.Lock()

    def guarded(body: bytes) -> bytes:
        with one:
            return answer(body)

    async def feedback(request: Request) -> Response:
        return Response(await run_in_threadpool(guarded, await request.body()))

    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        Starlette(routes=[Route("/feedback", feedback, methods=["POST"])]),
        host="127.0.0.1",
        port=int(port),
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        date_header=False,
        ssl_context_factory=lambda _config, _default: context,
    )
    uvicorn.Server(config).run()


main(*sys.argv[1:])
