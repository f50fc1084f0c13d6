"""A thread that works in rounds: woken when there is something to do, stopped with the node."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

_LEAVE_S: Final = 0.3
"""How long a stop waits for a round in progress. Who hangs on the network is left behind: see `Worker`."""


class Worker:
    """Calls `work` in a thread of its own, again and again until it is stopped.

    A stop does not wait for a call over the network that hangs. So a round looks at `ending` after each such
    call, and once it is set writes nothing any more: what is not done is done after the node's next start.

    Attributes:
        woken, ending: what the work waits for, and when it is to return.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self.woken = threading.Event()
        self.ending = threading.Event()
        self._work = work
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin, with a first round at once."""
        self.woken.set()
        self._thread.start()

    def wake(self) -> None:
        """There is something to do."""
        self.woken.set()

    def stop(self) -> None:
        """Have it end, and wait a little."""
        stop_all([self])

    def end(self) -> None:
        """Have it end, without waiting."""
        self.ending.set()
        self.woken.set()

    def join(self, timeout_s: float) -> None:
        """Wait for its end."""
        if self._thread.is_alive():
            self._thread.join(timeout=max(0.0, timeout_s))

    def _run(self) -> None:
        while not self.ending.is_set():
            self._work()


def stop_all(workers: Iterable[Worker]) -> None:
    """Have several end, and wait a little for all of them together."""
    ending = list(workers)
    for worker in ending:
        worker.end()
    deadline = time.monotonic() + _LEAVE_S
    for worker in ending:
        worker.join(deadline - time.monotonic())
