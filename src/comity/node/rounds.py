"""Rounds: what comes in while one round is worked on is taken together in the next, and shares its commits.

A round waits a moment for those who were answered in the last two: they are about to ask again, and a commit
costs the same for all of them as for the first. Who asks alone is never kept waiting.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from comity.errors import PartyFailed

Item = TypeVar("Item")

MOST_TOGETHER: Final = 64
_GATHER_S: Final = 0.003
"""How long a round waits for whoever was in the last two: about as long as one commit."""


class Rounds(Generic[Item]):
    """Hands what is put, in rounds and from a thread of its own, to `work`."""

    def __init__(
        self,
        name: str,
        work: Callable[[list[Item]], list[Item]],
        failed: Callable[[Item, BaseException], None],
        whose: Callable[[Item], str | None],
    ) -> None:
        """
        Args:
            name: of the thread.
            work: does one round; returns what has to wait for the next one.
            failed: told of each item of a round that ended in an error.
            whose: who sent an item, once that is known.
        """
        self._work, self._failed, self._whose = work, failed, whose
        self._arrived: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._lately: deque[frozenset[str | None]] = deque(maxlen=2)
        self._ended = False
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Take an item into the next round; after a stop there is none, and it has failed."""
        if self._ended:
            self._failed(item, PartyFailed("the node is being stopped"))
        else:
            self._arrived.put(item)

    def stop(self, timeout_s: float) -> None:
        """Finish what has come in, and take nothing more."""
        self._arrived.put(None)
        self._thread.join(timeout=timeout_s)

    def _serve(self) -> None:
        while not self._ended:
            waiting = self._gathered()
            while waiting:
                waiting = self._worked(waiting)

    def _worked(self, waiting: list[Item]) -> list[Item]:
        """One round; what is left to do."""
        try:
            left = self._work(waiting)
        except BaseException as error:
            for item in waiting:
                self._failed(item, error)
            self._ended = self._ended or not isinstance(error, Exception)
            return []
        self._lately.append(frozenset(map(self._whose, waiting)))
        return left

    def _gathered(self) -> list[Item]:
        """What has arrived, at least one item, and what arrives in the moment that a round waits."""
        first = self._arrived.get()
        if first is None:
            self._ended = True
            return []
        waiting = [first]
        expected = min(MOST_TOGETHER, len(frozenset[str | None]().union(*self._lately)))
        until = time.monotonic() + _GATHER_S
        while len(waiting) < MOST_TOGETHER:
            try:
                left = until - time.monotonic() if len(waiting) < expected else 0.0
                item = self._arrived.get(timeout=left) if left > 0 else self._arrived.get_nowait()
            except queue.Empty:
                break
            if item is None:
                self._ended = True
                break
            waiting.append(item)
        return waiting
