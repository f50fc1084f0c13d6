"""Nodes countersign each other's ledgers over their own HTTPS; one rewritten or rolled back is caught."""

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
        time.sleep(0.05)
    return False


def files_of(ledger):
    return list(ledger.parent.glob(f"{ledger.name}*"))


def copied(ledger, folder):
    folder.mkdir()
    for each in files_of(ledger):
        shutil.copy(each, folder)


def in_its_place(town, name, put):
    """What a party does that rewrites: it stops its node, forgets what it has signed for, and starts anew."""
    town.end(name)
    shutil.rmtree(town.folders[name].countersigned_path, ignore_errors=True)
    path = town.folders[name].ledger_path
    for each in files_of(path):
        each.unlink()
    put(path)
    town.start(name)


def test_ledgers_are_countersigned_and_a_rewritten_one_is_caught(houses, tmp_path):
    town = houses.build_town(tmp_path, ["validation"], parties=PARTIES, rows=60)
    north = town.folders["north"]
    try:
        town.start()
        copied(north.ledger_path, tmp_path / "early")
        assert town.run("validation", epsilon=1.0, mode="linked")["status"] == "done"
        released = 4  # founded, opened, asked, charged and released at least
        assert until(
            lambda: (last := keeper(town, "analyst").last("north")) is not None and last.size > released
        )
        assert until(lambda: keeper(town, "north").got("analyst") is not None)
        fetched = fetch_ledger(town.analyst, north.url)
        assert fetched.ok, fetched.words()
        before = keeper(town, "analyst").last("north")

        def faults():
            return {line["fault"] for line in keeper(town, "analyst").refusals("north")}

        def rolled_back(path):
            for each in (tmp_path / "early").iterdir():
                shutil.copy(each, path.parent)
            with Ledger.open(path, key=north.key, owner="north") as ledger:
                ledger.append("note", {"text": "something else happened"})

        def begun_anew(path):
            Ledger.open(path, key=north.key, owner="north").close()

        # the same ledger, as it was before the session; then another one under the same key
        for put, fault in ((rolled_back, "rollback"), (begun_anew, "fork")):
            in_its_place(town, "north", put)
            assert until(lambda fault=fault: fault in faults()), (fault, faults())
            assert keeper(town, "analyst").last("north") == before
            fetched = fetch_ledger(PartyFolder.open(town.analyst.path), north.url)
            assert not fetched.ok
        # how a node is meant to end
        assert town.end("analyst") == 0
        assert "has stopped" in town.log("analyst")
    finally:
        town.stop()
