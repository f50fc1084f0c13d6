"""For the tests of nodes: several nodes in one process, over a network that a test rules, with crashes.

A crash stops a node at one of its durable writes, before or after it: from then on that node writes nothing,
sends nothing and takes nothing, as after kill -9. What is left is what its files hold.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from comity.errors import ComityError, PartyFailed
from comity.node.deliver import Reply
from comity.node.service import Node
from comity.wire import open_message

WRITES = {
    "state": ("begin", "put", "keep", "taken", "finish"),
    "ledger": ("append", "charge", "open_account"),
}


class Crash(BaseException):
    """The node is no more."""


@dataclass
class Fuse:
    """Crashes a node at its n-th durable write; `after` says on which side of it."""

    at: int
    after: bool
    seen: int = 0
    blown: threading.Event = field(default_factory=threading.Event)
    name: str = ""
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def guard(self, name: str, write: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **named: Any) -> Any:
            with self._lock:
                if self.blown.is_set():
                    raise Crash
                self.seen += 1
                mine = self.seen == self.at
                if mine and not self.after:
                    self._blow(name)
            result = write(*args, **named)
            with self._lock:
                if self.blown.is_set():
                    raise Crash
                if mine:
                    self._blow(name)
            return result

        return guarded

    def _blow(self, name: str) -> None:
        self.name = name
        self.blown.set()
        raise Crash


@dataclass
class Network:
    """Carries messages between nodes of one process; `meddle` may change what arrives, drop or repeat it."""

    town: Any
    nodes: dict[str, Node] = field(default_factory=dict)
    carried: list[tuple[str, bytes]] = field(default_factory=list)
    meddle: Callable[[str, bytes], list[bytes]] | None = None

    def start(self, name: str, fuse: Fuse | None = None) -> Node:
        folder = self.town.folders[name]
        posts = {peer: self._post(peer, fuse) for peer in folder.peers()}
        node = Node(folder, posts=posts, patience_s=60)
        if fuse is not None:
            for part, methods in WRITES.items():
                owner = getattr(node, part)
                for method in methods:
                    setattr(owner, method, fuse.guard(f"{part}.{method}", getattr(owner, method)))
        self.nodes[name] = node
        node.start()
        return node

    def _post(self, peer: str, fuse: Fuse | None) -> Callable[[bytes], Reply]:
        def post(data: bytes) -> Reply:
            if fuse is not None and fuse.blown.is_set():
                raise Crash
            arriving = [data] if self.meddle is None else self.meddle(peer, data)
            if not arriving:
                raise PartyFailed("the network lost it")
            return [self._arrive(peer, each) for each in arriving][-1]

        return post

    def _arrive(self, peer: str, data: bytes) -> Reply:
        self.carried.append((peer, data))
        node = self.nodes.get(peer)
        if node is None:
            raise PartyFailed("nobody answers")
        try:
            node.take(data)
        except Crash:
            raise PartyFailed("the connection broke") from None
        except ComityError as error:
            return Reply(error.http_status, error.code)
        return Reply(204)

    def bury(self, name: str) -> None:
        """After a crash: nobody reaches the node any more, and its waiting threads let go."""
        node = self.nodes.pop(name)
        node.arrivals.stop()
        for delivery in node._deliveries.values():
            delivery.worker.ending.set()
            delivery.worker.wake()

    def stop(self) -> None:
        for node in self.nodes.values():
            node.stop()
        self.nodes.clear()

    def ended(self, session: str, seconds: float = 60) -> dict[str, str]:
        """Every node's status of a session once it has ended at all that know it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            rows = {name: node.state.session(session) for name, node in self.nodes.items()}
            found = {name: str(row.status) for name, row in rows.items() if row is not None}
            if found and "running" not in found.values():
                return found
            time.sleep(0.02)
        raise AssertionError(f"the session has not ended: {found}")

    def releases(self) -> list[Any]:
        """Every message other than a query that arrived anywhere, as its recipient reads it."""
        found = []
        keys = {name: folder.key.verify_key for name, folder in self.town.folders.items()}
        for peer, data in self.carried:
            with contextlib.suppress(ComityError):
                message = open_message(data, keys=keys, recipient=peer)
                if str(message.kind) in ("release", "share"):
                    found.append(message)
        return found


@contextlib.contextmanager
def quiet_threads() -> Iterator[None]:
    """A crash ends threads by an exception that nobody catches, on purpose."""
    before = threading.excepthook

    def hook(args: Any) -> None:
        if args.exc_type is not Crash:
            before(args)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
