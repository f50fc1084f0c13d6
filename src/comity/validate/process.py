"""What is held in memory is held once: a forked process has a copy, and would spend it again."""

from __future__ import annotations

import os

from comity.errors import UsageError


class OwnProcess:
    """Remembers the process that made it."""

    def __init__(self) -> None:
        self._made_by = os.getpid()

    def require(self) -> None:
        """Do nothing in that process.

        Raises:
            UsageError: in any other one.
        """
        if os.getpid() != self._made_by:
            raise UsageError("a validator answers in the process that made it; a copy of it has no budget")
