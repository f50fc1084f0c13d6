"""What is said about each column."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from comity.assess import assess_columns
from comity.data import read_table
from comity.errors import BadTable
from comity.schema import parse_schema

TABLE = read_table(
    pa.table(
        {
            "mail": [f"p{row}@example.org" for row in range(40)],
            "age": [20 + row % 10 for row in range(39)] + [None],
            "y": ["n"] * 39 + ["y"],
        }
    )
)


def test_facts_of_columns() -> None:
    mail, age, y = assess_columns(TABLE, target="y")
    assert (mail.role, mail.distinct, mail.uniques) == ("identifier", 40, 1.0)
    assert [(found.kind, found.share) for found in mail.pii] == [("email", 1.0)]
    assert mail.confidence >= 0.9
    assert mail.why == "email, 100%"
    assert mail.separation == 1.0
    assert (age.role, age.type, age.missing, age.distinct) == ("quasi_identifier", "integer", 1 / 40, 10)
    assert age.distinction == pytest.approx(10 / 39)
    pairs = 39 * 38
    assert age.separation == pytest.approx(1 - (9 * 4 * 3 + 3 * 2) / pairs)
    assert (y.role, y.uniques) == ("target", 1 / 40)
    assert (age.confidence, age.why) == (0.8, "name says age")
    assert (y.sparsity.rare_levels, y.sparsity.top_share) == (1, 39 / 40)
    body = json.loads(json.dumps(mail.to_dict()))
    assert set(body["pii"][0]) == {"kind", "share", "confidence", "evidence"}
    assert body["sparsity"]["rare_levels"] == 40


def test_a_schema_that_protects_less_than_what_is_found_is_pointed_out() -> None:
    schema = parse_schema(
        {
            "columns": {
                "mail": {"role": "insensitive", "type": "text"},
                "age": {"role": "insensitive", "type": "integer"},
                "y": {"role": "target", "type": "category"},
            }
        },
        where="here",
    )
    mail, age, y = assess_columns(TABLE, schema)
    assert mail.role == "insensitive"
    assert mail.proposed_role == "identifier"
    assert "its role should be identifier" in mail.warning
    assert "proposed as quasi_identifier" in age.warning
    assert y.warning == ""


def test_what_the_call_says_stands_above_schema_and_proposal() -> None:
    schema = parse_schema(
        {
            "columns": {
                "age": {"role": "insensitive", "type": "integer"},
                "y": {"role": "target", "type": "category"},
            }
        },
        where="here",
    )
    mail, age, y = assess_columns(TABLE, schema, target="age", quasi_identifiers=["y"])
    assert (mail.role, age.role, y.role) == ("identifier", "target", "quasi_identifier")
    _, age, y = assess_columns(TABLE, quasi_identifiers=["y"])
    assert (age.role, y.role) == ("sensitive", "quasi_identifier")
    assert "proposed as quasi_identifier" in age.warning
    for wrong in ({"target": "agee"}, {"quasi_identifiers": ["age", "agee"]}):
        with pytest.raises(BadTable, match="did you mean age"):
            assess_columns(TABLE, **wrong)


def test_a_quasi_identifier_that_is_too_distinct_is_pointed_out() -> None:
    table = read_table(pa.table({"town": [f"Town {row:03} of the north" for row in range(60)]}))
    (column,) = assess_columns(table, quasi_identifiers=["town"])
    assert column.distinction == 1.0
    assert column.warning


def test_values_that_others_know_show_it_without_a_header() -> None:
    table = read_table(pa.table({"c7": ["A+", "B-", "0+", "AB+"] * 20, "c8": ["x", "yy", "zzz", "w"] * 20}))
    blood, letters = assess_columns(table)
    assert (blood.role, blood.why) == ("quasi_identifier", "blood group, 100%")
    assert blood.confidence == blood.kinds[0].confidence > letters.confidence
    assert letters.why == "unclear: to be safe"


def test_columns_without_values() -> None:
    (column,) = assess_columns(read_table(pa.table({"a": [None, None]})))
    assert (column.missing, column.distinct, column.distinction, column.separation) == (1.0, 0, 0.0, 0.0)


def test_a_stated_role_is_no_guess() -> None:
    table = read_table(pa.table({"colour": ["red", "green", "blue"] * 20}))
    columns = {"colour": {"role": "quasi_identifier", "type": "category"}}
    schema = parse_schema({"columns": columns}, where="here")
    assert assess_columns(table)[0].guess
    assert not assess_columns(table, schema)[0].guess
    assert not assess_columns(table, quasi_identifiers=["colour"])[0].guess
