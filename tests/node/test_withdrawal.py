"""A withdrawal that arrives at a node ends what is under way there: conversations and sessions that wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from comity.agreement import Withdrawal
from comity.architectures.definition import Options
from comity.errors import ClauseRefused
from comity.node.api import application
from comity.node.remote import RemoteValidator
from comity.wire import Query, Sealer


@pytest.fixture
def network(houses: Any, crashing: Any, tmp_path: Path) -> Iterator[Any]:
    town = houses.build_town(tmp_path, ["validation"], parties=("north", "analyst"))
    network = crashing.Network(town)
    yield network
    network.stop()


def withdrawal(town: Any, party: str) -> dict[str, Any]:
    today = datetime.now(UTC).date()
    signed = Withdrawal.sign(town.agreement, party, town.folders[party].key, reason="no more", on=today)
    return signed.to_dict()


def test_a_live_conversation_ends(network: Any) -> None:
    town, node = network.town, network.start("north")
    client = TestClient(application(node), raise_server_exceptions=False)
    posted: list[bytes] = []

    def post(data: bytes) -> tuple[int, bytes]:
        posted.append(data)
        answer = client.post("/feedback", content=data)
        return answer.status_code, answer.content

    rows = pq.read_table(town.folders["north"].tables_path / "train.parquet").sort_by("id")
    validator = RemoteValidator(
        town.analyst, town.agreement, "north", town.task, rows.column("id").to_pylist(), post=post
    )
    validator.register("age", [age // 20 for age in rows.column("age").to_pylist()])
    validator.positives("age", 2, epsilon=0.1)
    charged = len(list(node.ledger.events("charged")))
    # by the ML party itself, over HTTP, while the node runs
    assert client.post("/withdrawals", json=withdrawal(town, "analyst")).status_code == 204
    assert not node.desk.talks
    with pytest.raises(ClauseRefused):
        validator.positives("age", 2, epsilon=0.1)
    assert post(posted[-2])[0] == 403  # nor is what was told before told again
    assert len(list(node.ledger.events("charged"))) == charged
    refused = [entry.body["reason"] for entry in node.ledger.events("refused")]
    assert any("'analyst' withdrew" in reason for reason in refused)


def test_a_session_that_waits_ends(network: Any) -> None:
    """The provider's node is off: the ML party's program would wait for a day."""
    town, node = network.town, network.start("analyst")
    sealer = Sealer(
        session="ab" * 16, agreement=town.agreement.digest, party="analyst", key=node.key, may_query=True
    )
    body = {
        "architecture": "validation",
        "task": town.task.to_dict(),
        "options": Options(mode="linked").to_dict(),
    }
    session = node.obey(sealer.seal("analyst", Query("run", body)))["session"]
    row = node.state.session(session)
    assert row.status == "running"
    node.take_withdrawal(withdrawal(town, "north"))
    deadline = time.monotonic() + 60
    while row.status == "running" and time.monotonic() < deadline:
        time.sleep(0.05)
        row = node.state.session(session)
    assert row.status == "failed"
    assert "party 'north' withdrew from the agreement" in row.result["message"]
