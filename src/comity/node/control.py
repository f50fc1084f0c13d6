"""How a party's process is steered: one JSON object a line, in on standard input, out on standard output.

In: `{"do": "connect" | "where" | "sign" | "open" | "run" | "abort" | "close", ...}`. Out: `{"event": "ready"
| "connected" | "listening" | "signed" | "opened" | "done" | "closed" | "failed", ...}`. `abort` is obeyed at
once, from the reading thread; everything else is done in order. When the input ends, the process ends:
nothing outlives whoever started it.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from typing import IO, Any

from comity.crypto.keys import VerifyKey
from comity.errors import BadInput, ComityError
from comity.node.channel import Peer
from comity.node.party import Party


class Control:
    """Reads orders, obeys them, reports."""

    def __init__(self, party: Party, orders: IO[str], reports: IO[str]) -> None:
        self._party = party
        self._orders = orders
        self._reports = reports
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def listen(self) -> None:
        """Start reading, and from now on end when the input ends."""
        threading.Thread(target=self._read, name="orders", daemon=True).start()

    def serve(self) -> None:
        """Report readiness and obey until the input ends."""
        self._report(
            {
                "event": "ready",
                "party": self._party.name,
                "port": self._party.port,
                "key": str(self._party.key.verify_key),
                "certificate": self._party.certificate.decode(),
            }
        )
        while (order := self._queue.get()) is not None:
            self._report(self._obey(order))

    def _read(self) -> None:
        try:
            for line in self._orders:
                self._take(line)
        finally:
            # the steering process is gone, perhaps killed: a program in progress must not go on without it
            os._exit(0)

    def _take(self, line: str) -> None:
        try:
            order = json.loads(line)
            if order["do"] == "abort":
                self._party.abort(order["session"], order["party"], order["reason"])
            else:
                self._queue.put(order)
        except (ValueError, TypeError, KeyError):
            self._queue.put({"do": "nothing that can be read"})

    def _report(self, event: dict[str, Any]) -> None:
        self._reports.write(json.dumps(event) + "\n")
        self._reports.flush()

    def _obey(self, order: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._do(order)
        except ComityError as error:
            return {
                "event": "failed",
                "kind": type(error).__name__,
                "code": error.code,
                "exit_code": error.exit_code,
                "message": str(error),
                "by": getattr(error, "by", None),
            }
        except Exception as error:
            return {
                "event": "failed",
                "kind": type(error).__name__,
                "code": "internal",
                "exit_code": 70,
                "message": f"{type(error).__name__}: {error}{_where(error)}",
            }

    def _do(self, order: dict[str, Any]) -> dict[str, Any]:
        match order["do"]:
            case "connect":
                self._party.connect({name: _peer(name, data) for name, data in order["peers"].items()})
                return {"event": "connected"}
            case "where":
                return {
                    "event": "listening",
                    "port": self._party.port,
                    "certificate": self._party.certificate.decode(),
                }
            case "sign":
                return {"event": "signed", "signature": self._party.sign(order["agreement"])}
            case "open":
                self._party.open_session(order["session"], order["run"], order["agreement"])
                return {"event": "opened"}
            case "run":
                done = self._party.run(
                    order["session"], order["architecture"], order["task"], order["options"]
                )
                return {"event": "done", **done}
            case "close":
                self._party.close_session(order["session"])
                return {"event": "closed"}
            case unknown:
                raise BadInput(f"a party's process does not know the order {unknown!r}")


def _peer(name: str, data: dict[str, Any]) -> Peer:
    return Peer(
        name=name,
        host=data["host"],
        port=data["port"],
        key=VerifyKey.parse(data["key"]),
        certificate=data["certificate"].encode(),
    )


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno})"
