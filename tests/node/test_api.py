"""The node's HTTP side: 10,000 requests made from its own description, and garbage of every other kind."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pyarrow.parquet as pq
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode
from starlette.testclient import TestClient

from comity.architectures.definition import Options
from comity.node.api import application
from comity.node.durable import OPEN
from comity.node.logs import JsonLines
from comity.node.orders import order_bytes
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
REQUESTS = 10_000
DRAWN = 30
"""Requests drawn for each operation and each kind of data; each is then spoilt in many ways."""
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "BREW")
PERSON = "planted-4711"


@dataclass(frozen=True)
class Asked:
    """A request as it goes over the wire."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def of(cls, case: Any) -> Asked:
        made = requests.Request(**case.as_transport_kwargs(base_url="http://node"), auth=None).prepare()
        parts = urlsplit(str(made.url))
        body = made.body if isinstance(made.body, bytes) else str(made.body or "").encode()
        return cls(str(made.method), parts.path, parts.query, {**made.headers}, body)


@dataclass
class Wire:
    """Hands requests to the application itself, without a server or a client between."""

    application: Any
    loop: asyncio.Runner
    answered: Counter[int] = field(default_factory=Counter)

    def ask(self, asked: Asked) -> tuple[int, bytes]:
        return self.loop.run(self._ask(asked))

    async def _ask(self, asked: Asked) -> tuple[int, bytes]:
        middle = len(asked.body) // 2
        pieces = [asked.body[:middle], asked.body[middle:]]
        told: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            body = pieces.pop(0) if pieces else b""
            return {"type": "http.request", "body": body, "more_body": bool(pieces)}

        async def send(message: dict[str, Any]) -> None:
            told.append(message)

        headers = [
            (name.lower().encode("latin-1", "replace"), value.encode("latin-1", "replace"))
            for name, value in asked.headers.items()
        ]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": asked.method,
            "scheme": "https",
            "path": unquote(asked.path),
            "raw_path": asked.path.encode("latin-1", "replace"),
            "query_string": asked.query.encode("latin-1", "replace"),
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("node", 443),
        }
        # what the application itself does not catch is raised here
        await self.application(scope, receive, send)
        status = next(message["status"] for message in told if message["type"] == "http.response.start")
        self.answered[status] += 1
        return status, b"".join(message.get("body", b"") for message in told)


@dataclass
class Stage:
    """A provider's node that has a table, a session behind it, and a log."""

    network: Any
    log: io.StringIO
    wire: Wire
    secrets: re.Pattern[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.secrets = self._secrets()

    @property
    def node(self) -> Any:
        return self.network.nodes["north"]

    @property
    def town(self) -> Any:
        return self.network.town

    def _secrets(self) -> re.Pattern[bytes]:
        """What no answer and no line of the log may hold: people, places, keys, words of the ledger."""
        words = {str(entry.body.get("purpose", "")) for entry in self.node.ledger.events()}
        paths = {str(folder.path) for folder in self.town.folders.values()}
        plain = [PERSON, "PRIVATE KEY", "train.parquet", *paths, *filter(None, words)]
        return re.compile("|".join(map(re.escape, plain)).encode())

    def check(self, asked: Asked) -> str | None:
        """Nothing of ours breaks, and an error is a code and nothing more. Returns the code."""
        status, body = self.wire.ask(asked)
        assert status < 500, (asked, status, body)
        assert not self.secrets.search(body), (asked, body)
        if status < 400 or (asked.method == "HEAD" and not body):
            return None
        found = json.loads(body)
        assert set(found) == {"code"}, (asked, body)
        assert found["code"] in CODES, (asked, body)
        return str(found["code"])


@pytest.fixture(scope="module")
def stage(crashing, houses, tmp_path_factory):
    town = houses.build_town(
        tmp_path_factory.mktemp("api"), ["validation"], parties=("north", "analyst"), rows=50
    )
    for folder, name in (("north", "train"), ("analyst", "linked-north")):
        path = town.folders[folder].tables_path / f"{name}.parquet"
        table = pq.read_table(path)
        ids = [f"{PERSON}-{at}" for at in range(table.num_rows)]
        pq.write_table(table.set_column(0, "id", [ids]), path)
    network = crashing.Network(town)
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    for name in ("north", "analyst"):
        network.start(name)
    body = {
        "architecture": "validation",
        "task": town.task.to_dict(),
        "options": Options(mode="linked").to_dict(),
    }
    session, order = order_bytes(town.analyst, "run", body, agreement=town.agreement.digest)
    network.nodes["analyst"].obey(order)
    assert set(network.ended(session).values()) == {"done"}
    with asyncio.Runner() as loop:
        yield Stage(network, log, Wire(application(network.nodes["north"]), loop))
    logging.getLogger().removeHandler(handler)
    network.stop()


@pytest.fixture(autouse=True)
def check_log(stage):
    """Whatever a test sends: the log is one JSON object a line and tells nothing private."""
    yield
    written = stage.log.getvalue()
    stage.log.truncate(0)
    stage.log.seek(0)
    for line in written.splitlines():
        assert {"time", "level", "from", "event"} <= set(json.loads(line))
    assert not stage.secrets.search(written.encode())


def drawn(operation, mode, most=DRAWN):
    """Requests of an operation as its description has it, or as it has it not."""
    found = []

    @settings(
        max_examples=most,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def draw(case):
        found.append(Asked.of(case))

    with contextlib.suppress(Unsatisfiable):  # where any bytes will do, none are wrong
        draw()
    return found


def spoilt(asked, draw):
    """A request with something wrong with it."""
    body = asked.body
    at = draw.randrange(len(body)) if body else 0
    garbage = draw.randbytes(draw.randrange(40))
    # other bytes than these in a header or an address do not get past the server (h11, httptools)
    text = "".join(chr(byte) for byte in garbage if 32 <= byte != 127)
    escaped = quote(garbage)
    match draw.randrange(10):
        case 0:
            return replace(asked, method=draw.choice(METHODS))
        case 1:
            return replace(asked, body=body[:at])
        case 2:
            return replace(asked, body=body[:at] + bytes([draw.randrange(256)]) + body[at + 1 :])
        case 3:
            return replace(asked, body=body + garbage)
        case 4:
            return replace(asked, body=b"CMTY1" + garbage + body)
        case 5:
            kind = draw.choice(["", "text/plain", "application/json; charset=klingon", text])
            return replace(asked, headers={**asked.headers, "content-type": kind})
        case 6:
            return replace(asked, headers={**asked.headers, "comity-ask": text or "x"})
        case 7:
            return replace(asked, path=asked.path + draw.choice(["/", "/..", "%00", "/-1", "%ff", escaped]))
        case 8:
            number = draw.choice(["-1", "1e9", str(2**53), str(2**70), "NaN", escaped])
            return replace(asked, path=re.sub(r"\d+", number, asked.path) or "/")
        case _:
            number = draw.choice(["-1", "0", "5", str(2**63), "", escaped])
            return replace(asked, query=f"{asked.query}&since={number}&start={number}&size={number}")


@pytest.mark.slow
def test_10_000_requests_from_the_description(stage):
    """A few hundred are drawn from it, as it says and as it does not say; the others are these, spoilt."""
    before = stage.node.ledger.size
    described = schemathesis.openapi.from_asgi("/openapi.json", stage.wire.application)
    operations = [found.ok() for found in described.get_all_operations()]
    routes = {path for operation in operations for path in [operation.path]}
    assert {"/messages", "/orders", "/withdrawals", "/feedback", "/ledger/countersign"} <= routes
    draw = random.Random(11)
    asked = 0
    for operation in operations:
        pristine = [each for mode in GenerationMode for each in drawn(operation, mode)]
        for each in pristine:
            stage.check(each)
        wanted = REQUESTS // len(operations) + 1 - len(pristine)
        for _ in range(wanted):
            worse = spoilt(draw.choice(pristine), draw)
            while draw.random() < 0.3:
                worse = spoilt(worse, draw)
            stage.check(worse)
        asked += len(pristine) + wanted
    assert asked >= REQUESTS
    assert sum(stage.wire.answered.values()) >= REQUESTS
    # who sent them is unknown, so there is nobody to tell of in the ledger
    assert stage.node.ledger.size == before


def bodies(draw):
    """JSON that means nothing here."""
    leaf = [None, True, 0, -1, 2**53 - 1, 1.5, "", "x" * 50, "../../etc/passwd", PERSON]
    made: Any = draw.choice(leaf)
    for _ in range(draw.randrange(4)):
        made = draw.choice([[made], {"task": made, "options": made}, {"architecture": made}, {"frame": made}])
    return made if isinstance(made, dict) else {"architecture": made}


@pytest.mark.parametrize("path", ["/messages", "/feedback"])
def test_signed_garbage_is_refused_and_stands_in_the_ledger(stage, path):
    """A party of the agreement that sends nonsense: each refusal is entered, with who sent it."""
    draw = random.Random(5)
    before = len(stage.node.ledger.events("refused"))
    codes = Counter()
    for number in range(150):
        sealer = Sealer(
            session=f"{number:032x}",
            agreement=draw.choice([stage.town.agreement.digest] * 4 + ["0" * 64]),
            party="analyst",
            key=stage.town.analyst.key,
            may_query=True,
        )
        topic = draw.choice([OPEN, "open", "sums", "grouping", "x"])
        parts = draw.choice([{}, {"codes": draw.randbytes(9)}])
        data = sealer.seal("north", Query(topic, bodies(draw), parts))
        code = stage.check(Asked("POST", path, headers={"content-type": "application/cbor"}, body=data))
        assert code is not None, "nonsense was taken"
        codes[code] += 1
    told = codes["bad-input"] + codes["clause-refused"]
    assert told > 20
    assert set(codes) <= {"bad-input", "clause-refused", "out-of-order"}
    refused = stage.node.ledger.events("refused")[before:]
    assert len(refused) == told
    assert {entry.body["party"] for entry in refused} == {"analyst"}
    assert not any(PERSON in str(entry.body) for entry in refused)


def test_deep_json_in_a_signed_header_is_refused(stage):
    header = b"[" * 100_000
    data = b"CMTY1" + stage.node.key.sign(header) + len(header).to_bytes(4, "big") + header
    for path in ("/messages", "/orders", "/feedback"):
        assert stage.check(Asked("POST", path, body=data)) == "verification-failed"


@pytest.fixture(scope="module")
def client(stage):
    return TestClient(stage.wire.application, raise_server_exceptions=False)


def test_an_order_of_ones_own_people_is_answered_in_words(client, stage):
    sealer = Sealer(session="cd" * 16, agreement="", party="north", key=stage.node.key, may_query=True)
    answer = client.post("/orders", content=sealer.seal("north", Query("dance", {})))
    assert answer.status_code == 400
    assert "does not know the order 'dance'" in answer.json()["message"]


def test_a_message_too_large_is_refused_before_it_is_read(client, monkeypatch):
    monkeypatch.setattr("comity.node.api.MAX_MESSAGE_BYTES", 1_000)
    answer = client.post("/messages", content=b"x" * 1_001)
    assert answer.status_code == 413
    assert answer.json() == {"code": "too-large"}
