"""Entries kept in memory are those of the store, however long the ledger is."""

from __future__ import annotations

from typing import Any

import pytest

from comity.ledger import Ledger
from comity.ledger.entries import Entry
from comity.ledger.memory import Memory


@pytest.mark.parametrize("most", [0, 3, 7, 100])
def test_what_is_kept_and_what_is_read_are_one(ledger: Ledger, home: Any, most: int) -> None:
    ledger._state.memory = memory = Memory(most)
    for entry in ledger.events():
        memory.take(entry)
    for turn in range(8):
        ledger.append("note" if turn % 2 else "asked", {"turn": turn, "account": f"a/b{turn % 3}/label"})
    with ledger._store.reading() as connection:
        stored = [Entry.read(row) for row in ledger._store.rows(connection)]
    for kind in (None, "note", "asked", "released"):
        for account in (None, "a/b1/label", "a/b7/label"):
            for start in (0, 1, 5, 9, 99):
                wanted = [
                    entry.seq
                    for entry in stored
                    if entry.seq >= start
                    and kind in (None, entry.kind)
                    and account in (None, entry.body.get("account"))
                ]
                assert [e.seq for e in ledger.events(kind, account=account, start=start)] == wanted


def test_what_another_process_appends_is_seen(home: Any, ledger: Ledger) -> None:
    with home.open() as other:
        other.append("note", {"text": "elsewhere"})
    assert ledger.events("note")[-1].body == {"text": "elsewhere"}
