"""What an ML party asks of a run is held against the agreement, before anything is charged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from comity.agreement import Agreement, agreement_from
from comity.architectures import find
from comity.architectures.agreed_task import read_options, require_agreed
from comity.architectures.definition import ROW_ID, Options, Task
from comity.compare.draft import draft_agreement
from comity.crypto.keys import SigningKey
from comity.errors import BadInput, ClauseRefused
from comity.schema import Unit, parse_schema

SCHEMA = {
    "columns": {
        "visit": {"role": "identifier", "type": "text"},
        "patient": {"role": "identifier", "type": "text"},
        "age": {"role": "quasi_identifier", "type": "integer", "min": 18, "max": 80},
        "job": {"role": "sensitive", "type": "category", "values": ["baker", "clerk"]},
        "ill": {"role": "target", "type": "category", "values": ["no", "yes"]},
    },
    "unit": {"column": "patient", "max_rows": 20},
}
TASK = Task(schema=parse_schema(SCHEMA, where="here"), target="ill", positive="yes", id="visit")


SYNTHETIC, LINKED = find("synthetic"), find("validation")


def asked(task: Task, agreement: Agreement, party: str, **how: Any) -> None:
    require_agreed(task, agreement, party, how.pop("architecture", SYNTHETIC), Options(**how))


def changed(**columns: dict[str, Any]) -> Task:
    """The task with columns of its own making."""
    own = {**SCHEMA, "columns": {**SCHEMA["columns"], **columns}}
    return replace(TASK, schema=parse_schema(own, where="here"))


@pytest.fixture(scope="module")
def agreement() -> Agreement:
    keys = {name: str(SigningKey.generate().verify_key) for name in ("north", "south", "analyst", "hub")}
    draft = draft_agreement(
        find("synthetic"),
        TASK,
        Options(),
        run="one",
        providers=("north", "south"),
        ml_party="analyst",
        keys=keys,
        seed_rows={},
    )
    return agreement_from(draft.document)


def test_what_the_agreement_says_may_be_asked(agreement: Agreement) -> None:
    fewer = {name: column for name, column in SCHEMA["columns"].items() if name != "job"}
    for party in ("north", "analyst"):
        asked(TASK, agreement, party)
        asked(replace(TASK, id=ROW_ID), agreement, party)
        asked(
            replace(TASK, schema=parse_schema({**SCHEMA, "columns": fewer}, where="here")), agreement, party
        )


@pytest.mark.parametrize(
    ("task", "place"),
    [
        pytest.param(replace(TASK, id="age"), "columns.age", id="an id that is none"),
        pytest.param(replace(TASK, target="job", positive="clerk"), "columns.job", id="another target"),
        pytest.param(replace(TASK, target="sick"), "data", id="a target that nobody has"),
        pytest.param(replace(TASK, positive="maybe"), "columns.ill", id="a value that is none"),
        pytest.param(
            replace(TASK, schema=TASK.schema.model_copy(update={"unit": Unit()})),
            "north.unit",
            id="no privacy unit",
        ),
        pytest.param(
            replace(TASK, schema=TASK.schema.model_copy(update={"unit": Unit(column="patient", max_rows=1)})),
            "north.unit",
            id="fewer rows of a person",
        ),
        pytest.param(
            changed(age={"role": "quasi_identifier", "type": "integer", "min": 18, "max": 9000}),
            "columns.age",
            id="other bounds",
        ),
        pytest.param(
            changed(job={"role": "sensitive", "type": "category", "values": ["baker"]}),
            "columns.job",
            id="other levels",
        ),
        pytest.param(
            changed(patient={"role": "quasi_identifier", "type": "category", "values": ["p17"]}),
            "columns.patient",
            id="an identifier as a feature",
        ),
        pytest.param(
            changed(pay={"role": "sensitive", "type": "number", "min": 0, "max": 9}),
            "data",
            id="a column that nobody agreed on",
        ),
    ],
)
def test_what_it_does_not_say_is_refused_by_its_place(agreement: Agreement, task: Task, place: str) -> None:
    for party in ("north", "analyst"):
        with pytest.raises(ClauseRefused) as caught:
            asked(task, agreement, party)
        assert place in str(caught.value)


def test_a_column_of_another_provider_s_terms_is_not_read_here(agreement: Agreement) -> None:
    north, south = agreement.data
    fewer = {name: column for name, column in north.columns.items() if name != "job"}
    parted = agreement.model_copy(update={"data": (north.model_copy(update={"columns": fewer}), south)})
    with pytest.raises(ClauseRefused, match="job"):
        asked(TASK, parted, "north")
    asked(TASK, parted, "south")
    with pytest.raises(ClauseRefused, match="job"):
        asked(TASK, parted, "analyst")
    asked(TASK, parted, "north", partition="columns")


def test_an_ml_party_brings_features_of_its_own_where_providers_have_labels(agreement: Agreement) -> None:
    more = changed(pay={"role": "sensitive", "type": "number", "min": 0, "max": 9})
    for party in ("north", "analyst"):
        asked(more, agreement, party, architecture=LINKED)
        asked(more, agreement, party, architecture=LINKED, mode="linked")
        with pytest.raises(ClauseRefused, match="pay"):
            asked(more, agreement, party, architecture=LINKED, mode="hosted")
        with pytest.raises(ClauseRefused, match="sick"):
            asked(replace(more, target="sick"), agreement, party, architecture=LINKED)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epsilon": float("inf")},
        {"epsilon": 0.0},
        {"epsilon": True},
        {"epsilon": "1"},
        {"delta": 1.0},
        {"delta": float("nan")},
        {"k": 0},
        {"k": 2.5},
        {"seed": -1},
        {"mode": "hosted"},
        {"partition": "columns"},
        {"colour": "red"},
    ],
    ids=str,
)
def test_options_are_of_their_types_and_ranges(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        read_options(find("federated"), {**Options(mode="private").to_dict(), **wrong})


def test_options_are_read(agreement: Agreement) -> None:
    options = Options(epsilon=0.5, mode="exact", seed=3)
    assert read_options(find("federated"), options.to_dict()) == options
