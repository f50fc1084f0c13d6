"""A task is held against its schema and the agreement before a session opens."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from comity.architectures import find
from comity.errors import BadInput
from comity.node import ask
from comity.node.ask import agreed_mode

WORDS = "its positive 'YES' is no value of the target 'ill'; its values are no, yes"


def task_file(root: Path, schema: object, positive: str) -> Path:
    path = root / "task.json"
    path.write_text(json.dumps({"target": "ill", "positive": positive, "id": "id", "schema": schema}))
    return path


def never(*_: object, **__: object) -> None:
    raise AssertionError("a session was opened")


def test_a_mistyped_positive_value_is_refused_by_the_tasks_schema(houses: Any, tmp_path: Path) -> None:
    assert ask.read_task(task_file(tmp_path, houses.SCHEMA, "yes"))["positive"] == "yes"
    with pytest.raises(BadInput, match=WORDS):
        ask.read_task(task_file(tmp_path, houses.SCHEMA, "YES"))


def test_a_mistyped_positive_value_is_refused_by_the_agreement(
    houses: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the task's own schema lists no values; no node runs, and none is asked."""
    town = houses.build_town(tmp_path, ["validation"], parties=("north", "analyst"), rows=20)
    monkeypatch.setattr(ask, "give_order", never)
    columns = {**houses.SCHEMA["columns"], "ill": {"role": "target", "type": "category"}}
    task = task_file(tmp_path, {"columns": columns}, "YES")
    with pytest.raises(BadInput, match=WORDS) as refused:
        ask.open_session(town.analyst, "validation", town.agreement.digest, task, {})
    assert refused.value.exit_code == 3


@pytest.mark.parametrize(
    ("architecture", "clause", "mode"),
    [
        ("validation", {"mode": "hosted"}, "hosted"),
        ("federated", {"unsafe_exact": True, "epsilon": None}, "exact"),
        ("federated", {"unsafe_exact": None, "epsilon": 1.0}, "private"),
        ("clean-room", {"unsafe_exact": True, "epsilon": 1.0}, "private"),
        ("encrypted", {"unsafe_exact": True, "epsilon": None}, "exact"),
        ("homomorphic", {"unsafe_exact": None, "epsilon": None}, None),
    ],
)
def test_who_names_no_mode_gets_what_the_clause_allows(
    architecture: str, clause: dict[str, Any], mode: str | None
) -> None:
    assert agreed_mode(find(architecture), SimpleNamespace(**clause)) == mode  # type: ignore[arg-type]
    assert agreed_mode(find(architecture), None) is None
