"""A mediator that has to prove what it runs: sessions with it open, or are refused before anything leaves."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from comity.architectures.definition import Options
from comity.crypto.attestation import bound_data
from comity.crypto.keys import SigningKey
from comity.errors import BadAgreement, BadInput, ClauseRefused, PartyFailed, VerificationFailed
from comity.node.api import application
from comity.node.durable import OPEN
from comity.node.enclave.check import ANCHOR_FILE, read_anchor
from comity.node.enclave.mediator import MediatorNode
from comity.node.enclave.quotes import GramineQuotes, available_quotes
from comity.node.orders import order_bytes
from comity.node.service import Node
from comity.wire import Query, Sealer

PARTIES = ("north", "hub", "analyst")


@pytest.fixture(scope="module")
def quotes():
    path = Path(__file__).parents[1] / "crypto" / "quotes.py"
    spec = importlib.util.spec_from_file_location("node_quotes", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def city(crashing, houses, quotes, tmp_path):
    """Three parties; the mediator's quotes are whatever `city.processor` makes, of whatever key."""

    class Enclaved(crashing.Network):
        processor = quotes.Processor.make()
        replay = None
        key = None
        inside = True

        def start(self, name, fuse=None):
            folder = self.town.folders[name]
            posts = {peer: self._post(peer, fuse) for peer in folder.peers()}
            self.nodes[name] = Node(
                folder, posts=posts, patience_s=60, ask=self.ask, quotes=self if name == "hub" else None
            )
            self.nodes[name].start()
            return self.nodes[name]

        def quote(self, data):
            if self.key is not None:
                data = bound_data(self.key, data[32:])
            return self.processor.quote(data)

        def ask(self, card, question):
            if card.name not in self.nodes:
                raise PartyFailed("nobody answers")
            if self.replay is not None:
                return self.replay
            return self.nodes[card.name].attestations.own(question)

    town = houses.build_town(
        tmp_path, ["blind-validation"], parties=PARTIES, rows=120, attested=quotes.MEASUREMENT.hex()
    )
    network = Enclaved(town)
    for name, folder in town.folders.items():
        if name != "hub":
            (folder.path / "root.pem").write_bytes(network.processor.root)
            trusted = {"root": "root.pem", "quoting_enclave": quotes.QUOTING_SIGNER.hex()}
            (folder.path / ANCHOR_FILE).write_text(json.dumps(trusted))
    for name in PARTIES:
        network.start(name)
    with crashing.quiet_threads():
        yield network
        network.stop()


def body_of(town):
    options = Options(epsilon=1.0, mode="linked")
    return {
        "architecture": "blind-validation",
        "task": town.task.to_dict(),
        "options": options.to_dict(),
    }


def order(city):
    session, data = order_bytes(
        city.town.analyst, "run", body_of(city.town), agreement=city.town.agreement.digest
    )
    city.nodes["analyst"].obey(data)
    return session


def invited(city, session):
    """The ML party's node skips its own check and invites the others at once."""
    sealer = Sealer(
        session=session,
        agreement=city.town.agreement.digest,
        party="analyst",
        key=city.town.analyst.key,
        may_query=True,
    )
    for name in ("north", "hub"):
        city.nodes[name].take(sealer.seal(name, Query(OPEN, body_of(city.town))))


def test_a_session_with_a_mediator_that_proves_itself_ends_well(city):
    assert set(city.ended(order(city)).values()) == {"done"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"measurement": b"\x01" * 32}, "runs other code"),
        ({"flags": 0x07}, "debug"),
        ({"signer": b"\x01" * 32}, "not trusted"),
    ],
)
def test_the_ml_partys_node_refuses_to_open_a_session_otherwise(city, change, words):
    city.processor = city.processor.but(**change)
    with pytest.raises(ClauseRefused, match=words) as caught:
        order(city)
    assert "parties.hub.attested" in str(caught.value)
    assert city.nodes["analyst"].state.sessions() == []
    assert city.carried == []


def test_an_old_quote_and_one_of_another_key_are_refused(city):
    city.replay = city.nodes["hub"].attestations.own(b"\x01" * 32)
    with pytest.raises(ClauseRefused, match="another key or another question"):
        order(city)
    city.replay, city.key = None, SigningKey.generate().verify_key
    with pytest.raises(ClauseRefused, match="another key or another question"):
        order(city)


def test_a_root_of_ones_own_making_is_refused(city, quotes):
    city.processor = quotes.Processor.make()
    with pytest.raises(ClauseRefused, match="another root"):
        order(city)


def test_a_mediator_outside_an_enclave_is_refused_and_one_that_is_away_has_failed(city):
    city.nodes["hub"].attestations._quotes = None
    with pytest.raises(ClauseRefused, match="does not run in an enclave"):
        order(city)
    city.nodes.pop("hub").stop()
    with pytest.raises(PartyFailed):
        order(city)


def test_a_provider_checks_for_itself_and_sends_nothing(city):
    """A careless ML party invites all the same: no share leaves."""
    city.processor = city.processor.but(measurement=b"\x01" * 32)
    session = "ab" * 16
    invited(city, session)
    assert city.ended(session)["north"] == "refused"
    north = city.nodes["north"]
    assert "parties.hub.attested" in str(north.state.session(session).result)
    assert not [message for message in city.releases() if message.sender == "north"]
    assert not north.ledger.events("charged")


def test_a_party_without_a_root_refuses(city):
    path = city.town.analyst.path / ANCHOR_FILE
    for text in ("root: 1\ncolour: red\n", "[", "root: missing.pem\n"):
        path.write_text(text)
        with pytest.raises(BadInput):
            read_anchor(city.town.analyst)
    path.unlink()
    with pytest.raises(ClauseRefused, match=r"no usable attestation\.yaml"):
        order(city)


def test_the_quote_is_there_over_http(city, quotes):
    for name, status in (("hub", 200), ("north", 409)):
        client = TestClient(application(city.nodes[name]), raise_server_exceptions=False)
        answer = client.get(f"/attestation/{'cd' * 32}")
        assert answer.status_code == status
        assert client.get("/attestation/cd").status_code == 422
        if status == 409:
            assert answer.json() == {"code": "verification-failed"}


def test_only_a_mediator_is_attested(houses, tmp_path, quotes):
    town = houses.build_town(tmp_path, ["validation"], parties=("north", "analyst"), rows=20)
    document = town.agreement.to_dict()
    document["parties"][0]["attested"] = {"measurement": quotes.MEASUREMENT.hex()}
    with pytest.raises(BadAgreement, match="only a mediator"):
        houses.agreement_from(document)


def test_a_mediators_node_is_nothing_else(houses, tmp_path):
    town = houses.build_town(tmp_path, ["validation"], parties=("north", "analyst"), rows=20)
    node = MediatorNode(town.folders["north"], posts={})
    sealer = Sealer(
        session="ab" * 16,
        agreement=town.agreement.digest,
        party="analyst",
        key=town.analyst.key,
        may_query=True,
    )
    body = {**body_of(town), "architecture": "validation"}
    try:
        with pytest.raises(ClauseRefused, match="as a mediator only"):
            node.take(sealer.seal("north", Query(OPEN, body)))
    finally:
        node.stop()


def test_gramines_device(tmp_path):
    """As files, which is how Gramine shows it; without the device there are no quotes."""
    assert available_quotes(tmp_path) is None
    (tmp_path / "quote").write_bytes(b"the quote")
    source = available_quotes(tmp_path)
    assert isinstance(source, GramineQuotes)
    assert source.quote(b"\x05" * 64) == b"the quote"
    assert (tmp_path / "user_report_data").read_bytes() == b"\x05" * 64
    with pytest.raises(VerificationFailed, match="could not be made"):
        GramineQuotes(tmp_path / "nowhere").quote(b"")


def test_the_entry_point_refuses_outside_an_enclave(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "comity.node.enclave", "--folder", str(tmp_path / "hub")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == VerificationFailed.exit_code
    assert "this is no enclave" in done.stderr
    assert not (tmp_path / "hub").exists()
