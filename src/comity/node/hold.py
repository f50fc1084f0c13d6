"""One node at a time over one state: the second one refuses to start, instead of answering beside the first.

Of a file, the hold is a lock on `<state>.lock` beside it, which the system takes back when the process dies,
however it dies. In PostgreSQL it is an advisory lock of a connection that stays open. Should that connection
break, the tables themselves still refuse two answers to one message or question.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from comity.errors import BadInput
from comity.ledger.sqlite import told

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from comity.node.state import State

_TAKE: Final = text("SELECT pg_try_advisory_lock(hashtext('comity node'), hashtext(current_schema()))")


class Hold:
    """Keeps other nodes from a state until it is released, or the process ends.

    Raises:
        BadInput: if another node uses the state.
    """

    def __init__(self, state: State) -> None:
        self._connection: Connection | None = None
        self._file: int | None = None
        if state.engine.dialect.name == "sqlite":
            self._lock_file(state)
        else:
            self._lock_database(state)

    def release(self) -> None:
        """Let other nodes use the state."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._connection is not None:
            self._connection.invalidate()  # the lock goes with the database's connection
            self._connection.close()
            self._connection = None

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            self.release()

    def _lock_file(self, state: State) -> None:
        try:
            self._file = os.open(f"{state.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise _in_use(state.name) from None
        except OSError as error:
            self.release()
            raise BadInput(f"the node's state {state.name} cannot be locked: {error.strerror}") from None

    def _lock_database(self, state: State) -> None:
        with told(state.name):
            self._connection = state.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            taken = bool(self._connection.execute(_TAKE).scalar_one())
        if not taken:
            self.release()
            raise _in_use(state.name)


def _in_use(name: str) -> BadInput:
    return BadInput(
        f"another node uses the state {name}, and two would answer and charge beside each other: this one "
        "was not started; stop the other one first, or give this one a folder or --state of its own"
    )
