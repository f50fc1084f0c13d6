"""The node's HTTP side: 10,000 requests made from its own description, and garbage of every other kind."""

from __future__ import annotations

import random

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from starlette.testclient import TestClient

from comity.node.api import application
from comity.wire import Query, Sealer

CODES = {
    "usage",
    "bad-input",
    "bad-agreement",
    "bad-schema",
    "refused",
    "clause-refused",
    "verification-failed",
    "out-of-order",
    "no-such-route",
    "too-large",
}


@pytest.fixture(scope="module")
def node(crashing, houses, tmp_path_factory):
    town = houses.build_town(
        tmp_path_factory.mktemp("api"), ["validation"], parties=("north", "analyst"), rows=50
    )
    network = crashing.Network(town)
    yield network.start("north")
    network.stop()


@pytest.fixture(scope="module")
def described(node):
    return schemathesis.openapi.from_asgi("/openapi.json", application(node))


def check(answer):
    """Nothing of ours breaks, and an error is a code and nothing more."""
    assert answer.status_code < 500
    if answer.status_code >= 400:
        body = answer.json()
        assert set(body) == {"code"}
        assert body["code"] in CODES


@pytest.mark.slow
def test_10_000_requests_from_the_description(described):
    operations = [found.ok() for found in described.get_all_operations()]
    asked = 0
    for operation in operations:

        @settings(
            max_examples=10_000 // len(operations), deadline=None, suppress_health_check=list(HealthCheck)
        )
        @given(case=operation.as_strategy())
        def attack(case):
            nonlocal asked
            asked += 1
            check(case.call())

        attack()
    # operations without arguments have few distinct requests: hypothesis does not repeat them
    assert asked >= 5_000


@pytest.fixture(scope="module")
def client(node):
    return TestClient(application(node), raise_server_exceptions=False)


def test_garbage_of_every_kind(client, node):
    draw = random.Random(11)
    before = node.ledger.size
    for _ in range(1_500):
        method = draw.choice(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
        path = draw.choice(
            ["/messages", "/orders", "/status", "/ledger/checkpoint", "/ledger/inclusion/-1", "/%00", "//"]
        )
        body = draw.choice([b"", b"CMTY1", b"{}", b"\xff" * 64, draw.randbytes(draw.randrange(300))])
        answer = client.request(method, path, content=body, headers={"content-type": draw.choice("ab/")})
        check(answer)
    assert node.ledger.size == before


def test_deep_json_in_a_signed_header_is_refused(client, node):
    key = node.key
    header = b"[" * 100_000
    data = b"CMTY1" + key.sign(header) + len(header).to_bytes(4, "big") + header
    check(client.post("/messages", content=data))
    check(client.post("/orders", content=data))


def test_an_order_of_ones_own_people_is_answered_in_words(client, node):
    sealer = Sealer(session="cd" * 16, agreement="", party="north", key=node.key, may_query=True)
    answer = client.post("/orders", content=sealer.seal("north", Query("dance", {})))
    assert answer.status_code == 400
    assert "does not know the order 'dance'" in answer.json()["message"]


def test_a_message_too_large_is_refused_before_it_is_read(client, monkeypatch):
    monkeypatch.setattr("comity.node.api.MAX_MESSAGE_BYTES", 1_000)
    answer = client.post("/messages", content=b"x" * 1_001)
    assert answer.status_code == 413
    assert answer.json() == {"code": "too-large"}
