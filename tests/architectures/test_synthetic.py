"""Synthetic: what leaves is a table of nobody's rows with what it was made from, as the clause allows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest

from comity.architectures import find
from comity.architectures.definition import Options, Task
from comity.compare.settings import ML_PARTY
from comity.data.ipc import table_from_bytes
from comity.errors import ClauseRefused, Refused
from comity.schema import Schema


def played(stage: Any, **changes: Any) -> Any:
    def change(document: dict[str, Any]) -> None:
        document["architectures"]["synthetic"] |= changes

    return stage.play("synthetic", change=change)


@pytest.mark.parametrize("method", ["aim", "mst"])
def test_the_clause_says_how_and_how_many(stage: Any, method: str) -> None:
    outcome = played(stage, method=method, rows=120)
    assert outcome.errors == {}
    for provider in stage.inputs.providers:
        (message,) = outcome.sent[provider]
        table = table_from_bytes(message.parts["table"])
        assert table.column_names == ["age", "job", "pulse", "ill"]
        assert table.num_rows == 120
        manifest = message.body["outcome"]["manifest"]
        assert (manifest["method"], manifest["rows"]) == (method, 120)
        assert manifest["delta"] < 1e-6
        kept = outcome.sessions[ML_PARTY] / f"manifest-{provider}.json"
        assert json.loads(kept.read_text(encoding="utf-8")) == manifest
        received = pq.read_table(outcome.sessions[ML_PARTY] / f"received-{provider}.parquet")
        assert received.num_rows == 120
    seeds = sum(stage.inputs.seed_rows.values())
    assert outcome.figures[ML_PARTY]["rows_used"] == seeds + 2 * 120


def test_no_row_of_a_provider_is_copied(stage: Any) -> None:
    """Ages and pulses to a tenth, 600 rows: a row drawn by chance equals a real one in all columns rarely."""
    outcome = played(stage)
    for provider in stage.inputs.providers:
        made = table_from_bytes(outcome.sent[provider][0].parts["table"]).to_pylist()
        real = pq.read_table(stage.folder / provider / "tables" / "train.parquet")
        known = {tuple(row.values()) for row in real.select(["age", "job", "pulse", "ill"]).to_pylist()}
        assert sum(tuple(row.values()) in known for row in made) < len(made) / 10
        assert "pid" not in made[0]


def test_less_budget_than_the_run_asks_for_is_refused(stage: Any) -> None:
    outcome = played(stage, epsilon=0.5)
    assert all(isinstance(outcome.errors[provider], Refused) for provider in stage.inputs.providers)
    assert isinstance(outcome.errors[ML_PARTY], ClauseRefused)


def test_a_person_with_several_rows_is_the_unit(stage: Any) -> None:
    architecture = find("synthetic")
    task: Task = stage.inputs.task
    document = task.schema.to_dict()
    document["unit"] = {"column": "job", "max_rows": 2}
    of_people = Task(Schema.model_validate(document), task.target, task.positive, task.id)
    assert architecture.promised(Options(), of_people).unit == "person"
    assert architecture.promised(Options(), task).unit == "record"


SCHEMA = """
columns:
  pid: {role: identifier, type: text}
  age: {role: quasi_identifier, type: integer, min: 18, max: 80}
  job: {role: quasi_identifier, type: category, values: [a, b, c]}
  pulse: {role: sensitive, type: number, min: 20, max: 120}
  ill: {role: target, type: category, values: ["no", "yes"]}
unit: {column: job, max_rows: 600}
"""


def test_with_noise_for_all_rows_of_a_person_a_table_comes_out(
    stage_of: Callable[..., Any], tmp_path: Any
) -> None:
    """Hundreds of rows a unit: the noise drowns everything, and no step depends on there being a signal."""
    path = tmp_path / "schema.yaml"
    path.write_text(SCHEMA, encoding="utf-8")
    outcome = played(stage_of(tmp_path, schema=path), rows=80)
    for party in ("north", "south"):
        (message,) = outcome.sent[party]
        manifest = message.body["outcome"]["manifest"]
        assert (manifest["unit"], manifest["rows_per_unit"]) == ("person", 600)
        assert manifest["rows"] <= 80
        account = next(iter(outcome.ledgers[party].events("charged"))).body["account"]
        assert "person" in str(account)


def test_it_is_attacked_with_a_control(stage_of: Callable[..., Any], tmp_path: Any) -> None:
    from comity.architectures.definition import Pilot

    stage = stage_of(tmp_path)
    outcome = played(stage)
    scores = pq.read_table(outcome.sessions[ML_PARTY] / "scores.parquet").column("logistic").to_numpy()
    tests = len(stage.inputs.test_labels)
    pilot = Pilot(
        task=stage.inputs.task,
        options=Options(),
        members=stage.inputs.train,
        outsiders=stage.inputs.test,
        sessions=outcome.sessions,
        figures=outcome.figures,
        ml_party=ML_PARTY,
        member_scores=scores[tests:],
        member_labels=stage.inputs.member_labels,
        outsider_scores=scores[:tests],
        outsider_labels=stage.inputs.test_labels,
    )
    found = find("synthetic").attacks(pilot)
    assert set(found) == {
        "membership", "rare-value", "singling-out", "model-membership"
    }  # fmt: skip
    assert all(one.control is not None for one in found.values())
    assert found["membership"].bound is not None
