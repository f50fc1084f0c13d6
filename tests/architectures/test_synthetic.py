"""Synthetic: what leaves is a table of nobody's rows with what it was made from, as the clause allows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from comity.architectures import find, synthetic
from comity.architectures.definition import Options, Pilot, Task
from comity.attack.membership import membership_bound
from comity.compare.settings import ML_PARTY
from comity.data.ipc import table_from_bytes, table_to_bytes
from comity.errors import ClauseRefused, PartyFailed, Refused
from comity.schema import Schema, parse_schema


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
unit: {column: pid, max_rows: 600}
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
        outsiders_of=stage.inputs.held_out,
    )
    found = find("synthetic").attacks(pilot)
    assert set(found) == {
        "membership", "rare-value", "singling-out", "model-membership"
    }  # fmt: skip
    assert all(one.control is not None for one in found.values())
    for name in ("membership", "model-membership"):
        assert found[name].bound == membership_bound(pilot.options.epsilon, pilot.options.delta)


COLUMNS: dict[str, Any] = {
    "pid": {"role": "identifier", "type": "text"},
    "who": {"role": "identifier", "type": "text"},
    "ward": {"role": "identifier", "type": "integer"},
    "letter": {"role": "identifier", "type": "text"},
    "age": {"role": "quasi_identifier", "type": "integer", "min": 18, "max": 80},
    "ill": {"role": "target", "type": "category", "values": ["no", "yes"]},
}


def test_a_row_says_which_columns_no_synthetic_table_has() -> None:
    """By roles and types, which the schema says: nothing of it follows from a value."""
    unit = {"column": "who", "max_rows": 2}
    task = Task(parse_schema({"columns": COLUMNS, "unit": unit}, where="the test"), "ill", "yes", "pid")
    told = find("synthetic").leaves_out(task)
    assert list(told) == ["pid", "who", "ward", "letter"]
    assert told["pid"] == told["who"] == "it says whose row it is"
    assert told["ward"] == "its role is identifier"
    assert "text whose values the schema does not list" in told["letter"]
    assert find("validation").leaves_out(task) == {}


def test_more_levels_than_a_table_takes_are_told_before_anything_is_charged() -> None:
    levels = [f"c{at}" for at in range(4096)]
    city = {"role": "quasi_identifier", "type": "category", "values": levels}
    for values, refused in ((levels, True), (levels[1:], False)):
        columns = {**COLUMNS, "city": {**city, "values": values}}
        task = Task(parse_schema({"columns": columns}, where="the test"), "ill", "yes", "pid")
        reason = find("synthetic").skip(task, ("north",))
        assert (reason is not None) is refused
        assert reason is None or "'city' (4,096)" in reason


def of_city(provider: str, rows: int, seed: int) -> pa.Table:
    """Rows of a provider whose cities are its own: nothing but chance in them."""
    draw = np.random.default_rng([seed, provider == "north"])
    return pa.table(
        {
            "city": draw.choice([f"{provider}-{at}" for at in range(4)], rows).tolist(),
            "age": draw.integers(18, 80, rows),
            "ill": draw.choice(["no", "yes"], rows).tolist(),
        }
    )


@pytest.mark.parametrize("name", ["synthetic", "direct-release"])
def test_whose_a_row_is_counts_for_nothing(name: str, tmp_path: Path) -> None:
    """Two providers without a city in common; what was released is of other people of the same cities.

    It tells nothing of who was in the table, so the interval has 0 in it. It has in 95 of 100 draws; the
    seeds are fixed, so this one is no draw: it cannot fail by chance.
    """
    columns = {
        "city": {"role": "quasi_identifier", "type": "text"},
        "age": {"role": "quasi_identifier", "type": "integer", "min": 18, "max": 80},
        "ill": {"role": "target", "type": "category", "values": ["no", "yes"]},
    }
    own = {at: of_city(at, 500, seed=2) for at in ("north", "south")}
    cities = [f"{at}-{number}" for at in own for number in range(4)]
    known = {"city": [[city, "*"] for city in cities], "age": [[str(age), "*"] for age in range(18, 80)]}
    entries = {column: {"level": 0, "hierarchy": {"rows": rows}} for column, rows in known.items()}
    manifest = {"settings": {"k": 1}, "quasi_identifiers": entries}
    pq.write_table(of_city("north", 2000, seed=3), tmp_path / "received-north.parquet")
    (tmp_path / "manifest-north.json").write_text(json.dumps(manifest), encoding="utf-8")
    scores = np.random.default_rng(4).random(1000)
    labels = np.zeros(1000)
    pilot = Pilot(
        task=Task(parse_schema({"columns": columns}, where="the test"), "ill", "yes", "pid"),
        options=Options(),
        members={"north": of_city("north", 2000, seed=1), "south": of_city("south", 1900, seed=1)},
        outsiders=pa.concat_tables(own.values()),
        sessions={ML_PARTY: tmp_path},
        figures={},
        ml_party=ML_PARTY,
        member_scores=scores,
        member_labels=labels,
        outsider_scores=scores,
        outsider_labels=labels,
        outsiders_of=own,
    )
    found = find(name).attacks(pilot)["membership"]
    assert found.low <= 0.0 <= found.high
    # against the rows of both it is the city that is told
    assert find(name).attacks(replace(pilot, outsiders_of={}))["membership"].low > 0.1


SENT = table_to_bytes(pa.table({"city": ["a"], "age": [20], "ill": ["no"]}))


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [
        ({}, {"manifest": {}}),
        ({"table": SENT}, {}),
        ({"table": SENT}, {"manifest": "none"}),
        ({"table": b"no table"}, {"manifest": {}}),
        ({"table": SENT[:-20]}, {"manifest": {}}),
        ({"table": table_to_bytes(pa.table({"city": ["a"]}))}, {"manifest": {}}),
        ({"table": table_to_bytes(pa.table({"city": ["a"], "age": [7], "ill": ["no"]}))}, {"manifest": {}}),
    ],
    ids=["no table", "no manifest", "a text", "no Arrow", "cut off", "other columns", "out of bounds"],
)
def test_an_answer_that_is_no_synthetic_table_is_its_senders_fault(
    parts: dict[str, bytes], outcome: dict[str, Any], tmp_path: Path
) -> None:
    columns = {
        "city": {"role": "quasi_identifier", "type": "text"},
        "age": {"role": "quasi_identifier", "type": "integer", "min": 18, "max": 80},
        "ill": {"role": "target", "type": "category", "values": ["no", "yes"]},
    }
    task = Task(parse_schema({"columns": columns}, where="the test"), "ill", "yes", "pid")
    seat: Any = SimpleNamespace(task=task, session=tmp_path, keep=lambda name, table: None)
    message: Any = SimpleNamespace(parts=parts, body={"outcome": outcome})
    with pytest.raises(PartyFailed, match="'north' released"):
        synthetic._received(seat, "north", message)
