"""The engine stays inside the process: no downloads, no spill files, no more threads than allowed."""

from __future__ import annotations

import duckdb
import pytest

from comity.data.engine import THREADS_VARIABLE, connect, threads_allowed
from comity.errors import UsageError


def test_threads_come_from_the_argument_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(THREADS_VARIABLE, raising=False)
    assert threads_allowed() >= 1
    monkeypatch.setenv(THREADS_VARIABLE, "3")
    assert (threads_allowed(), threads_allowed(1)) == (3, 1)
    for wrong in ("0", "-1", "two", ""):
        monkeypatch.setenv(THREADS_VARIABLE, wrong)
        with pytest.raises(UsageError, match=THREADS_VARIABLE):
            threads_allowed()


def test_the_engine_installs_nothing_and_spills_nothing() -> None:
    with connect(1) as connection:
        names = ["threads", "autoinstall_known_extensions", "autoload_known_extensions", "temp_directory"]
        settings = [connection.sql(f"select current_setting('{name}')").fetchall()[0][0] for name in names]
        assert settings == [1, False, False, ""]
        with pytest.raises(duckdb.Error):
            connection.sql("select * from st_read('x')").fetchall()
