"""A party that dies at any durable write, before or after it: the session finishes or is refused.

Nothing is released twice, nothing that was taken is lost, no budget comes back.
"""

from __future__ import annotations

import shutil
import time

import pytest

from comity.architectures.definition import Options
from comity.ledger import Ledger
from comity.node.folder import PartyFolder
from comity.node.orders import order_bytes

pytestmark = pytest.mark.slow

OPTIONS = {
    "direct-release": {"k": 5},
    "validation": {"epsilon": 1.0, "mode": "linked"},
    "blind-validation": {"epsilon": 1.0, "mode": "linked"},
}
TWO = ("north", "analyst")
THREE = ("north", "hub", "analyst")


def open_session(network, town, architecture, options):
    """The order that the ML party's people give, to a node that may be dead: None then."""
    body = {
        "architecture": architecture,
        "task": town.task.to_dict(),
        "options": Options(**options).to_dict(),
    }
    session, data = order_bytes(town.analyst, "run", body, agreement=town.agreement.digest)
    network.nodes["analyst"].obey(data)
    return session


def run_with_crash(crashing, town, architecture, parties, victim, fuse):
    """One session in which `victim` dies at its fuse, is started again, and all is looked at afterwards."""
    network = crashing.Network(town)
    session = None
    try:
        for name in parties:
            network.start(name, fuse if name == victim else None)
        try:
            session = open_session(network, town, architecture, OPTIONS[architecture])
        except crashing.Crash:
            network.bury(victim)
            network.start(victim)
            rows = network.nodes["analyst"].state.sessions()
            if not rows:  # the order was not taken: it is given again
                open_session(network, town, architecture, OPTIONS[architecture])
                rows = network.nodes["analyst"].state.sessions()
            session = rows[0].id
        deadline = time.monotonic() + 60
        while victim in network.nodes and time.monotonic() < deadline:
            if fuse.blown.is_set() and network.nodes[victim].arrivals is not None and session is not None:
                if getattr(network.nodes[victim].state.put, "__name__", "") == "guarded":
                    network.bury(victim)
                    network.start(victim)
                break
            row = network.nodes["analyst"].state.session(session)
            others = [node.state.session(session) for node in network.nodes.values()]
            if row is not None and all(one is not None and one.status != "running" for one in others):
                time.sleep(0.2)  # the last marks of delivery may still blow the fuse
                if not fuse.blown.is_set():
                    break
            time.sleep(0.01)
        ended = network.ended(session)
        return network, session, ended
    finally:
        network.stop()


def check(town, network, ended):
    """What must hold however the session ended."""
    assert set(ended.values()) <= {"done", "refused", "failed"}
    numbered = {}
    outcomes = {}
    for message in network.releases():
        place = (message.session, message.sender, message.recipient, message.number)
        content = repr((message.body, sorted(message.parts.items())))
        assert numbered.setdefault(place, content) == content, "one number, two releases"
        outcomes.setdefault((message.sender, message.body["receipt"]["plan"]), set()).add(content)
    assert all(len(each) == 1 for each in outcomes.values()), "released twice"
    ledger = Ledger.open(town.folders["north"].ledger_path, key=town.folders["north"].key, owner="north")
    try:
        assert ledger.verify().ok
        released = sum("draws_on" not in entry.body for entry in ledger.events("released"))
        charged = len(ledger.events("charged"))
    finally:
        ledger.close()
    assert charged >= released >= 0
    if outcomes:
        assert released >= 1
    if ended.get("analyst") == "done":
        assert outcomes, "done without a release"


def enumerate_crashes(crashing, houses, folder, architecture, parties, victim, *, after):
    """One run per durable write of the victim. Returns where it died and how the analyst ended."""
    fresh = houses.build_town(folder / "fresh", [architecture], parties=parties, rows=120, epsilon=3.0)
    found = []
    with crashing.quiet_threads():
        for at in range(1, 200):
            root = folder / f"{at}"
            shutil.copytree(folder / "fresh", root)
            folders = {name: PartyFolder.open(root / name) for name in parties}
            town = houses.Town(root, folders, fresh.agreement, fresh.task)
            fuse = crashing.Fuse(at, after)
            network, _, ended = run_with_crash(crashing, town, architecture, parties, victim, fuse)
            check(town, network, ended)
            if not fuse.blown.is_set():
                assert ended["analyst"] == "done"
                return found
            found.append((fuse.name, ended["analyst"]))
            shutil.rmtree(root)
    raise AssertionError("there are more writes than were tried")


@pytest.mark.parametrize("architecture", ["direct-release", "validation"])
@pytest.mark.parametrize("victim", TWO)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_party_may_die_at_any_write(architecture, victim, after, crashing, houses, tmp_path):
    found = enumerate_crashes(crashing, houses, tmp_path, architecture, TWO, victim, after=after)
    assert len(found) >= 5
    # a crash between a charge and its answer costs what was charged; all others are survived
    lost = [name for name, end in found if end != "done"]
    assert len(lost) <= 2, found
    assert all(name.startswith(("ledger", "state.keep")) for name in lost), found


@pytest.mark.parametrize("victim", THREE)
def test_a_party_of_a_blind_session_may_die_at_any_write(victim, crashing, houses, tmp_path):
    """A blind session's keys live in its processes: after a crash it may have to end, but never hangs."""
    found = enumerate_crashes(crashing, houses, tmp_path, "blind-validation", THREE, victim, after=False)
    assert len(found) >= 5
    print(victim, found)
