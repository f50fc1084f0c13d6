"""A ledger in a real PostgreSQL: what only a server can do to it, and what the commands say of it."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from comity.crypto.keys import SigningKey
from comity.errors import BadInput, BudgetRefused, UsageError
from comity.ledger import Ledger, pure, verify_ledger

LABEL = "hospital/adult/label"
PER_LABEL = {"unit": "label", "relation": "change-one"}
KEY = SigningKey.generate()


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


def connect(url: str) -> Any:
    import psycopg

    return psycopg.connect(url)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET kind = 'note'",
        "DELETE FROM events WHERE seq = 1",
        "TRUNCATE events",
        "UPDATE checkpoints SET time = 'then'",
        "DELETE FROM checkpoints",
        "TRUNCATE checkpoints",
    ],
)
def test_the_database_itself_refuses_to_change_what_is_there(
    home: Any, ledger: Ledger, statement: str
) -> None:
    if not home.in_postgres and statement.startswith("TRUNCATE"):
        statement = statement.replace("TRUNCATE", "DELETE FROM")
    run = connect if home.in_postgres else __import__("sqlite3").connect
    connection = run(home.place)
    with pytest.raises(Exception, match="a ledger is only added to"):
        connection.execute(statement)
    connection.close()
    assert ledger.verify().size == 2


def test_guards_that_were_put_aside_are_back_when_it_is_opened(home: Any, ledger: Ledger) -> None:
    home.edit("DELETE FROM events WHERE seq = 77")
    home.open().close()
    run = connect if home.in_postgres else __import__("sqlite3").connect
    connection = run(home.place)
    with pytest.raises(Exception, match="a ledger is only added to"):
        connection.execute("DELETE FROM events WHERE seq = 1")
    connection.close()


def test_a_ledger_in_a_database_needs_its_key(url: str) -> None:
    with pytest.raises(UsageError, match="pass key="):
        Ledger.open(url)
    Ledger.open(url, key=KEY).close()
    with pytest.raises(BadInput, match="use the ledger's own"):
        Ledger.open(url, key=SigningKey.generate())


def test_two_parties_keep_theirs_in_two_schemas(postgres: Any) -> None:
    places = [postgres.new_schema() for _ in range(2)]
    ledgers = [Ledger.open(place, key=KEY, owner=name) for place, name in zip(places, "ab", strict=True)]
    ledgers[0].append("note", {"text": "only here"})
    assert [ledger.size for ledger in ledgers] == [2, 1]
    assert [verify_ledger(place).owner for place in places] == ["a", "b"]


def test_commits_reach_the_servers_disk_whatever_its_default(url: str) -> None:
    quick = f"{url}%20-csynchronous_commit%3Doff"
    with Ledger.open(quick, key=KEY) as ledger, ledger._store.reading() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_a_locked_ledger_is_told(url: str) -> None:
    ledger = Ledger.open(url, key=KEY, wait=0.2)
    holder = connect(url)
    holder.execute("SELECT format FROM comity_ledger WHERE id = 1 FOR UPDATE")
    with pytest.raises(BadInput, match=r"another process keeps the ledger .* locked: nothing was written"):
        ledger.append("note", {})
    assert ledger.size == 1  # reading does not wait
    holder.rollback()
    holder.close()
    ledger.append("note", {})
    ledger.close()


def test_readers_see_one_state_while_another_appends(url: str) -> None:
    ledger, other = Ledger.open(url, key=KEY), Ledger.open(url, key=KEY)
    with ledger._store.reading() as connection:
        before = len(list(ledger._store.rows(connection)))
        other.append("note", {})
        assert len(list(ledger._store.rows(connection))) == before == 1
    assert ledger.size == 2
    ledger.close()
    other.close()


def test_a_connection_that_the_server_ended_is_replaced(url: str) -> None:
    ledger = Ledger.open(url, key=KEY)
    ledger.append("note", {})
    with connect(url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND query LIKE '%events%'"
        )
    ledger.append("note", {})
    assert ledger.verify().size == 3
    ledger.close()


def test_a_connection_that_ends_inside_an_append_leaves_nothing_half_written(url: str) -> None:
    ledger = Ledger.open(url, key=KEY)

    def cut(accounts: object) -> tuple[str, dict[str, Any]]:
        with connect(url) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND state = 'idle in transaction'"
            )
        time.sleep(0.2)
        return "note", {"text": "lost"}

    with pytest.raises(BadInput, match=r"cannot be reached .* is there as a whole or is not there"):
        ledger._decide(cut)
    assert ledger.size == 1
    ledger.append("note", {"text": "kept"})
    assert ledger.verify().size == 2
    ledger.close()


def test_threads_of_two_instances_fill_a_budget_exactly(url: str) -> None:
    ledgers = [Ledger.open(url, key=KEY) for _ in range(2)]
    ledgers[0].open_account(LABEL, (1.0, 1e-6))
    admitted: list[int] = []

    def spend(ledger: Ledger) -> None:
        try:
            while True:
                admitted.append(ledger.charge(pure(0.1, **PER_LABEL), account=LABEL).seq)
        except BudgetRefused:
            return

    threads = [threading.Thread(target=spend, args=(ledger,)) for ledger in ledgers * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == len(set(admitted)) == 10
    assert verify_ledger(url).ok
    for ledger in ledgers:
        ledger.close()


@pytest.mark.parametrize("damage", ["database", "user"])
def test_what_cannot_be_opened_is_told_without_the_password(postgres: Any, damage: str) -> None:
    url = postgres.url().replace("comity@", "comity:secret@")
    url = (
        url.replace("/postgres?", "/nowhere?") if damage == "database" else url.replace("comity:", "nobody:")
    )
    with pytest.raises(BadInput) as caught:
        Ledger.open(url, key=KEY)
    assert "secret" not in str(caught.value)
    assert "cannot be" in str(caught.value)


def test_an_empty_database_holds_no_ledger(url: str) -> None:
    with pytest.raises(BadInput, match="holds no ledger"):
        verify_ledger(url)


def test_the_commands_read_it(url: str, tmp_path: Path) -> None:
    with Ledger.open(url, key=KEY, owner="north") as ledger:
        ledger.append("asked", {"recipient": "analyst", "purpose": "auc"})
        kept = tmp_path / "kept.json"
        kept.write_text(json.dumps(ledger.checkpoint().to_dict()))
        ledger.append("note", {"text": "later"})

    def comity(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("comity")), "ledger", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    done = comity("verify", url, "--checkpoint", str(kept), "--key", str(KEY.verify_key))
    assert done.returncode == 0, done.stderr
    assert "It extends the checkpoint of 2 entries that you kept." in done.stdout
    assert "analyst asked for 'auc'" in comity("show", url).stdout
    with connect(url) as connection:
        connection.execute("ALTER TABLE events DISABLE TRIGGER ALL")
        connection.execute("UPDATE events SET salt = decode(repeat('00', 32), 'hex') WHERE seq = 1")
    done = comity("verify", url)
    assert done.returncode == 6
    assert "seq 1" in done.stdout
