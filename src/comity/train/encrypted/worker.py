"""The engine's own process: `python -m comity.train.encrypted.worker`, steered over its standard input.

libspu ends its whole process when it cannot send to another party any more (yacl's channels do so from a
thread of theirs), and a run that waits for somebody cannot be interrupted. So the engine has a process of its
own: what ends with it is a run and not a party's node, it is killed where a run is given up, and its memory,
the shares in it, goes with it. It writes no core and no share, reads no table, and holds no key but the
session's.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import resource
import sys
import threading
from collections.abc import Mapping
from typing import IO, Any, Final

import numpy as np

from comity.errors import ComityError, PartyFailed
from comity.train.encrypted.framing import read, write

GONE: Final = 5


class Worker:
    """Does what it is told, one thing after another."""

    def __init__(self) -> None:
        self._programs: list[Any] = []
        self._aligned: Any = None
        self._connections: Any = None
        self._engine: Any = None

    def do(self, header: Mapping[str, Any], parts: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        """One order and its answer."""
        orders = {
            "compile": self._compile,
            "align": self._align,
            "connect": self._connect,
            "put": self._put,
            "run": self._run,
        }
        return orders[header["do"]](header, parts)

    def _compile(self, header: Mapping[str, Any], parts: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        from comity.train.encrypted.program import compile_scores, compile_training
        from comity.train.encrypted.settings import Training

        training = Training.from_dict(header["training"])
        self._programs = [compile_training(training)]
        if header["asked"]:
            self._programs.append(compile_scores(header["asked"], training.columns))
        _, shape = self._programs[-1].output
        digest = hashlib.sha256("".join(one.digest for one in self._programs).encode()).hexdigest()
        return {"program": digest, "shape": list(shape)}, []

    def _align(self, header: Mapping[str, Any], parts: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        from comity.train.encrypted.alignment import common_ids

        self._aligned = self._joined(header, parts[0])
        found = common_ids(json.loads(parts[1]), parts[2], self._aligned.context)
        return {"bytes": self._aligned.bytes_sent()}, [json.dumps(found).encode()]

    def _connect(self, header: Mapping[str, Any], parts: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        from comity.train.encrypted.engine import Engine
        from comity.train.encrypted.sharing import scheme_of

        self._connections = self._joined(header, parts[0])
        self._engine = Engine(self._connections.context, scheme_of(header["scheme"]))
        return {}, []

    def _joined(self, header: Mapping[str, Any], key_pem: bytes) -> Any:
        from comity.crypto.session_ca import SessionIdentity
        from comity.train.encrypted.mesh import Connections, Member

        members = [Member.from_dict(party, told) for party, told in header["members"]]
        identity = SessionIdentity(members[header["rank"]].certificate, key_pem)
        return Connections(members, header["rank"], identity, header["session"])

    def _put(self, header: Mapping[str, Any], parts: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        shape = tuple(header["shape"])
        count = int(np.prod(shape, dtype=np.int64))
        words = np.frombuffer(parts[0], dtype="<u8").reshape(count, -1)
        self._engine.put(header["name"], words, shape)
        return {}, []

    def _run(self, header: Mapping[str, Any], parts: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        for program in self._programs:
            self._engine.run(program)
        words = self._engine.get(*self._programs[-1].output)
        sent = self._connections.bytes_sent()
        self._engine.forget()
        # the connections stay: closed at one end, another one's last word would end its process
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {"bytes": sent, "peak_rss_mb": peak}, [words.astype("<u8", copy=False).tobytes()]


def main() -> None:
    """Answer orders until there are no more; end at once when the party's process is gone."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints goes with the errors, not between the answers
    orders: queue.Queue[Any] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, orders), daemon=True).start()
    worker = Worker()
    while True:
        header, parts = orders.get()
        try:
            answer, bytes_ = worker.do(header, parts)
        except ComityError as error:
            answer, bytes_ = (
                {"failed": str(error), "code": error.exit_code, "private": error.private},
                [],
            )
        except Exception as error:
            # a stray error's words may quote what was read
            words = f"{type(error).__name__}: {error}"[:300]
            answer, bytes_ = {"failed": words, "code": PartyFailed.exit_code, "private": True}, []
        write(answers, answer, bytes_)


def _listen(stream: IO[bytes], orders: queue.Queue[Any]) -> None:
    try:
        while True:
            orders.put(read(stream))
    except (EOFError, ComityError, OSError):
        os._exit(GONE)


if __name__ == "__main__":
    main()
