"""The engine that reads large files: DuckDB, confined to the process and to the threads it is given."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from comity.errors import UsageError

if TYPE_CHECKING:
    import duckdb

THREADS_VARIABLE = "COMITY_THREADS"


def threads_allowed(threads: int | None = None) -> int:
    """How many threads an engine may start: as asked, else `COMITY_THREADS`, else the cores allowed.

    Raises:
        UsageError: if the number is not a whole number above 0.
    """
    asked = os.environ.get(THREADS_VARIABLE) if threads is None else str(threads)
    if asked is None:
        return len(os.sched_getaffinity(0))
    if not asked.isascii() or not asked.isdigit() or int(asked) < 1:
        raise UsageError(f"{THREADS_VARIABLE} is a number of threads above 0, not {asked!r}")
    return int(asked)


def connect(threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """A private in-memory DuckDB. It installs and loads nothing by itself, and writes no spill file.

    Spilling is off because a spill file would put private rows on disk in the clear.
    """
    import duckdb

    return duckdb.connect(
        ":memory:",
        config={
            "threads": threads_allowed(threads),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "allow_persistent_secrets": False,
            "temp_directory": "",
        },
    )
