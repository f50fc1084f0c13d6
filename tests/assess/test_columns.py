"""What is said about each column."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from comity.assess import assess_columns
from comity.data import read_table
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
    assert (mail.role, mail.pii, mail.distinct, mail.uniques) == ("identifier", (("email", 1.0),), 40, 1.0)
    assert mail.separation == 1.0
    assert (age.role, age.type, age.missing, age.distinct) == ("quasi_identifier", "integer", 1 / 40, 10)
    assert age.distinction == pytest.approx(10 / 39)
    pairs = 39 * 38
    assert age.separation == pytest.approx(1 - (9 * 4 * 3 + 3 * 2) / pairs)
    assert (y.role, y.uniques) == ("target", 1 / 40)
    assert json.loads(json.dumps(mail.to_dict()))["pii"] == [{"kind": "email", "share": 1.0}]


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


def test_columns_without_values() -> None:
    (column,) = assess_columns(read_table(pa.table({"a": [None, None]})))
    assert (column.missing, column.distinct, column.distinction, column.separation) == (1.0, 0, 0.0, 0.0)
