"""A provider of one of these architectures dies between two durable writes, and its node is started again.

What it had sent is sent again as it was, under the charge that it had; where keys or shares went with its
process, the session ends at everybody, and nobody has half a result.
"""

from __future__ import annotations

import threading
import time

import pytest

from comity.architectures.definition import Options
from comity.ledger import Ledger
from comity.node.orders import order_bytes
from comity.wire import Kind

pytestmark = pytest.mark.slow

PARTIES = ("north", "south", "west", "analyst")
TWO = ("north", "analyst")
SECONDS = 400
RESULTS = ("scores.parquet", "model.json")


class KeepFuse:
    """Makes fuses that blow at the n-th message that a node stores to be sent."""

    def __init__(self, crashing):
        self._crashing = crashing

    def __call__(self, at, *, after):
        writes = [f"{part}.{name}" for part, names in self._crashing.WRITES.items() for name in names]
        return self._crashing.Fuse(at, after, tuple(name for name in writes if name != "state.keep"))


@pytest.fixture
def at_keep(crashing):
    return KeepFuse(crashing)


@pytest.fixture
def stage(crashing, houses, tmp_path):
    """Runs one session over a network in which a party dies at its fuse and is started again."""
    networks = []

    def run(architecture, options, fuse, *, parties=PARTIES, subject=None, victim="north", **clause):
        given = {} if subject is None else {"subject": subject}
        town = houses.build_town(tmp_path, ["validation"], parties=parties, rows=300, **given)
        town = houses.agree_on(town, architecture, options, **clause)
        network = crashing.Network(town, patience_s=SECONDS)
        networks.append(network)
        for name in parties:
            network.start(name, fuse if name == victim else None)
        body = {"architecture": architecture, "task": town.task.to_dict(), "options": options.to_dict()}
        session, data = order_bytes(town.analyst, "run", body, agreement=town.agreement.digest)
        network.nodes["analyst"].obey(data)
        assert fuse.blown.wait(SECONDS)
        network.bury(victim)
        before = story_of(town, victim)
        network.start(victim)
        network.ended(session, SECONDS)
        deadline = time.monotonic() + SECONDS
        while not network.settled(session):
            assert time.monotonic() < deadline
            network.wait()
        return Ran(town, network, session, before)

    with crashing.quiet_threads():
        yield run
        for network in networks:
            network.stop()


def story_of(town, name):
    """The entries of a party's ledger, by kind."""
    folder = town.folders[name]
    with Ledger.open(folder.ledger_path, key=folder.key, owner=name) as ledger:
        assert ledger.verify().ok
        return {kind: ledger.events(kind) for kind in ("charged", "released", "refused")}


class Ran:
    """A session after which its victim was started again."""

    def __init__(self, town, network, session, before):
        self.town, self.network, self.session, self.before = town, network, session, before
        self.ended = network.statuses(session)
        self.after = story_of(town, "north")

    def count(self, kind):
        """How many entries of a kind the victim has written since the crash."""
        return len(self.after[kind]) - len(self.before[kind])

    def sent(self):
        """What the victim sent beside notices: every number with one content, every plan with one outcome."""
        numbered, outcomes = {}, {}
        for message in self.network.releases():
            if message.sender != "north":
                continue
            content = repr((message.body, sorted(message.parts.items())))
            place = (message.recipient, message.number)
            assert numbered.setdefault(place, content) == content, "one number, two contents"
            receipt = message.body["receipt"]
            assert outcomes.setdefault(receipt["plan"], receipt["outcome"]) == receipt["outcome"]
        return outcomes

    def results(self):
        """Files of results that anybody has of the session."""
        folders = [folder.sessions_path / self.session for folder in self.town.folders.values()]
        return [path for folder in folders for path in folder.glob("*") if path.name in RESULTS]

    def message(self, name):
        return self.network.nodes[name].state.session(self.session).result["message"]


ANSWERS = [
    ("synthetic", None, {"method": "mst", "rows": 300}),
    ("clean-room", "private", {}),
    ("clean-room", "exact", {"membership": 0.9}),
    ("plain", None, {}),
]


@pytest.mark.parametrize(("architecture", "mode", "clause"), ANSWERS)
def test_an_answer_that_was_stored_is_sent_once(architecture, mode, clause, stage, at_keep, houses):
    """The provider dies after its answer was charged, made and stored, before it was sent."""
    subject = houses.MACHINES if architecture == "plain" else houses.PEOPLE
    fuse = at_keep(1, after=True)
    ran = stage(architecture, Options(mode=mode), fuse, parties=TWO, subject=subject, **clause)
    assert set(ran.ended.values()) == {"done"}
    assert (ran.count("charged"), ran.count("released")) == (0, 0)
    assert len(ran.sent()) == 1
    assert ran.results()


@pytest.mark.parametrize("architecture", ["synthetic", "clean-room"])
def test_an_answer_that_was_lost_is_not_drawn_again(architecture, stage, at_keep):
    """It dies after its answer was charged and made, before it was stored: the clause has no room for two."""
    clause = {"method": "mst", "rows": 300} if architecture == "synthetic" else {}
    mode = "private" if architecture == "clean-room" else None
    ran = stage(architecture, Options(mode=mode), at_keep(1, after=False), parties=TWO, **clause)
    assert set(ran.ended.values()) == {"refused"}
    assert (ran.count("charged"), ran.count("released")) == (0, 0)
    assert ran.sent() == {}
    assert ran.results() == []


def test_encrypted_rows_whose_key_is_gone(stage, at_keep):
    """The provider's key of a homomorphic session goes with its process: no scores that nobody can open."""
    ran = stage("homomorphic", Options(), at_keep(1, after=True), parties=TWO)
    assert ran.ended["north"] == "failed"
    assert "start the run again" in ran.message("north")
    assert ran.count("released") == 0
    assert len(ran.sent()) == 1
    assert ran.results() == []


def test_the_scorer_answers_once(stage, at_keep):
    """Scores are flooded and claimed once: who scores dies when its answer is stored, and sends that one."""
    fuse = at_keep(3, after=True)  # the invitation, the question, the scores
    ran = stage("homomorphic", Options(), fuse, parties=TWO, victim="analyst", queries=300)
    assert set(ran.ended.values()) == {"done"}
    with ran.network.nodes["analyst"].ledger as ledger:
        claims = [entry for entry in ledger.events("note") if "scored_for" in entry.body]
    assert len(claims) == 1


@pytest.mark.parametrize("threshold", [3, 2])
def test_a_member_whose_keys_are_gone(threshold, stage, at_keep):
    """Secure aggregation: a member that was started again drops out; a sum opens if enough stay."""
    options = Options(epsilon=2.0)
    fuse = at_keep(3, after=True)  # the opening share, its keys, the shares of its secrets
    ran = stage("federated", options, fuse, threshold=threshold, colluders=threshold - 2)
    assert ran.ended["north"] == "failed"
    assert "was restarted" in ran.message("north")
    assert (ran.count("charged"), ran.count("released")) == (0, 0)
    others = {name: ran.ended[name] for name in ("south", "west", "analyst")}
    if threshold == 2:
        assert set(others.values()) == {"done"}
        figures = ran.network.nodes["analyst"].state.session(ran.session).result["figures"]
        assert figures["stayed"] == ["south", "west"]
    else:
        assert set(others.values()) == {"failed"}
        assert ran.results() == []
        masked = [message for message in ran.network.releases() if message.topic == "train"]
        assert masked == []


def test_a_compute_party_whose_shares_are_gone(stage, at_keep):
    """Secret shares: a provider that was started again shares nothing more; nobody has a model."""
    counts, met, programs = 3, 2, 2
    fuse = at_keep(counts + met + 2 + programs + 1, after=True)  # notices, then its first share
    ran = stage("encrypted", Options(mode="exact"), fuse)
    assert set(ran.ended.values()) == {"failed"}
    assert "was restarted" in ran.message("north")
    assert (ran.count("charged"), ran.count("released")) == (0, 0)
    assert {message.topic for message in ran.network.releases() if message.sender == "north"} == {"shares"}
    assert len(ran.sent()) == 1
    assert ran.results() == []
    assert not any(message.kind is Kind.release for message in ran.network.releases())
    for folder in ran.town.folders.values():
        assert list(folder.shares_path.glob("*/*")) == []


def test_a_node_that_is_stopped_finishes_what_it_has_charged_for(crashing, houses, tmp_path, monkeypatch):
    """An ordinary stop costs no budget: the answer is stored before the node ends, and sent afterwards."""
    from comity.architectures import synthetic

    begun, make = threading.Event(), synthetic._made

    def slowly(*given):
        begun.set()
        time.sleep(3.0)  # longer than a stop waits for programs that wait themselves
        return make(*given)

    monkeypatch.setattr(synthetic, "_made", slowly)
    options = Options()
    town = houses.build_town(tmp_path, ["validation"], parties=TWO, rows=300)
    town = houses.agree_on(town, "synthetic", options, method="mst", rows=300)
    network = crashing.Network(town, patience_s=SECONDS)
    try:
        for name in TWO:
            network.start(name)
        body = {"architecture": "synthetic", "task": town.task.to_dict(), "options": options.to_dict()}
        session, data = order_bytes(town.analyst, "run", body, agreement=town.agreement.digest)
        network.nodes["analyst"].obey(data)
        assert begun.wait(60)
        network.nodes.pop("north").stop()
        network.start("north")
        assert set(network.ended(session, SECONDS).values()) == {"done"}
        assert len(story_of(town, "north")["charged"]) == 1
    finally:
        network.stop()
