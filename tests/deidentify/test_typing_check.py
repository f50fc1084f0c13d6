from __future__ import annotations

import pyarrow as pa
import pytest

from comity.data import Table
from comity.deidentify import Expected
from comity.deidentify.typing_check import PATTERNS, typing_check
from comity.errors import BadTable
from comity.schema import parse_schema

SCHEMA = parse_schema(
    {
        "columns": {
            "id": {"role": "identifier", "type": "text"},
            "age": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 99},
            "note": {"role": "insensitive", "type": "text"},
            "pay": {"role": "sensitive", "type": "integer", "min": 0, "max": 100},
            "colour": {"role": "insensitive", "type": "category", "values": ["red", "blue"]},
        }
    },
    where="a test",
)
EXPECTED = Expected(
    {"age": {"0-49", "50-99", None}}, ["id"], {n: SCHEMA[n] for n in ("note", "pay", "colour")}
)
GOOD = {
    "id": ["a" * 32, "b" * 32],
    "age": ["0-49", None],
    "note": ["fine", "route 66, 12 km"],
    "pay": [0, 100],
    "colour": ["red", None],
}


def test_what_is_as_declared_passes():
    typing_check(Table(pa.table(GOOD)), EXPECTED, SCHEMA)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("age", ["0-49", "37"], "'age' holds 1 values that are no label"),
        ("id", ["a" * 32, "alice"], "'id' holds 1 values that are no pseudonym"),
        ("pay", [0, 101], "'pay' holds 1 values outside its declared bounds"),
        ("pay", ["a", "b"], "'pay' is declared integer and is not"),
        ("colour", ["red", "green"], "'colour' holds 1 values that are none of its declared levels"),
        ("note", ["ask jo@example.org", "x"], "'note' holds 1 values that look like an e-mail address"),
        ("extra", ["x", "y"], "column 'extra' was not declared"),
    ],
)
def test_what_is_not_is_found(column, values, message):
    with pytest.raises(BadTable, match=message) as caught:
        typing_check(Table(pa.table(GOOD | {column: values})), EXPECTED, SCHEMA)
    assert caught.value.private
    assert "alice" not in caught.value.public_message


def test_a_lacking_column_is_found():
    with pytest.raises(BadTable, match="'pay' is declared and absent"):
        typing_check(Table(pa.table(GOOD)).drop(["pay"]), EXPECTED, SCHEMA)


LOOKS = {
    "an e-mail address": (["a.b@c.example", "x: y@z.org"], ["a@b", "@home", "5 @ 3.20"]),
    "an international telephone number": (
        ["+32 16 32 11 11", "0044 20 7946 0958", "+1 (212) 555-0123", "+4915112345678"],
        ["32", "+3", "12-17", "2024-01-31", "1.000.000"],
    ),
    "an IP address": (["192.168.0.1", "at 8.8.8.8 now"], ["1.2.3", "300.1.1.1", "1.2.3.4.5"]),
    "an IBAN": (["BE68 5390 0754 7034", "DE89370400440532013000"], ["BE68 5390 0754 7035", "AB12"]),
    "a payment card number": (
        ["4111 1111 1111 1111", "5500-0000-0000-0004"],
        ["4111 1111 1111 1112", "12345"],
    ),
    "a United States social security number": (
        ["123-45-6789"],
        ["000-12-3456", "123-45-67890", "2024-01-31"],
    ),
    "a UUID": (["123e4567-e89b-12d3-a456-426614174000"], ["123e4567-e89b"]),
}


@pytest.mark.parametrize("kind", PATTERNS)
def test_patterns(kind):
    yes, no = LOOKS[kind]
    assert [text for text in yes if not PATTERNS[kind](text)] == []
    assert [text for text in no if PATTERNS[kind](text)] == []
