"""Shares on the disk: nobody who gets hold of a node's files, during a session or after it, finds one."""

from __future__ import annotations

import hashlib
import threading

import pytest

from comity.architectures.definition import Options
from comity.errors import BadInput, UsageError
from comity.ledger import Ledger
from comity.node.orders import order_bytes
from comity.node.shares import Place, Shares
from comity.node.state import Sent, SessionRow, State, Status
from comity.wire import Kind, holds_share, open_message

SESSION = "5" * 32
SLICE = 32
"""Bytes that are looked for; shares are uniform, so that so many stand nowhere by chance."""


def slices_of(data):
    """Pieces of a message part all over it, so that page borders of a database cannot hide them all."""
    last = len(data) - SLICE
    return {data[at : at + SLICE] for at in range(0, max(last, 0) + 1, max(1, last // 16))}


def found_in(folder, pieces):
    """Files under a folder that hold one of the pieces."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and any(piece in content for content in [path.read_bytes()] for piece in pieces)
    ]


@pytest.fixture
def state(tmp_path):
    opened = State.open(tmp_path / "state.db")
    opened.begin(SessionRow(SESSION, "a" * 64, "encrypted", "analyst", "now", {}, Status.running, {}))
    yield opened
    opened.close()


@pytest.fixture
def data():
    return b"".join(hashlib.sha256(bytes([at])).digest() for at in range(200))


def keys_in(folder):
    return sorted(path.name for path in folder.glob("shares/*/*"))


def test_a_share_that_came_in(state, data, tmp_path):
    """It can be read until it has served, and is nowhere to be found; afterwards its row is left."""
    digest = hashlib.sha256(data).hexdigest()
    assert state.put(SESSION, "north", 0, digest, data, share=True)
    assert not state.put(SESSION, "north", 0, digest, data, share=True)
    assert state.incoming(SESSION, "north", 0) == data
    assert found_in(tmp_path, slices_of(data)) == []
    (key,) = (path.read_bytes() for path in tmp_path.glob("shares/*/*"))
    state.used(SESSION, "north", 0)
    assert state.incoming(SESSION, "north", 0) == b""
    assert keys_in(tmp_path) == []
    assert found_in(tmp_path, {key}) == []
    assert state.received(SESSION, "north") == 1
    assert not state.put(SESSION, "north", 0, digest, data, share=True)
    with pytest.raises(BadInput, match="came twice"):
        state.put(SESSION, "north", 0, "0" * 64, b"another", share=True)
    assert state.incoming(SESSION, "north", 0) == b""


def test_other_messages_stay_and_are_found(state, data, tmp_path):
    """What is looked for would be found if it were there."""
    state.put(SESSION, "north", 0, "0" * 64, data)
    state.used(SESSION, "north", 0)
    state.finish(SESSION, Status.done, {})
    assert state.incoming(SESSION, "north", 0) == data
    assert found_in(tmp_path, slices_of(data)) != []


def test_a_share_that_goes_out(state, data, tmp_path):
    """It is sent as it was until it is taken; then its size is what is left of it."""
    state.keep(Sent(SESSION, "south", 0, Kind.share, "shares", "c" * 64, data, share=True))
    (sent,) = state.next_undelivered("south")
    assert sent.data == data
    state.taken(sent)
    assert found_in(tmp_path, slices_of(data)) == []
    assert keys_in(tmp_path) == []
    left = state.outgoing(SESSION, "south", 0)
    assert (left.data, left.size, left.content) == (b"", len(data), "c" * 64)


def test_all_that_came_in_has_served_when_the_session_has_ended(state, data, tmp_path):
    for number, sender in enumerate(("north", "a-long-name", "north")):
        state.put(SESSION, sender, number, str(number) * 64, data, share=True)
    state.keep(Sent(SESSION, "south", 0, Kind.share, "shares", "c" * 64, data, share=True))
    state.finish(SESSION, Status.failed, {})
    assert keys_in(tmp_path) == ["out-south-0"]  # which waits for its recipient
    assert state.incoming(SESSION, "a-long-name", 1) == b""
    state.forget(SESSION)
    assert keys_in(tmp_path) == []


def test_what_a_crash_has_left_goes_at_the_next_start(state, data, tmp_path):
    """Keys of shares that were taken, used, or never stored."""
    shares = Shares(tmp_path / "shares")
    state.put(SESSION, "north", 0, "0" * 64, data, share=True)
    sent = Sent(SESSION, "south", 0, Kind.share, "shares", "c" * 64, data, share=True)
    state.keep(sent)
    shares.seal(Place(SESSION, "out", "south", 1), data)
    state.tidy()
    assert keys_in(tmp_path) == ["in-north-0", "out-south-0"]
    state.taken(state.outgoing(SESSION, "south", 0))
    shares.seal(Place(SESSION, "out", "south", 0), data)
    state.finish(SESSION, Status.done, {})
    shares.seal(Place(SESSION, "in", "north", 0), data)
    state.tidy()
    assert keys_in(tmp_path) == []


def test_a_share_that_comes_twice_at_once(state, data, tmp_path):
    """Both deliveries make one row under one key."""
    digest = hashlib.sha256(data).hexdigest()
    new = []
    threads = [
        threading.Thread(target=lambda: new.append(state.put(SESSION, "north", 0, digest, data, share=True)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(new) == [False] * 7 + [True]
    assert state.incoming(SESSION, "north", 0) == data


def test_a_state_without_a_place_for_keys_takes_no_share(tmp_path, data):
    opened = State.open(tmp_path / "state.db")
    without = State(opened.engine, "elsewhere")
    with pytest.raises(UsageError, match="without a place for keys"):
        without.put(SESSION, "north", 0, "0" * 64, data, share=True)
    opened.close()


PARTIES = ("north", "south", "hub", "analyst")


@pytest.mark.slow
def test_no_share_of_a_session_is_found_at_anybody(crashing, houses, tmp_path):
    """Training on shares, and scoring on them: rows of two providers, of the ML party, and what is opened.

    Looked for are the bytes of every share as it went over the network, each time another one goes, and at
    the end. The receipts are there, and every ledger holds what they say.
    """
    town = houses.build_town(tmp_path, ["validation"], parties=PARTIES, rows=200)
    options = Options(mode="exact")
    town = houses.agree_on(town, "encrypted", options, opens="predictions")
    keys = {name: folder.key.verify_key for name, folder in town.folders.items()}
    pieces, found, shares, lock = set(), [], [], threading.Lock()

    def watch(peer, data):
        message = open_message(data, keys=keys, recipient=peer)
        if holds_share(message) and message.parts:
            with lock:
                shares.append((message.sender, peer, message.topic))
                pieces.update(*(slices_of(part) for part in message.parts.values()))
                found.extend(found_in(tmp_path, pieces))
        return [data]

    network = crashing.Network(town, meddle=watch, patience_s=400)
    try:
        for name in PARTIES:
            network.start(name)
        body = {"architecture": "encrypted", "task": town.task.to_dict(), "options": options.to_dict()}
        session, order = order_bytes(town.analyst, "run", body, agreement=town.agreement.digest)
        network.nodes["analyst"].obey(order)
        ended = network.ended(session, 400)
        results = {name: node.state.session(session).result for name, node in network.nodes.items()}
        assert set(ended.values()) == {"done"}, results
        while not network.settled(session):
            network.wait()
    finally:
        network.stop()
    rows = {("north", "south"), ("north", "hub"), ("south", "north"), ("south", "hub")}
    assert {(sender, peer) for sender, peer, topic in shares if topic == "shares"} == rows
    assert {peer for sender, peer, _ in shares if sender == "analyst"} == {"north", "south", "hub"}
    assert {sender for sender, peer, _ in shares if peer == "analyst"} == {"north", "south", "hub"}
    assert found == []
    assert found_in(tmp_path, pieces) == []
    assert keys_in(tmp_path / "hub") == keys_in(tmp_path / "north") == keys_in(tmp_path / "analyst") == []
    for name, folder in town.folders.items():
        with Ledger.open(folder.ledger_path, key=folder.key, owner=name) as ledger:
            assert ledger.verify().ok
            released = [entry.body["recipient"] for entry in ledger.events("released")]
        assert len(released) == (3 if name in ("north", "south") else 0)
    receipts = town.analyst.sessions_path / session / "receipts.jsonl"
    assert len(receipts.read_text().splitlines()) == 2


def test_keys_come_and_go_at_the_same_time(tmp_path):
    """The folder goes with the last key in it: a thread that stores one then makes it again."""
    shares = Shares(tmp_path / "shares")
    faults = []

    def work(peer):
        try:
            for number in range(60):
                place = Place("ab" * 16, "in", peer, number)
                stored = shares.seal(place, b"a share")
                assert shares.open(place, stored) == b"a share"
                shares.drop(place)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(f"p{at}",)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert list(shares.all()) == []
