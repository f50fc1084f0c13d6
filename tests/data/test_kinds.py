"""Kinds of columns without a header: what is told apart, with what confidence, and how a header moves it."""

from __future__ import annotations

import random
from collections.abc import Callable

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
    "licence_plate": drawn(lambda: f"{DRAW.choice('12')}-{DRAW.choice('AB')}CD-{number(3)}"),
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


@pytest.mark.parametrize("prefix", ["C", "AB", "K-", "BMW-", "TK "])
@pytest.mark.parametrize("width", [4, 5, 6, 7])
def test_serial_ids_are_no_licence_plates(prefix: str, width: int) -> None:
    values = [f"{prefix}{row:0{width}d}" for row in DRAW.sample(range(10_000), 300)]
    assert "licence_plate" not in {found.kind for found in find_kinds("customer", values)}


@pytest.mark.parametrize(
    "plate",
    [
        lambda: f"{letters(1)}{number(3)}{letters(2)}77",
        lambda: f"{letters(1)}{number(6)}",
        lambda: f"{letters(2)} {number(2)} {number(3)}",
    ],
)
def test_licence_plates_of_many_places(plate: Callable[[], str]) -> None:
    assert find_kinds("column", drawn(plate))[0].kind == "licence_plate"


def letters(count: int) -> str:
    return "".join(DRAW.choice("ABEKMHOPCTYX") for _ in range(count))


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
        drawn(lambda: f"{DRAW.uniform(0, 90):.6f}"),
        drawn(lambda: f"{DRAW.uniform(10, 60):.5f}"),
        drawn(lambda: f"{DRAW.choice('ABC')}{DRAW.choice('XYZ')}{number(6)}"),
        drawn(lambda: f"{DRAW.randint(1, 9)}-{DRAW.choice('ABC')}YP-{number(3)}"),
        drawn(lambda: f"0{number(3)}-{number(4)}"),
        drawn(lambda: f"{DRAW.randint(2018, 2024)}{DRAW.randint(1, 12):02d}{DRAW.randint(1, 28):02d}"),
        drawn(lambda: f"{DRAW.randint(0, 9)}.{number(1)}.{number(1)}.{DRAW.randint(0, 99)}"),
        [f"{row * 37 % 1000:03d}-{row % 90 + 10}-{number(4)}" for row in range(150)],
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


def joined(heads: str, tails: str, between: str = " ") -> list[str]:
    return [f"{head}{between}{tail}" for head in heads.split() for tail in tails.split()]


FOUND_WITHOUT_A_HEADER = {
    "phone, full stops": (
        "phone",
        drawn(lambda: f"04{DRAW.randint(70, 99)}.{number(2)}.{number(2)}.{number(2)}"),
    ),
    "phone, slash": ("phone", drawn(lambda: f"04{DRAW.randint(70, 99)}/{number(2)}.{number(2)}.{number(2)}")),
    "phone, bare": ("phone", drawn(lambda: f"06{number(8)}")),
    "Greek names": ("name", joined("Γιώργος Μαρία Ελένη Νίκος", "Παπαδόπουλος Γεωργίου Οικονόμου Μακρής")),
    "Chinese names": ("name", joined("王 李 张 刘 陈", "伟 芳 娜 敏 静 丽", "")),
    "lower case names": ("name", joined("piet anna wouter els", "peeters janssens de\u00a0smet claes")),
    "handles": ("user_name", [f"@jules_{row}" for row in range(20)]),
    "profiles": ("web", [f"linkedin.com/in/jules{row}" for row in range(20)]),
    "boxes": ("address", [f"PO Box {row}" for row in range(12, 40)]),
    "texts with email": ("email", [f"contact a{row}@x.be for details" for row in range(20)]),
    "email, spelled": ("email", [f"a{row} [at] x.be" for row in range(20)]),
    "months": ("date", [f"{row:02d}/2020" for row in range(1, 13)]),
    "bare dates": ("date_of_birth", [f"19{row}0405" for row in range(30, 99)]),
    "one email": ("email", ["a@x.be"]),
    "one IBAN": ("iban", ["BE71 0961 2345 6769"]),
    "one SSN": ("national_number", ["123-45-6789"]),
    "one national number": ("national_number", ["85.07.30-033.28"]),
    "one phone abroad": ("phone", ["+32 470 12 34 56"]),
    "one phone": ("phone", ["0470/12.34.56"]),
    "one address": ("address", ["Kerkstraat 5"]),
    "one full name": ("name", ["Jan Peeters"]),
    "one machine": ("ip", ["192.168.1.10"]),
    "one card": ("credit_card", ["4111 1111 1111 1111"]),
    "four cities": ("city", ["Leuven", "Antwerpen", "Brussel", "Gent"]),
}


@pytest.mark.parametrize("named", FOUND_WITHOUT_A_HEADER)
def test_attackers_columns_are_found_without_a_header(named: str) -> None:
    kind, values = FOUND_WITHOUT_A_HEADER[named]
    found = find_kinds("c1", values)
    assert found, named
    assert found[0].kind == kind


@pytest.mark.parametrize(
    ("header", "kind", "values"),
    [
        ("phone", "phone", ["470123456", "470123457"]),
        ("mobile", "phone", ["016 32 11 11"]),
        ("address", "address", ["Zorgdorp 5"]),
        ("last_name", "last_name", ["Qwyzz"]),
        ("name", "name", ["Jan Peeters", "An Claes"]),
        ("dob", "date_of_birth", ["1950-03-04"]),
        ("nhs", "national_number", ["485 777 3456"]),
        ("kenteken", "licence_plate", ["1-ABC-123"]),
    ],
)
def test_few_values_with_their_header(header: str, kind: str, values: list[str]) -> None:
    assert find_kinds(header, values)[0].kind == kind


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("c1", ["red", "green"]),
        ("level", ["Low", "Medium", "High"]),
        ("stone", ["Ruby", "Jade", "Amber"]),
        ("name", ["Model A", "Model B"]),
        ("product", ["Ruby Red", "Rose Gold"]),
        ("release", ["1.2.3.4", "1.2.3.5"]),
        ("amount", ["123456789"]),
        ("phone", ["yes", "no"]),
        ("department", ["Sales", "Finance"]),
        ("value", ["12.345678"]),
    ],
)
def test_few_ordinary_values_name_nobody(header: str, values: list[str]) -> None:
    assert find_pii(header, values) == ()


def test_a_header_makes_degrees_and_addresses_of_machines_sure() -> None:
    degrees = [f"50.{row}2345" for row in range(10, 60)]
    assert find_kinds("c1", degrees) == ()
    assert find_kinds("latitude", degrees)[0].kind == "coordinates"
    parts = [f"1.2.{row}.4" for row in range(20)]
    assert find_kinds("c1", parts)[0].kind == "version"
    assert {found.kind for found in find_kinds("ip_address", parts)} >= {"ip"}
