"""What a network, or a party, may do to messages; what the nodes make of it."""

from __future__ import annotations

import random
import threading
import time

import pytest

from comity.architectures.definition import Options
from comity.crypto.keys import SigningKey
from comity.errors import BadInput, ClauseRefused, ComityError, VerificationFailed
from comity.node.durable import OPEN
from comity.node.orders import order_bytes
from comity.node.service import OutOfOrder
from comity.wire import Query, Sealer, open_message

PARTIES = ("north", "analyst")


@pytest.fixture
def network(crashing, houses, tmp_path):
    town = houses.build_town(tmp_path, ["direct-release", "validation"], parties=PARTIES, rows=120)
    network = crashing.Network(town)
    for name in PARTIES:
        network.start(name)
    with crashing.quiet_threads():
        yield network
        network.stop()


def order(network, architecture="validation", **options):
    town = network.town
    body = {
        "architecture": architecture,
        "task": town.task.to_dict(),
        "options": Options(**options).to_dict(),
    }
    session, data = order_bytes(town.analyst, "run", body, agreement=town.agreement.digest)
    network.nodes["analyst"].obey(data)
    return session


def refusals(network, party):
    return [entry.body for entry in network.nodes[party].ledger.events("refused")]


class Meddler:
    """Loses, repeats, holds back, cuts and alters what passes, by a fixed sequence."""

    def __init__(self, seed):
        self._draw = random.Random(seed)
        self._lock = threading.Lock()
        self._old = []
        self.counts = dict.fromkeys(("lost", "repeated", "delayed", "cut", "altered", "replayed"), 0)

    def __call__(self, peer, data):
        with self._lock:
            kind = self._draw.choice([*self.counts, "passed", "passed"])
            replayed = [old for to, old in self._old if to == peer]
            self._old.append((peer, data))
            if kind in self.counts:
                self.counts[kind] += 1
        match kind:
            case "lost":
                return []
            case "repeated":
                return [data, data]
            case "delayed":
                time.sleep(0.05)
                return [data]
            case "cut":
                # the peer refuses the damaged copy; the connection broke, as far as the sender can tell
                return [data[: len(data) // 2]]
            case "altered":
                return [data[:100] + bytes([data[100] ^ 1]) + data[101:]]
            case "replayed":
                return [*replayed, data]
        return [data]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_session_survives_a_bad_network(network, seed):
    network.meddle = Meddler(seed)
    session = order(network, "direct-release", k=5)
    assert network.ended(session, seconds=120) == {"north": "done", "analyst": "done"}
    contents = {}
    for message in network.releases():
        contents.setdefault((message.sender, message.number), set()).add(repr(message.parts))
    assert all(len(each) == 1 for each in contents.values())


def sealer(network, party, session, key=None, **more):
    folder = network.town.folders[party]
    agreement = more.pop("agreement", network.town.agreement.digest)
    return Sealer(session=session, agreement=agreement, party=party, key=key or folder.key, may_query=True)


def invitation(network, **changes):
    body = {
        "architecture": "validation",
        "task": network.town.task.to_dict(),
        "options": Options(mode="linked").to_dict(),
    }
    return Query(OPEN, {**body, **changes})


SESSION = "ab" * 16


def test_a_message_by_an_unknown_key_is_refused_without_a_trace_in_the_ledger(network):
    stranger = sealer(network, "analyst", SESSION, key=SigningKey.generate())
    with pytest.raises(VerificationFailed):
        network.nodes["north"].take(stranger.seal("north", invitation(network)))
    assert refusals(network, "north") == []
    assert network.nodes["north"].state.sessions() == []


def test_the_right_key_in_the_wrong_role_opens_nothing(network):
    data = sealer(network, "north", SESSION).seal("analyst", invitation(network))
    with pytest.raises(ClauseRefused, match="only ML parties open sessions"):
        network.nodes["analyst"].take(data)
    assert "north" in str(refusals(network, "analyst")[0])
    body = {
        "architecture": "validation",
        "task": network.town.task.to_dict(),
        "options": Options(mode="linked").to_dict(),
    }
    _, data = order_bytes(network.town.folders["north"], "run", body, agreement=network.town.agreement.digest)
    with pytest.raises(ClauseRefused, match="only ML parties open sessions"):
        network.nodes["north"].obey(data)


def test_an_order_of_another_party_is_not_obeyed_and_none_twice(network):
    data = sealer(network, "analyst", SESSION).seal("north", Query("sessions", {}))
    with pytest.raises(VerificationFailed):
        network.nodes["north"].obey(data)
    _, own = order_bytes(network.town.folders["north"], "sessions", {})
    assert network.nodes["north"].obey(own) == {"sessions": []}
    with pytest.raises(VerificationFailed, match="given before"):
        network.nodes["north"].obey(own)


def test_a_message_for_another_party_is_refused(network):
    data = sealer(network, "analyst", SESSION).seal("south", invitation(network))
    with pytest.raises(VerificationFailed, match="addressed to another party"):
        network.nodes["north"].take(data)


def test_an_agreement_that_nobody_signed_here_opens_nothing(network):
    data = sealer(network, "analyst", SESSION, agreement="0" * 64).seal("north", invitation(network))
    with pytest.raises(ClauseRefused, match="has not signed the agreement"):
        network.nodes["north"].take(data)
    assert network.nodes["north"].state.sessions() == []


def test_an_expired_agreement_opens_nothing(crashing, houses, tmp_path):
    town = houses.build_town(tmp_path, ["validation"], parties=PARTIES, rows=50, days=-1)
    network = crashing.Network(town)
    try:
        network.start("north")
        with pytest.raises(ComityError, match=r"expired|over|in force|last day"):
            network.nodes["north"].take(
                sealer(network, "analyst", SESSION).seal("north", invitation(network))
            )
        assert network.nodes["north"].state.sessions() == []
    finally:
        network.stop()


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "telepathy"},
        {"architecture": "../../etc/passwd"},
        {"task": {}},
        {"task": None},
        {"options": {"epsilon": 1.0, "colour": "red"}},
        {"options": []},
        {"more": 1},
    ],
)
def test_an_invitation_that_cannot_be_read_opens_nothing(network, changes):
    data = sealer(network, "analyst", SESSION).seal("north", invitation(network, **changes))
    with pytest.raises((BadInput, ClauseRefused)):
        network.nodes["north"].take(data)
    assert network.nodes["north"].state.sessions() == []


def test_an_architecture_that_the_agreement_lacks_is_refused_with_its_clause(network):
    data = sealer(network, "analyst", SESSION).seal(
        "north", invitation(network, architecture="alone-provider")
    )
    with pytest.raises(ClauseRefused, match=r"architectures\.alone-provider"):
        network.nodes["north"].take(data)


def test_messages_out_of_order_wait_changed_ones_are_refused_and_repeats_are_nothing(network):
    north = network.nodes["north"]
    first = sealer(network, "analyst", SESSION)
    opening = first.seal("north", invitation(network))
    second = first.seal("north", Query("feedback", {"frame": "x", "question": {}}))
    with pytest.raises(OutOfOrder, match="belongs to no session"):
        north.take(second)
    north.take(opening)
    third = first.seal("north", Query("feedback", {}))
    with pytest.raises(OutOfOrder):
        north.take(third)
    north.take(second)
    north.take(second)
    north.take(opening)
    again = sealer(network, "analyst", SESSION)
    again.pass_over("north")
    changed = again.seal("north", Query("feedback", {"frame": "y", "question": {}}))
    with pytest.raises(BadInput, match="differs"):
        north.take(changed)
    assert north.state.incoming(SESSION, "analyst", 1) == second


def test_who_sends_nothing_but_garbage_gets_one_code(network):
    draw = random.Random(7)
    codes = set()
    for _ in range(500):
        data = draw.randbytes(draw.randrange(0, 400))
        if draw.random() < 0.5:
            data = b"CMTY1" + data
        with pytest.raises(ComityError) as caught:
            network.nodes["north"].take(data)
        codes.add(caught.value.code)
    assert codes == {"verification-failed"} or len(codes) == 1
    assert refusals(network, "north") == []


def test_a_refusal_stands_in_both_ledgers(network):
    network.town.folders["north"].agreement(network.town.agreement.digest)
    path = network.town.folders["north"].agreements_path / f"{network.town.agreement.digest}.yaml"
    path.unlink()
    session = order(network, "direct-release", k=5)
    ended = network.ended(session)
    assert ended["analyst"] in ("failed", "refused")
    assert any(body.get("party") == "analyst" for body in refusals(network, "north"))
    assert any(body.get("party") == "north" for body in refusals(network, "analyst"))


def test_what_a_party_is_told_of_a_failure_holds_no_private_value(network):
    """A table that cannot be used is the holder's business: its peers get a code."""
    train = network.town.folders["north"].tables_path / "train.parquet"
    train.write_bytes(b"secret-value-4711")
    session = order(network, "validation", mode="linked")
    assert set(network.ended(session).values()) <= {"failed", "refused"}
    for peer, data in network.carried:
        keys = {name: folder.key.verify_key for name, folder in network.town.folders.items()}
        message = open_message(data, keys=keys, recipient=peer)
        assert "secret" not in repr(message.body)
        assert "train.parquet" not in repr(message.body) or peer == "north"


def test_an_invitation_cannot_say_more_of_the_data_than_the_agreement(network):
    """A task of the ML party's making would choose bounds, privacy unit and account: nothing begins."""
    north, task = network.nodes["north"], network.town.task.to_dict()
    columns = task["schema"]["columns"]
    target = columns[task["target"]]
    unit = {"column": task["id"], "max_rows": 1}
    asked = {
        "another unit": {**task, "schema": {**task["schema"], "unit": unit}},
        "another id": {**task, "id": task["target"]},
        "other columns": {
            **task,
            "schema": {**task["schema"], "columns": {**columns, task["target"]: {**target, "values": ["x"]}}},
        },
    }
    before = len(north.ledger.events("charged"))
    for number, (what, made) in enumerate(asked.items()):
        session = f"{number:032x}"
        data = sealer(network, "analyst", session).seal("north", invitation(network, task=made))
        with pytest.raises(ClauseRefused, match="data"):
            north.take(data)
        assert north.state.session(session) is None, what
    assert len(north.ledger.events("charged")) == before
