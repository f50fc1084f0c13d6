"""Schema: columns with roles, types and bounds; every fault names its place."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from comity.crypto.canonical import canonical_bytes
from comity.errors import BadSchema
from comity.schema import Column, ColumnType, Role, Schema, Unit, parse_schema, read_schema

GOOD: dict[str, Any] = {
    "columns": {
        "person_id": {"role": "identifier", "type": "text"},
        "age": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 110, "hierarchy": "age.csv"},
        "wage": {"role": "insensitive", "type": "number"},
        "diagnosis": {"role": "sensitive", "type": "category", "values": ["flu", "asthma"]},
        "income": {"role": "target", "type": "category"},
    },
    "unit": {"column": "person_id", "max_rows": 4},
}


def test_a_schema_is_read() -> None:
    schema = parse_schema(GOOD, where="s.yaml")
    assert list(schema) == ["person_id", "age", "wage", "diagnosis", "income"]
    assert schema["age"] == Column(
        role=Role.quasi_identifier, type=ColumnType.integer, min=0, max=110, hierarchy="age.csv"
    )
    assert schema.target == "income"
    assert schema.features == ("age", "wage", "diagnosis")
    assert schema.named(Role.identifier, Role.target) == ("person_id", "income")
    assert schema.unit == Unit(column="person_id", max_rows=4)


def test_the_unit_is_one_row_unless_said_otherwise() -> None:
    schema = parse_schema({"columns": {"a": {"role": "insensitive", "type": "text"}}}, where="s")
    assert schema.unit == Unit(column=None, max_rows=1)
    assert schema.target is None


@pytest.mark.parametrize(
    ("kind", "numeric"), [("integer", True), ("number", True), ("category", False), ("text", False)]
)
def test_which_types_are_numeric(kind: str, numeric: bool) -> None:
    assert ColumnType(kind).is_numeric is numeric


def _with(column: str, **changes: Any) -> dict[str, Any]:
    columns = {**GOOD["columns"], column: {**GOOD["columns"].get(column, {}), **changes}}
    return {**GOOD, "columns": columns}


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (_with("age", colour="red"), "columns.age.colour: "),
        ({**GOOD, "extra": 1}, "extra: "),
        ({**GOOD, "unit": {"column": "person_id", "rows": 1}}, "unit.rows: "),
        ({**GOOD, "unit": {"column": "nobody"}}, "unit.column 'nobody' is not one of the columns"),
        ({**GOOD, "unit": {"max_rows": 0}}, "unit.max_rows: "),
        ({"columns": {}}, "columns is empty"),
        ({}, "columns: "),
        ([], "the document: "),
        (None, "the document: "),
        ("text", "the document: "),
        (_with("age", role="owner"), "columns.age.role: "),
        (_with("age", type="float"), "columns.age.type: "),
        (_with("new"), "columns.new.role: "),
        (_with("age", min=111), "columns.age: Value error, min 111 is above max 110"),
        (_with("age", min="low"), "columns.age.min: "),
        (_with("age", values=["1"]), "values belong to category columns"),
        (_with("income", min=0), "min and max belong to numeric columns, this one is 'category'"),
        (_with("diagnosis", values=["flu", "flu"]), "values holds a level twice"),
        (_with("diagnosis", values=[0, 1]), 'quotes, as the table writes it, values: ["0", "1"]; '),
        (_with("diagnosis", values=["a", 2]), "columns.diagnosis.values: the values of a category are texts"),
        (_with("diagnosis", values=[False]), "truth values (so are yes, no, on and off): put each in quotes"),
        (_with("diagnosis", values=[date(2020, 1, 2)]), "reads these as dates: put each in quotes, as the"),
        (_with("diagnosis", values=[*range(11)]), '"9", ...]; '),
        (_with("diagnosis", values=["flu", None]), "columns.diagnosis.values: an entry is empty"),
        (_with("diagnosis", values=[{"a": 1}]), "columns.diagnosis.values: each entry is one text"),
        (_with("wage", role="target"), "several columns have the role target: wage, income"),
        (_with("age", min=float("nan")), "columns.age.min: "),
        (_with("age", max=float("inf")), "columns.age.max: "),
    ],
)
def test_faults_name_their_place(document: object, says: str) -> None:
    with pytest.raises(BadSchema) as caught:
        parse_schema(document, where="s.yaml")
    assert str(caught.value).startswith("s.yaml is not a usable schema: ")
    assert says in str(caught.value)


def test_several_faults_come_at_once() -> None:
    with pytest.raises(BadSchema) as caught:
        parse_schema({"columns": {"a": {"role": "x", "type": "y"}}}, where="s")
    assert "columns.a.role" in str(caught.value)
    assert "columns.a.type" in str(caught.value)


def test_numbers_for_values_are_one_fault_with_file_column_and_what_to_write(tmp_path: Path) -> None:
    path = tmp_path / "schema.yaml"
    path.write_text("columns: {ill: {role: target, type: category, values: [0, 1]}}\n", encoding="utf-8")
    with pytest.raises(BadSchema) as caught:
        read_schema(path)
    said = str(caught.value)
    assert said.startswith(f"{path} is not a usable schema: columns.ill.values: ")
    assert said.count("columns.ill") == 1
    assert 'values: ["0", "1"]' in said
    assert "valid string" not in said


def test_a_schema_cannot_be_changed() -> None:
    schema = parse_schema(GOOD, where="s")
    with pytest.raises(ValidationError):
        schema.unit = Unit()  # type: ignore[misc]
    with pytest.raises(ValidationError):
        schema["age"].min = 3  # type: ignore[misc]


def test_a_schema_file(tmp_path: Path) -> None:
    path = tmp_path / "schema.yaml"
    path.write_text("columns: {y: {role: target, type: category, values: ['0', '1']}}\n", encoding="utf-8")
    assert read_schema(path).target == "y"
    with pytest.raises(BadSchema, match="does not exist; check the path given to --schema"):
        read_schema(tmp_path / "absent.yaml")
    with pytest.raises(BadSchema, match="cannot be read"):
        read_schema(tmp_path)
    path.write_bytes(b"columns: caf\xe9")
    with pytest.raises(BadSchema, match="cannot be read"):
        read_schema(path)
    path.write_text("columns: [", encoding="utf-8")
    with pytest.raises(BadSchema, match="is not YAML"):
        read_schema(path)
    path.write_text("", encoding="utf-8")
    with pytest.raises(BadSchema, match="is not a usable schema"):
        read_schema(path)
    path.write_text("a: !!python/object/apply:os.getcwd []", encoding="utf-8")
    with pytest.raises(BadSchema, match="is not YAML"):
        read_schema(path)


_columns = st.builds(
    lambda role, kind, low, high: Column(
        role=role,
        type=kind,
        min=min(low, high) if kind.is_numeric else None,
        max=max(low, high) if kind.is_numeric else None,
    ),
    st.sampled_from([role for role in Role if role is not Role.target]),
    st.sampled_from(ColumnType),
    st.floats(-1e9, 1e9),
    st.floats(-1e9, 1e9),
)


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=("Cs",)), min_size=1), _columns, min_size=1, max_size=5
    )
)
def test_the_file_form_is_read_back_as_the_same_schema(columns: dict[str, Column]) -> None:
    schema = Schema(columns=columns)
    again = parse_schema(schema.to_dict(), where="s")
    assert again == schema
    assert canonical_bytes(again.to_dict()) == canonical_bytes(schema.to_dict())
    assert set(schema.features) | set(schema.named(Role.identifier)) == set(columns)


INTERVALS = {"intervals": {"widths": [10], "top": 90}}
DATES = {"dates": {"first": 2020, "last": 2025, "levels": ["month", "year"]}}
SIZES = ["low", "mid", "high", "top"]


@pytest.mark.parametrize(
    ("column", "value", "becomes"),
    [
        ({"type": "integer", "min": 0, "max": 99, "hierarchy": INTERVALS}, 95, ">= 90"),
        ({"type": "text", "hierarchy": DATES}, "2024-03-17", "2024"),
        ({"type": "text", "hierarchy": {"postcodes": {"country": "be"}}}, "9000", "900*"),
        ({"type": "category", "values": SIZES, "hierarchy": {"ordered": {}}}, "mid", "low to mid"),
        ({"type": "category", "values": ["a1", "a2", "b1"], "hierarchy": {"prefix": {}}}, "a2", "a*"),
    ],
)
def test_a_rule_builds_a_hierarchy(column: dict[str, object], value: object, becomes: str) -> None:
    from comity.deidentify import from_schema

    document = {"columns": {"x": {"role": "quasi_identifier", **column}}}
    schema = parse_schema(document, where="here")
    assert parse_schema(schema.to_dict(), where="there") == schema
    hierarchy = from_schema(schema, ["x"])["x"]
    assert becomes in [hierarchy.generalise([value], level)[0] for level in range(hierarchy.levels)]


@pytest.mark.parametrize(
    "rule", [{}, {"dates": {"first": 1, "last": 2}, "ordered": {}}, {"waves": {}}, {"dates": {"from": 2020}}]
)
def test_a_rule_is_of_exactly_one_known_kind(rule: dict[str, object]) -> None:
    document = {"columns": {"x": {"role": "quasi_identifier", "type": "text", "hierarchy": rule}}}
    with pytest.raises(BadSchema, match="hierarchy"):
        parse_schema(document, where="here")
