"""Kinds of columns without a header: what is told apart, with what confidence, and how a header moves it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.data.hints import hinted_kind
from comity.data.pii import FEWEST_VALUES, KINDS, Finding, Tells, find_kinds, find_pii
from comity.data.pii.lexicon import fold, words

DRAW = random.Random(11)
FIRST = [
    "Maria",
    "Peter",
    "Anna",
    "Thomas",
    "Laura",
    "Jan",
    "Sofia",
    "Paul",
    "Elena",
    "Lucas",
    "Julia",
    "Marco",
    "Emma",
    "David",
    "Sarah",
    "Pedro",
]
LAST = [
    "Müller",
    "Rossi",
    "García",
    "Janssen",
    "Kowalski",
    "Silva",
    "Andersson",
    "Dubois",
    "Smith",
    "Peeters",
    "Bianchi",
    "Novak",
]
CITIES = [
    "Antwerpen",
    "Gent",
    "Leuven",
    "Lyon",
    "Nantes",
    "Köln",
    "Bremen",
    "Torino",
    "Bologna",
    "Sevilla",
    "Bilbao",
    "Kraków",
    "Poznań",
    "Porto",
    "Uppsala",
    "Malmö",
    "Utrecht",
    "Leiden",
    "Bristol",
    "Leeds",
    "Dallas",
    "Boston",
    "Recife",
    "Curitiba",
    "Dijon",
    "Lille",
    "Mainz",
    "Ulm",
    "Trento",
    "Padova",
    "Murcia",
    "Cádiz",
    "Łódź",
    "Lublin",
    "Braga",
    "Coimbra",
    "Lund",
    "Umeå",
    "Delft",
    "Breda",
    "York",
    "Derby",
    "Denver",
    "Tucson",
]


def drawn(make, count: int = 80) -> list[str]:
    return sorted({make() for _ in range(count)})


def number(length: int) -> str:
    return "".join(DRAW.choice("0123456789") for _ in range(length))


COLUMNS = {
    "name": drawn(lambda: f"{DRAW.choice(FIRST)} {DRAW.choice(LAST)}"),
    "city": CITIES,
    "country": [
        "Belgique",
        "Polen",
        "Italia",
        "España",
        "Sverige",
        "Portugal",
        "France",
        "Nederland",
        "Ghana",
    ],
    "date": drawn(lambda: f"{DRAW.randint(2015, 2024)}-{DRAW.randint(1, 12):02d}-{DRAW.randint(1, 28):02d}"),
    "date_of_birth": drawn(
        lambda: f"{DRAW.randint(1, 28):02d}.{DRAW.randint(1, 12):02d}.{DRAW.randint(1935, 2010)}"
    ),
    "datetime": drawn(lambda: f"2024-03-{DRAW.randint(1, 28):02d}T{DRAW.randint(10, 23)}:15:00Z"),
    "time": drawn(lambda: f"{DRAW.randint(10, 23)}:{DRAW.randint(10, 59)}"),
    "address": drawn(
        lambda: f"{DRAW.choice(['Kerkstraat', 'Hauptstraße', 'Via Roma'])} {DRAW.randint(1, 99)}"
    ),
    "postcode": drawn(lambda: f"{DRAW.randint(1000, 9999)} {DRAW.choice('ABCDEF')}{DRAW.choice('GHJK')}"),
    "company": drawn(lambda: f"{DRAW.choice(LAST)} {DRAW.choice(['GmbH', 'B.V.', 'Ltd', 'S.A.'])}"),
    "licence_plate": drawn(lambda: f"{DRAW.choice('1234')}-{DRAW.choice('AB')}CD-{number(3)}"),
    "coordinates": drawn(lambda: f"{DRAW.uniform(-89, 89):.6f}"),
    "percentage": drawn(lambda: f"{DRAW.uniform(0, 99):.1f}%"),
    "amount": drawn(lambda: f"€ {DRAW.randint(1, 9000)},50"),
    "number": drawn(lambda: f"{DRAW.randint(1, 900)},{DRAW.randint(10, 99)}"),
    "hash": drawn(lambda: f"{DRAW.getrandbits(128):032x}"),
    "colour": drawn(lambda: f"#{DRAW.getrandbits(24):06x}"),
    "path": drawn(lambda: f"/var/data/{number(4)}.csv"),
    "domain": drawn(lambda: f"site{number(3)}.example.com"),
    "version": drawn(lambda: f"v{DRAW.randint(0, 9)}.{DRAW.randint(0, 9)}.{DRAW.randint(0, 99)}"),
    "gender": ["female", "male"],
    "boolean": ["false", "true"],
    "blood_group": ["A+", "A-", "B+", "O+", "O-"],
    "month": ["april", "juni", "mei", "oktober"],
    "free_text": drawn(lambda: f"The visit on day {DRAW.randint(1, 900)} went well for everybody."),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_kinds_without_a_header(kind: str) -> None:
    found = find_kinds("column", COLUMNS[kind])
    assert found, kind
    assert found[0].kind == kind
    assert 0.5 <= found[0].confidence <= 1.0


def test_every_kind_has_a_meaning() -> None:
    assert set(COLUMNS) <= set(KINDS)
    for kind in KINDS.values():
        assert kind.words
        assert kind.meaning
        assert kind.tells in Tells


def test_only_what_names_a_person_is_personal_data() -> None:
    assert find_pii("column", COLUMNS["city"]) == ()
    assert find_pii("column", COLUMNS["date"]) == ()
    assert find_pii("column", COLUMNS["name"])[0].tells is Tells.who


@pytest.mark.parametrize(
    "values",
    [
        drawn(lambda: f"ORD-{number(6)}"),
        drawn(lambda: f"{DRAW.choice('ABC')}{DRAW.choice('XYZ')}-{number(4)}"),
        drawn(lambda: f"{number(1)}.{number(2)}.{number(2)}"),
        drawn(lambda: f"{DRAW.randint(2015, 2024)}-{DRAW.randint(1, 12):02d}"),
        drawn(lambda: f"{DRAW.gauss(0, 1):.6f}"),
        drawn(lambda: f"{DRAW.randint(1, 12):02d}/{number(4)}/{DRAW.randint(18, 24)}"),
        ["Ruby", "Jade", "Amber", "Pearl", "Opal", "Emerald", "Topaz", "Garnet", "Onyx", "Diamond"],
        ["Customer Service", "Human Resources", "Quality Control", "Legal Affairs", "Data Science",
         "Public Relations", "Supply Chain", "Market Research", "Internal Audit"],
        drawn(lambda: "".join(DRAW.choice("bcdfgaeiou") for _ in range(7)).capitalize()),
    ],
    ids=lambda values: values[0],
)  # fmt: skip
def test_what_looks_close_is_not_flagged(values: list[str]) -> None:
    assert all(found.tells is Tells.nothing for found in find_kinds("column", values))


def test_a_header_raises_and_lowers() -> None:
    values = COLUMNS["city"]
    plain, said, denied = (find_kinds(header, values, least=0)[0] for header in ("x", "city", "phone"))
    assert said.confidence > plain.confidence > denied.confidence
    assert "its name says so" in said.evidence
    assert "its name suggests phone numbers" in denied.evidence
    email = [f"a{row}@example.org" for row in range(FEWEST_VALUES)]
    assert find_kinds("city", email)[0].confidence == 1.0


def test_headers_suggest_kinds() -> None:
    said = {
        "birthDate": "date_of_birth",
        "Telefonnummer": None,
        "mobile_phone": "phone",
        "achternaam": "last_name",
        "e-mail": "email",
        "zip code": "postcode",
        "height": None,
    }
    assert {header: hinted_kind(header) for header in said} == said


@given(st.lists(st.text(max_size=30), min_size=1, max_size=40, unique=True))
def test_evidence_never_quotes_a_value(values: list[str]) -> None:
    marked = [f"{value}\u2603" for value in values]
    for found in find_kinds("column", marked, least=0):
        assert "\u2603" not in found.evidence
        assert 0 <= found.confidence <= 1
        assert found.kind in KINDS


def test_lists_are_folded() -> None:
    assert fold("  MÜLLER ") == "muller"
    assert fold("Łódź") == "lodz"
    for name in ("given_names", "surnames", "cities", "countries", "jobs", "plain_words"):
        some = sorted(words(name))[::500]
        assert [fold(word) for word in some] == some


def test_a_finding_tells_share_and_reason() -> None:
    found = Finding("city", "cities", 0.5, 0.6, "and its name says so")
    assert found.evidence == "50% of its values are cities (and its name says so)"
    assert found.tells is Tells.about
