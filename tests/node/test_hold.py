"""One node over one state, in a file and in PostgreSQL; live feedback there, and from several processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from comity.errors import BadInput, ClauseRefused
from comity.node.api import application
from comity.node.remote import RemoteValidator
from comity.node.service import Node

ASKER = """
import json, sys
from pathlib import Path
from comity.architectures.definition import Task
from comity.node.folder import PartyFolder
from comity.node.remote import RemoteValidator
where, digest, task, ids, groups = json.loads(sys.argv[1])
folder = PartyFolder.open(Path(where))
with RemoteValidator(folder, folder.agreement(digest), "north", Task.from_dict(task), ids) as validator:
    validator.register("age", groups)
    told = validator.positives("age", epsilon=0.25)
print(json.dumps([sorted(told.estimates["positives"].items()), told.cost.epsilon]))
"""


@pytest.fixture
def town(houses: Any, tmp_path: Path) -> Iterator[Any]:
    clauses = {"validation": {"queries": 20}}
    built = houses.build_town(
        tmp_path, ["validation"], parties=("north", "analyst"), rows=120, clauses=clauses
    )
    yield built
    built.stop()


def known(town: Any) -> tuple[list[str], list[int]]:
    table = pq.read_table(town.analyst.tables_path / "linked-north.parquet").sort_by("id")
    return table.column("id").to_pylist(), [age // 30 for age in table.column("age").to_pylist()]


def asker(town: Any, node: Node) -> RemoteValidator:
    client = TestClient(application(node))

    def post(data: bytes) -> tuple[int, bytes]:
        answer = client.post("/feedback", content=data)
        return answer.status_code, answer.content

    return RemoteValidator(town.analyst, town.agreement, "north", town.task, known(town)[0], post=post)


@pytest.fixture(params=["file", "postgresql"])
def opened(request: pytest.FixtureRequest, town: Any) -> Iterator[Callable[[], Node]]:
    """What opens the provider's node over one state."""
    places = {}
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres")
        places = {"ledger": server.new_schema(), "state": server.new_schema()}
    nodes: list[Node] = []

    def build() -> Node:
        nodes.append(Node(town.folders["north"], posts={"analyst": lambda data: None}, **places))
        return nodes[-1]

    yield build
    for node in nodes:
        node.stop()


def test_a_second_node_over_one_state_is_refused_until_the_first_has_stopped(
    opened: Callable[[], Node],
) -> None:
    first = opened()
    with pytest.raises(BadInput, match="another node uses the state"):
        opened()
    assert first.desk is first.desk
    first.stop()
    opened()


def test_conversations_go_on_and_repeats_are_free_after_a_restart_in_either_database(
    town: Any, opened: Callable[[], Node]
) -> None:
    node = opened()
    validator = asker(town, node)
    _, groups = known(town)
    validator.register("age", groups)
    told = validator.positives("age", 1, epsilon=0.25)
    with pytest.raises(ClauseRefused):
        validator.positives("age", 1, epsilon=16.0)
    node.stop()
    node = opened()
    validator._post = asker(town, node)._post
    validator.positives("age", 0, epsilon=0.25)
    other = asker(town, node)
    other.register("again", groups)
    again = other.positives("again", 1, epsilon=0.25)
    assert (again.estimates, again.repeated) == (told.estimates, True)
    assert [entry.kind for entry in node.ledger.events()].count("charged") == 2
    assert node.ledger.verify().ok


@pytest.mark.slow
def test_two_processes_that_ask_the_same_get_one_answer_and_a_second_node_does_not_start(
    town: Any, houses: Any
) -> None:
    town.start("north")
    ids, groups = known(town)
    question = json.dumps([str(town.analyst.path), town.agreement.digest, town.task.to_dict(), ids, groups])

    def asking() -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", ASKER, question], stdout=subprocess.PIPE, text=True)

    both = [asking(), asking()]
    command = [
        "node",
        "start",
        "--folder",
        str(town.folders["north"].path),
        "--port",
        str(houses.free_port()),
    ]
    second = subprocess.run(
        [str(houses.COMITY), *command], capture_output=True, text=True, timeout=60, check=False
    )
    assert second.returncode == BadInput.exit_code
    assert "another node uses the state" in second.stderr
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in both]
    assert answers[0][0] == answers[1][0]
    assert sorted(cost for _, cost in answers) == [0, 0.25]
    town.kill("north")
    town.start("north")
    with RemoteValidator(town.analyst, town.agreement, "north", town.task, ids) as third:
        third.register("again", groups)
        told = third.positives("again", epsilon=0.25)
    assert ([list(each) for each in sorted(told.estimates["positives"].items())]) == answers[0][0]
    assert told.cost.epsilon == 0
