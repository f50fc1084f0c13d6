"""`blind-validation` in the modes that no agreement of the other tests is about, between nodes."""

from __future__ import annotations

import pytest

from comity.architectures.definition import Options
from comity.node.orders import order_bytes

pytestmark = pytest.mark.slow

PARTIES = ("north", "hub", "analyst")
ROWS = 40


@pytest.mark.parametrize("mode", ["entrusted", "encrypted"])
def test_a_session_in_this_mode(mode, crashing, houses, tmp_path):
    """It ends well at all three, and the ledger of the provider has what it paid for and released."""
    options = Options(epsilon=1.0, mode=mode)
    town = houses.build_town(tmp_path, ["blind-validation"], parties=PARTIES, rows=ROWS)
    town = houses.agree_again(town, "blind-validation", options)
    network = crashing.Network(town)
    try:
        for name in PARTIES:
            network.start(name)
        body = {
            "architecture": "blind-validation",
            "task": town.task.to_dict(),
            "options": options.to_dict(),
        }
        session, data = order_bytes(town.analyst, "run", body, agreement=town.agreement.digest)
        network.nodes["analyst"].obey(data)
        ended = network.ended(session)
        results = {name: node.state.session(session).result for name, node in network.nodes.items()}
        assert set(ended.values()) == {"done"}, results
        assert results["analyst"]["figures"]["feedback"]["records"] == ROWS
        ledger = network.nodes["north"].ledger
        assert ledger.verify().ok
        assert ledger.events("charged")
        assert {entry.body["clause"] for entry in ledger.events("released")} == {
            "architectures.blind-validation"
        }
        assert {message.sender for message in network.releases()} >= {"north", "hub"}
    finally:
        network.stop()
