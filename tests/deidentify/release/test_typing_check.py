from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn

from comity.data import Table
from comity.deidentify import Expected, MasterKey
from comity.deidentify.release.survivors import compact, surviving
from comity.deidentify.release.typing_check import PATTERNS, typing_check
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
    "an IBAN": (["BE68 5390 0754 7034", "to DE89370400440532013000 please"], ["BE68 5390 0754 7035", "AB12"]),
    "a payment card number": (
        ["4111 1111 1111 1111", "5500-0000-0000-0004", "card 4111111111111111, valid"],
        ["4111 1111 1111 1112", "12345"],
    ),
    "a United States social security number": (
        ["123-45-6789"],
        ["000-12-3456", "123-45-67890", "2024-01-31"],
    ),
    "a UUID or hardware address": (
        ["123e4567-e89b-12d3-a456-426614174000", "on 00:1B:44:11:3A:B7 today"],
        ["123e4567-e89b", "10:30:00"],
    ),
    "a national number with check digits": (
        ["85.07.30-033.28", "nn 85073003328!", "RSSMRA85T10A562S", "12345678Z"],
        ["85.07.30-033.29", "123456789", "order 20240131-001", "12345678A"],
    ),
}


@pytest.mark.parametrize("kind", PATTERNS)
def test_patterns(kind):
    yes, no = LOOKS[kind]
    assert [text for text in yes if not PATTERNS[kind](text)] == []
    assert [text for text in no if PATTERNS[kind](text)] == []


def test_both_kinds_of_pseudonyms_pass_and_no_mixture():
    key = MasterKey.generate().for_recipient("ml")
    keyed = [key.pseudonym(value, domain="id") for value in "ab"]
    opened = [key.reversible(value, domain="id") for value in "ab"]
    typing_check(Table(pa.table(GOOD | {"id": keyed})), EXPECTED, SCHEMA)
    typing_check(Table(pa.table(GOOD | {"id": opened})), EXPECTED, SCHEMA)
    with pytest.raises(BadTable, match="'id' mixes"):
        typing_check(Table(pa.table(GOOD | {"id": [keyed[0], opened[1]]})), EXPECTED, SCHEMA)
    with pytest.raises(BadTable, match="'id' holds 1 values that are no pseudonym"):
        typing_check(Table(pa.table(GOOD | {"id": [opened[0], opened[1][:-1]]})), EXPECTED, SCHEMA)


def test_invisible_characters_hide_nothing():
    sly = ["jo\u200b.b@exam\u00adple.org", "x"]
    with pytest.raises(BadTable, match="e-mail"):
        typing_check(Table(pa.table(GOOD | {"note": sly})), EXPECTED, SCHEMA)


def test_a_column_of_numbers_of_people_is_found_without_a_header():
    digits = [f"0470{n:06d}" for n in range(123456, 123476)]
    schema = parse_schema({"columns": {"z": {"role": "insensitive", "type": "text"}}}, where="a test")
    with pytest.raises(BadTable, match="'z' looks like a column of phone numbers"):
        typing_check(Table(pa.table({"z": digits})), Expected({}, [], {"z": schema["z"]}), schema)


ORDINARY = {
    "job": [
        "Data Engineer",
        "Head Nurse",
        "Sales Manager",
        "Tax Advisor",
        "Bus Driver",
        "Baker",
        "Clerk",
        "Pilot",
    ],
    "city": ["Paris", "Sydney", "Leuven", "San Jose", "Den Haag", "New York", "Lyon", "Charlotte"],
    "postcode": ["3000", "1000", "9000", "B-2000", "75001", "SW1A 1AA", "90210", "1012 AB"],
    "income": ["<=50K", ">50K", "10,000-19,999", "20,000-29,999", "1.000.000", "0", "12.5%", "n/a"],
    "day": [
        "2024-01-31",
        "31/01/2024",
        "1 March 2020",
        "2020-03",
        "Q1 2021",
        "12:30",
        "2020-W05",
        "08:15:00",
    ],
    "icd": ["J45.909", "E11.9", "I10", "C50.911", "F32.1", "M54.5", "S72.001A", "Z00.00"],
    "nace": ["62.010", "01.110", "47.11", "86.21.0", "A01.1", "C10-C12", "G46", "H49.4"],
    "version": ["1.2.3", "10.0.1", "2.0", "3.11", "v4.5.6-rc1", "1.0.0.1234", "2024.1", "7"],
    "workclass": ["Self-emp-not-inc", "Private", "State-gov", "Never-worked", "?", "Local-gov", "a-b", "c_d"],
    "answer": [
        "Yes, but only at home",
        "No",
        "see route 66, 12 km",
        "at 5 @ 3.20",
        "2 x 250 mg",
        "ok",
        "+3",
        "-1",
    ],
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_columns_raise_no_alarm(name):
    values = ORDINARY[name] * 5
    schema = parse_schema({"columns": {name: {"role": "insensitive", "type": "text"}}}, where="a test")
    typing_check(Table(pa.table({name: values})), Expected({}, [], {name: schema[name]}), schema)


def drawn(form: str, rows: int = 1500) -> list[str]:
    """Codes made of random digits (#), capitals (@) and hexadecimal digits (%)."""
    rng = np.random.default_rng(len(form))
    sets = {"#": "0123456789", "@": "ABCDEFGHJKLMNPQRSTUVWXYZ", "%": "0123456789abcdef"}
    return ["".join(str(rng.choice(list(sets[c]))) if c in sets else c for c in form) for _ in range(rows)]


@pytest.mark.parametrize(
    "form",
    [
        "##########",
        "###########",
        "4############",
        "########@",
        "@@@-####-##",
        "%%%%%%%%%%%%",
        "@@##@#########",
    ],
)
def test_codes_that_pass_check_digits_by_chance_raise_no_alarm(form):
    schema = parse_schema({"columns": {"z": {"role": "insensitive", "type": "text"}}}, where="a test")
    typing_check(Table(pa.table({"z": drawn(form)})), Expected({}, [], {"z": schema["z"]}), schema)


def test_numbers_that_pass_as_a_rule_do():
    cards = [
        f"{n}{next(d for d in range(10) if luhn.is_valid(f'{n}{d}'))}" for n in drawn("4##############", 50)
    ]
    schema = parse_schema({"columns": {"z": {"role": "insensitive", "type": "text"}}}, where="a test")
    with pytest.raises(BadTable, match="'z' holds 50 values that look like a payment card"):
        typing_check(
            Table(pa.table({"z": [*cards, "4111111111111112"]})), Expected({}, [], {"z": schema["z"]}), schema
        )


PEOPLE = {
    "full": ["Alice Johnson", "Renée Dubois", "Bo Ng", "Sydney Paris"],
    "number": [12345, 23456, 90210, 45678],
    "mail": ["alice.j@example.org", "r@x.be", "bo@ng.nl", "s@p.fr"],
}
IDENTIFIERS = parse_schema(
    {"columns": {name: {"role": "identifier", "type": "text"} for name in PEOPLE}
     | {"note": {"role": "insensitive", "type": "text"}, "age": {"role": "insensitive", "type": "integer"}}},
    where="a test",
)  # fmt: skip


@pytest.mark.parametrize(
    ("note", "found"),
    [
        ("spoke to ALICE  JOHNSON yesterday", "full"),
        ("file_alicejohnson_7.pdf", "full"),
        ("Renee Dubois", "full"),
        ("customer 23 456 called again", "number"),
        ("see order 45678.", "number"),
    ],
)
def test_a_raw_identifier_inside_a_text_is_found(note, found):
    released = Table(pa.table({"note": ["fine", note, None], "age": [30, 40, 50]}))
    expected = Expected({}, [], {name: IDENTIFIERS[name] for name in ("note", "age")})
    typing_check(released, expected, IDENTIFIERS)
    with pytest.raises(BadTable, match=f"'note' holds values of the identifier '{found}' in 1 rows"):
        typing_check(released, expected, IDENTIFIERS, source=Table(pa.table(PEOPLE)))


def test_coincidences_are_no_survivors():
    notes = ["Paris", "Sydney", "90210", "the number 1234567 is another", "Dubois", "12345"]
    released = Table(pa.table({"note": notes, "age": [12345, 23456, 30, 40, 50, 60]}))
    expected = Expected({}, [], {name: IDENTIFIERS[name] for name in ("note", "age")})
    typing_check(released, expected, IDENTIFIERS, source=Table(pa.table(PEOPLE)))


def test_a_copied_column_of_numbers_is_found():
    numbers = list(range(10_000_000, 10_000_040))
    source = Table(pa.table({"number": numbers}))
    assert surviving(source, ["number"], Table(pa.table({"x": numbers[::-1]}))) == [
        "'x' holds values of the identifier 'number' in 40 rows"
    ]
    amounts = [10_000_000, *range(0, 500_000, 1000)]
    assert surviving(source, ["number"], Table(pa.table({"x": amounts}))) == []


@given(
    st.lists(st.text("abcdeé -1", min_size=1, max_size=14), min_size=1, max_size=8),
    st.lists(st.text("abcdeé -1", max_size=40), min_size=1, max_size=8),
)
def test_survivors_are_those_of_a_plain_search(values, texts):
    source, released = Table(pa.table({"i": values})), Table(pa.table({"t": texts}))
    long = {c for v in values if len(c := compact(v)) >= 8 and not c.isdigit()}
    short = {c for v in values if len(c := compact(v)) >= 5 and (len(c) < 8 or c.isdigit())}

    def survives(text: str) -> bool:
        words = [compact(word) for word in re.findall(r"[^\W_]+", text)]
        runs = {"".join(words[a:b]) for a in range(len(words)) for b in range(a + 1, a + 5)}
        return any(v in compact(text) for v in long) or (len(words) >= 3 and bool(runs & short))

    count = sum(survives(text) for text in texts)
    expected = [f"'t' holds values of the identifier 'i' in {count} rows"] if count else []
    assert surviving(source, ["i"], released) == expected
