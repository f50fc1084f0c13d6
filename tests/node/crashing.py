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
from comity.node.state import Status
from comity.wire import open_message

WRITES = {
    "state": ("begin", "put", "keep", "taken", "finish"),
    "ledger": ("append", "charge", "open_account"),
}


class Crash(BaseException):
    """The node is no more."""


@dataclass
class Fuse:
    """Crashes a node at its n-th durable write; `after` says on which side of it, `skip` which ones not."""

    at: int
    after: bool
    skip: tuple[str, ...] = ()
    seen: int = 0
    blown: threading.Event = field(default_factory=threading.Event)
    name: str = ""
    told: Callable[[], None] = lambda: None
    _writing: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def writing(self) -> bool:
        """Whether a write is in progress, after which it may blow."""
        return self._writing > 0

    def guard(self, name: str, write: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **named: Any) -> Any:
            with self._lock:
                if self.blown.is_set():
                    raise Crash
                self.seen += name not in self.skip
                mine = self.seen == self.at and name not in self.skip
                if mine and not self.after:
                    self._blow(name)
                self._writing += 1
            try:
                result = write(*args, **named)
            finally:
                with self._lock:
                    self._writing -= 1
                    if self.blown.is_set():
                        raise Crash
                    if mine:
                        self._blow(name)
            return result

        return guarded

    def _blow(self, name: str) -> None:
        self.name = name
        self.blown.set()
        self.told()
        raise Crash


@dataclass
class Network:
    """Carries messages between nodes of one process; `meddle` may change what arrives, drop or repeat it.

    Attributes:
        carried: every message that reached a party's address, with that party.
        taken: those of them that the party's node said it had taken.
    """

    town: Any
    nodes: dict[str, Node] = field(default_factory=dict)
    carried: list[tuple[str, bytes]] = field(default_factory=list)
    taken: list[tuple[str, bytes]] = field(default_factory=list)
    meddle: Callable[[str, bytes], list[bytes]] | None = None
    patience_s: float = 60
    _fuses: dict[str, Fuse | None] = field(default_factory=dict)
    _final: dict[tuple[str, str], str] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def start(self, name: str, fuse: Fuse | None = None) -> Node:
        folder = self.town.folders[name]
        posts = {peer: self._post(peer, fuse) for peer in folder.peers()}
        node = Node(folder, posts=posts, patience_s=self.patience_s)
        node.witnesses._offered = self._countersigned(name, fuse)
        if fuse is not None:
            fuse.told = self._tell
            for part, methods in WRITES.items():
                owner = getattr(node, part)
                for method in methods:
                    setattr(owner, method, fuse.guard(f"{part}.{method}", getattr(owner, method)))
        for method in ("finish", "taken"):
            setattr(node.state, method, self._telling(getattr(node.state, method)))
        self._fuses[name] = fuse
        self.nodes[name] = node
        node.start()
        return node

    def _countersigned(self, owner: str, fuse: Fuse | None) -> Callable[[Any, dict[str, Any]], Any]:
        """Asks a peer's keeper without HTTPS in between."""

        def offered(card: Any, offer: dict[str, Any]) -> Any:
            if fuse is not None and fuse.blown.is_set():
                raise Crash
            if card.name not in self.nodes:
                raise PartyFailed("nobody answers")
            key = self.town.folders[owner].key.verify_key
            return self.nodes[card.name].keeper.countersign(offer, owner=owner, owner_key=key).to_dict()

        return offered

    def _telling(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def told(*args: Any, **named: Any) -> Any:
            result = write(*args, **named)
            self._tell()
            return result

        return told

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait(self) -> None:
        """Until a session ended or a message was taken somewhere, or a fuse has blown, or a little while."""
        with self._changed:
            self._changed.wait(0.1)

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
        fuse = self._fuses.get(peer)
        try:
            node.take(data)
        except Crash:
            raise PartyFailed("the connection broke") from None
        except ComityError as error:
            if fuse is not None and fuse.blown.is_set():
                raise PartyFailed("the connection broke") from None
            return Reply(error.http_status, error.code)
        self.taken.append((peer, data))
        return Reply(204)

    def bury(self, name: str) -> None:
        """After a crash: nobody reaches the node any more, and its waiting threads let go."""
        node = self.nodes.pop(name)
        node.hold.release()  # a process's locks go with it
        node.arrivals.stop()
        for worker in (node.witnesses.worker, *(each.worker for each in node._deliveries.values())):
            worker.ending.set()
            worker.wake()

    def stop(self) -> None:
        for node in self.nodes.values():
            node.stop()
        self.nodes.clear()

    def ended(self, session: str, seconds: float = 60) -> dict[str, str]:
        """Every node's status of a session once it has ended at all that know it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.statuses(session)
            if found and "running" not in found.values():
                return found
            self.wait()
        raise AssertionError(f"the session has not ended: {found}")

    def statuses(self, session: str) -> dict[str, str]:
        """Where a session stands at the nodes that know it."""
        found: dict[str, str] = {}
        for name, node in self.nodes.items():
            if (name, session) not in self._final and (row := node.state.session(session)) is not None:
                if row.status is not Status.running:
                    self._final[name, session] = str(row.status)
                else:
                    found[name] = "running"
            if (name, session) in self._final:
                found[name] = self._final[name, session]
        return found

    def settled(self, session: str) -> bool:
        """Whether a session has ended at every node, and nothing is on its way."""
        found = self.statuses(session)
        if len(found) < len(self.nodes) or "running" in found.values():
            return False
        return not any(
            node.state.next_undelivered(peer) for node in self.nodes.values() for peer in node._deliveries
        )

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
