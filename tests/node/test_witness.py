"""Nodes countersign each other's ledgers over their own HTTPS; a rewritten ledger is caught."""

from __future__ import annotations

import shutil
import time

import pytest

from comity.ledger import Ledger
from comity.ledger.keeper import Keeper
from comity.node.fetch import fetch_ledger
from comity.node.folder import PartyFolder

pytestmark = pytest.mark.slow

PARTIES = ("north", "analyst")


def keeper(town, name):
    folder = town.folders[name]
    return Keeper(folder.countersigned_path, party=name, key=folder.key)


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_ledgers_are_countersigned_and_a_rewritten_one_is_caught(houses, tmp_path):
    town = houses.build_town(tmp_path, ["validation"], parties=PARTIES, rows=150)
    try:
        town.start()
        assert town.run("validation", epsilon=1.0, mode="linked")["status"] == "done"
        released = 4  # founded, opened, asked, charged and released at least
        assert until(
            lambda: (last := keeper(town, "analyst").last("north")) is not None and last.size > released
        )
        assert keeper(town, "north").got("analyst") is not None
        fetched = fetch_ledger(town.analyst, town.folders["north"].url)
        assert fetched.ok, fetched.words()
        town.stop()

        # north forgets everything, what the others signed too, and begins a new ledger under the same key
        shutil.rmtree(town.folders["north"].countersigned_path)
        path = town.folders["north"].ledger_path
        for each in path.parent.glob("ledger.db*"):
            each.unlink()
        Ledger.open(path, key=town.folders["north"].key, owner="north").close()
        before = keeper(town, "analyst").last("north")
        town.start("analyst", "north")
        assert until(lambda: keeper(town, "analyst").refusals("north"))
        assert keeper(town, "analyst").last("north") == before
        fetched = fetch_ledger(PartyFolder.open(town.analyst.path), town.folders["north"].url)
        assert not fetched.ok
    finally:
        town.stop()
