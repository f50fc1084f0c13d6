"""A thread that works in rounds: woken when there is something to do, stopped with the node."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Worker:
    """Calls `work` in a thread of its own, again and again until it is stopped.

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
        """Return soon; what is not done is done after the node's next start."""
        self.ending.set()
        self.woken.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self.ending.is_set():
            self._work()
