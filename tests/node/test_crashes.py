"""A party that dies at any durable write, before or after it: the session finishes or is refused.

Nothing is released twice, nothing that was taken is lost, no budget comes back. A message is stored before it
is sent and before its sender hears that it was taken, so the durable writes are the message boundaries.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from comity.architectures.definition import Options
from comity.attack.result import AttackResult
from comity.ledger import Ledger
from comity.node.folder import PartyFolder
from comity.node.orders import order_bytes
from comity.wire import holds_share, open_message

pytestmark = pytest.mark.slow

OPTIONS = {
    "direct-release": {"k": 5},
    "mediated-release": {"k": 5},
    "validation": {"epsilon": 1.0, "mode": "linked"},
    "blind-validation": {"epsilon": 1.0, "mode": "linked"},
}
TWO = ("north", "analyst")
THREE = ("north", "hub", "analyst")
FIVE = ("north", "south", "west", "hub", "analyst")
MOST_WRITES = 200


@pytest.fixture
def root():
    """A folder in memory, where there is one: what a crash leaves does not hang on the disk's speed."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def open_session(network, town, architecture):
    """The order that the ML party's people give."""
    body = {
        "architecture": architecture,
        "task": town.task.to_dict(),
        "options": Options(**OPTIONS[architecture]).to_dict(),
    }
    session, data = order_bytes(town.analyst, "run", body, agreement=town.agreement.digest)
    network.nodes["analyst"].obey(data)
    return session


def book_of(town, name):
    """A party's ledger, as its file holds it."""
    return Ledger.open(town.folders[name].ledger_path, key=town.folders[name].key, owner=name)


def spent(ledger):
    """What each account of a ledger has spent: charges, and the epsilon that they come to."""
    found = {}
    for account in ledger.accounts():
        total = ledger.spent(account)
        found[str(account)] = (total.charges, total.epsilon)
    return found


def buried(network, town, victim):
    """After a crash: the victim's ledger as the crash has left it, its node started again."""
    network.bury(victim)
    with book_of(town, victim) as ledger:
        left = ledger.checkpoint(), spent(ledger)
    network.start(victim)
    return left


def run_with_crash(crashing, town, architecture, victim, fuse):
    """One session in which `victim` dies at its fuse and is started again, and what must hold after it.

    Returns:
        How it ended at each party.
    """
    network = crashing.Network(town)
    left = None
    try:
        for name in town.folders:
            network.start(name, fuse if name == victim else None)
        try:
            session = open_session(network, town, architecture)
        except crashing.Crash:
            left = buried(network, town, victim)
            # an order that was not taken is given again
            known = network.nodes["analyst"].state.sessions()
            session = known[0].id if known else open_session(network, town, architecture)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if left is None and fuse.blown.is_set():
                left = buried(network, town, victim)
            if network.settled(session) and not (fuse.writing or (left is None and fuse.blown.is_set())):
                break
            network.wait()
        ended = network.statuses(session)
        assert set(ended) == set(town.folders)
        assert set(ended.values()) <= {"done", "refused", "failed"}, "it neither finished nor refused"
        check_inboxes(network, town)
    finally:
        network.stop()
    check_releases(network, town, ended)
    check_ledgers(town, victim, left)
    return ended


def check_inboxes(network, town):
    """What a party said it had taken is still there; of shares, which have served by now, the row is."""
    keys = {name: folder.key.verify_key for name, folder in town.folders.items()}
    for peer, data in network.taken:
        message = open_message(data, keys=keys, recipient=peer)
        stored = network.nodes[peer].state.incoming(message.session, message.sender, message.number)
        assert stored == (b"" if holds_share(message) else data), "what was taken is lost"


def check_releases(network, town, ended):
    """One number has one content, and one plan has one outcome."""
    numbered, outcomes = {}, {}
    for message in network.releases():
        place = (message.session, message.sender, message.recipient, message.number)
        content = repr((message.body, sorted(message.parts.items())))
        assert numbered.setdefault(place, content) == content, "one number, two releases"
        told = message.body["receipt"]
        what = (message.sender, told.get("plan", told.get("outcome")), message.body.get("piece"))
        assert outcomes.setdefault(what, content) == content, "released twice"
    assert outcomes or ended["analyst"] != "done", "done without a release"
    senders = {sender for sender, *_ in outcomes}
    for name in senders:
        with book_of(town, name) as ledger:
            assert ledger.events("released"), "released without an entry"


def check_ledgers(town, victim, left):
    """Each is whole; the victim's goes on from what the crash had left; nothing comes back."""
    for name in town.folders:
        with book_of(town, name) as ledger:
            assert ledger.verify().ok
            opening = [entry for entry in ledger.events("released") if "draws_on" not in entry.body]
            # what was entered and could not be sent any more is entered again: the same bytes
            plans = {(entry.body["plan"], entry.body["outcome"]) for entry in opening}
            assert len(plans) == len({plan for plan, _ in plans}), "one plan, two outcomes"
            charges = Counter(entry.body["account"] for entry in ledger.events("charged"))
            for account, found in charges.items():
                released = sum(
                    account in (entry.body["account"], *entry.body.get("also", ())) for entry in opening
                )
                # a crash between a charge and its release costs the charge, and no more than that
                assert released <= found <= released + 1, (name, account, released, found)
            if name == victim and left is not None:
                head, before = left
                ledger.check_own(head)
                after = spent(ledger)
                for account, (charges_before, epsilon) in before.items():
                    assert after[account][0] >= charges_before, "a charge is gone"
                    assert after[account][1] >= epsilon, "budget came back"


def enumerate_crashes(
    crashing, houses, root, architecture, parties, victim, *, after=False, rows=60, skip=()
):
    """One run per durable write of the victim. Returns where it died and how the analyst ended."""
    fresh = houses.build_town(root / "fresh", [architecture], parties=parties, rows=rows, epsilon=3.0)
    found = []
    with crashing.quiet_threads():
        for at in range(1, MOST_WRITES):
            here = root / f"{at}"
            shutil.copytree(fresh.root, here)
            folders = {name: PartyFolder.open(here / name) for name in parties}
            town = houses.Town(here, folders, fresh.agreement, fresh.task)
            fuse = crashing.Fuse(at, after, skip)
            ended = run_with_crash(crashing, town, architecture, victim, fuse)
            shutil.rmtree(here)
            if not fuse.blown.is_set():
                assert ended["analyst"] == "done"
                return found
            found.append((fuse.name, ended["analyst"]))
    raise AssertionError("there are more writes than were tried")


@pytest.mark.parametrize(
    ("architecture", "after"),
    [("validation", False), ("validation", True), ("direct-release", False)],
    ids=["before-validation", "after-validation", "before-direct-release"],
)
@pytest.mark.parametrize("victim", TWO)
def test_a_party_may_die_at_any_write(architecture, victim, after, crashing, houses, root):
    found = enumerate_crashes(crashing, houses, root, architecture, TWO, victim, after=after)
    assert len(found) >= 5
    # a crash between a charge and its answer costs what was charged; all others are survived
    lost = [name for name, end in found if end != "done"]
    assert len(lost) <= 2, found
    assert all(name.startswith(("ledger", "state.keep")) for name in lost), found


# With more parties each run takes longer. The mark that a message was taken is the same code for every
# architecture, and there is one for every message: the tests above die at each of theirs.
MARKS = ("state.taken",)


@pytest.mark.parametrize("victim", THREE)
def test_a_party_of_a_blind_session_may_die_at_any_write(victim, crashing, houses, root):
    """A blind session's keys live in its processes: after a crash it may have to end, but never hangs."""
    found = enumerate_crashes(crashing, houses, root, "blind-validation", THREE, victim, skip=MARKS)
    assert len(found) >= 5


@pytest.fixture
def unattacked(monkeypatch):
    """The origin attack, which takes half of a mediated session's time, finds nothing."""
    found = AttackResult("origin", advantage=0.0, low=-0.1, high=0.0, bound=0.1, control=0.0, trials=100)
    monkeypatch.setattr("comity.architectures.mediated_check.origin_attack", lambda *_, **__: found)


@pytest.mark.usefixtures("unattacked")
@pytest.mark.parametrize("victim", ["north", "hub", "analyst"])
def test_a_party_of_a_mediated_release_may_die_at_any_write(victim, crashing, houses, root):
    """Tables in pieces: what was made lies on the disk, and the same bytes leave after a restart."""
    found = enumerate_crashes(crashing, houses, root, "mediated-release", FIVE, victim, skip=MARKS)
    assert len(found) >= 5
    assert [(name, end) for name, end in found if end != "done"] == []
