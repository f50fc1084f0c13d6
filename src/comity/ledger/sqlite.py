"""The SQLite seam: how a ledger's file is made, opened, locked and read, and what its errors mean to people.

WAL with synchronous=FULL: a commit is on the disk when it returns, readers never wait. The file is made for
its owner only (0600); SQLite gives the files beside it (-wal, -shm) the same mode.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool, StaticPool

from comity.errors import BadInput, ComityError, VerificationFailed
from comity.ledger import postgres

WRITING: Final = "comity_writing"
"""The execution option of a connection that is going to write."""

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def file_engine(path: Path, *, wait: float) -> Engine:
    """The engine of a ledger's file, which is made if it does not exist.

    Args:
        path: where it is.
        wait: seconds to wait for another process that holds the write lock.

    Raises:
        BadInput: if it cannot be made, or others may read it.
    """
    _made_private(path)

    def connect() -> sqlite3.Connection:
        connection = _connect(str(path), wait=wait)
        _write_ahead(connection, wait=wait)
        return connection

    return _engine(connect, QueuePool)


def memory_engine() -> Engine:
    """The engine of a ledger that lives as long as the process."""
    return _engine(lambda: _connect(":memory:", wait=0), StaticPool)


def copy_engine(path: Path) -> tuple[Engine, Callable[[], None]]:
    """An engine that only reads `path`, which may lie in a folder that nobody can write to.

    Without files beside it the file alone is read. A -wal file beside it holds the latest entries: if the
    ledger is in use (-shm) it is read as its other users read it, otherwise both are copied to be read.

    Returns:
        The engine, and what to call when done with it.

    Raises:
        BadInput: if there is no such file.
    """
    if not path.is_file():
        raise BadInput(f"there is no ledger at {path}; check the path")
    log, shared = _beside(path, "-wal"), _beside(path, "-shm")
    if log.exists() and shared.exists() and os.access(shared, os.W_OK):
        return _engine(lambda: _connect(_uri(path, "mode=ro"), wait=30, uri=True), QueuePool), _nothing
    if not log.exists() or log.stat().st_size == 0:
        return _engine(lambda: _connect(_uri(path, "immutable=1"), wait=0, uri=True), QueuePool), _nothing
    folder = Path(mkdtemp(prefix="comity-ledger-"))
    for source in (path, log):
        shutil.copyfile(source, folder / source.name)
    engine = _engine(lambda: _connect(str(folder / path.name), wait=0), QueuePool)
    return engine, lambda: shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def told(name: str) -> Generator[None, None, None]:
    """Turn a database's errors into ones that say what to do; `name` is the ledger's."""
    try:
        yield
    except DBAPIError as error:
        raise _explained(error.orig, name) from error
    except sqlite3.Error as error:
        raise _explained(error, name) from error


def _explained(error: BaseException | None, name: str) -> ComityError:
    if error is not None and hasattr(error, "sqlstate"):
        return postgres.explained(error, name)
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary == sqlite3.SQLITE_FULL:
        return BadInput(
            f"the disk that holds the ledger {name} is full: nothing was written; free some space"
        )
    if primary in _BUSY:
        return BadInput(
            f"another process keeps the ledger {name} locked: nothing was written; wait for it to finish, "
            "or stop it, and ask again"
        )
    if primary == sqlite3.SQLITE_IOERR:
        return BadInput(
            f"the ledger {name} cannot be read or written ({text}): nothing was written; look for a full "
            "disk, a quota, a limit on file sizes, or a failing disk"
        )
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return BadInput(f"the ledger {name} cannot be opened for this ({text}): check path and permissions")
    if primary == sqlite3.SQLITE_NOTADB:
        return BadInput(f"{name} is not a ledger: it is no SQLite database")
    if primary == sqlite3.SQLITE_CORRUPT:
        return VerificationFailed(
            f"the file of the ledger {name} is damaged ({text}): take a copy that verifies"
        )
    return BadInput(f"the ledger {name} cannot be used: {text}")


def _engine(connect: Callable[[], sqlite3.Connection], pool: type[QueuePool] | type[StaticPool]) -> Engine:
    engine = create_engine("sqlite://", creator=connect, poolclass=pool)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        writing = connection.get_execution_options().get(WRITING, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _connect(target: str, *, wait: float, uri: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(
        target, timeout=wait, isolation_level=None, check_same_thread=False, uri=uri, cached_statements=64
    )
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _write_ahead(connection: sqlite3.Connection, *, wait: float) -> None:
    """Durable commits. Switching to WAL does not wait for others by itself, so it is tried again."""
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")
    deadline = time.monotonic() + wait
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if (error.sqlite_errorcode & 0xFF) not in _BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _made_private(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # so that a power cut does not lose the name
        finally:
            os.close(folder)
    except FileExistsError:
        _check_private(path)
    except OSError as error:
        raise BadInput(f"the ledger {path} cannot be made: {error.strerror}; check the path") from None


def _check_private(path: Path) -> None:
    if not path.is_file():
        raise BadInput(f"the ledger {path} is not a file")
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise BadInput(f"the ledger {path} can be read by others (mode {mode:o}); run: chmod 600 {path}")


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _uri(path: Path, query: str) -> str:
    return f"{path.absolute().as_uri()}?{query}"


def _nothing() -> None:
    return
