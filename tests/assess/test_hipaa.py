"""HIPAA's eighteen identifiers: what is found, what is not, and what only a human can say."""

from __future__ import annotations

import json
import random

import pyarrow as pa
import pytest

from comity.assess import assess_columns, safe_harbor
from comity.assess.hipaa_rules import ELEMENTS
from comity.data import read_table

DRAW = random.Random(3)
ROWS = 60


def elements_of(**columns: list[object]) -> dict[str, object]:
    table = read_table(pa.table({name.replace("__", " "): values for name, values in columns.items()}))
    return {element.letter: element for element in safe_harbor(table, assess_columns(table))}


def status(letter: str, **columns: list[object]) -> str:
    return elements_of(**columns)[letter].status  # type: ignore[attr-defined]


def test_there_are_eighteen_in_the_regulations_order() -> None:
    assert "".join(element.letter for element in ELEMENTS) == "ABCDEFGHIJKLMNOPQR"
    found = elements_of(x=[1, 2] * 30)
    assert {element.status for element in found.values()} == {"not found"}  # type: ignore[attr-defined]
    body = json.loads(json.dumps([element.to_dict() for element in found.values()]))  # type: ignore[attr-defined]
    assert set(body[0]) == {"letter", "name", "rule", "status", "columns", "why", "free_text_only"}


@pytest.mark.parametrize(
    ("letter", "name", "values"),
    [
        (
            "A",
            "patient_name",
            [f"Anna {chr(65 + row % 26)}ohnson{'abcdefgh'[row % 8]}" for row in range(ROWS)],
        ),
        ("B", "city", ["Boston", "Chicago", "Miami"] * 20),
        ("B", "zip", [f"{DRAW.randint(10000, 99999)}" for _ in range(ROWS)]),
        ("C", "dob", [f"19{40 + row % 60}-03-{1 + row % 28:02}" for row in range(ROWS)]),
        ("C", "age", [30 + row for row in range(ROWS)] + [91]),
        ("D", "phone", [f"+1 212 555 {DRAW.randint(1000, 9999)}" for _ in range(ROWS)]),
        ("E", "fax", [f"+1 212 555 {DRAW.randint(1000, 9999)}" for _ in range(ROWS)]),
        ("F", "contact", [f"u{row}@example.org" for row in range(ROWS)]),
        (
            "G",
            "ssn",
            [
                f"{DRAW.randint(100, 600)}-{DRAW.randint(10, 99)}-{DRAW.randint(1000, 9999)}"
                for _ in range(ROWS)
            ],
        ),
        ("H", "mrn", [DRAW.randint(10**6, 10**7) for _ in range(ROWS)]),
        ("I", "health_plan", [DRAW.randint(10**6, 10**7) for _ in range(ROWS)]),
        ("J", "account_number", [DRAW.randint(10**6, 10**7) for _ in range(ROWS)]),
        ("K", "passport", [f"X{DRAW.randint(10**6, 10**7)}" for _ in range(ROWS)]),
        ("L", "license_plate", [f"AB{DRAW.randint(100, 999)}C" for _ in range(ROWS)]),
        ("M", "device_id", [f"D{DRAW.randint(10**6, 10**7)}" for _ in range(ROWS)]),
        ("N", "page", [f"https://example.org/{row}" for row in range(ROWS)]),
        ("O", "address", [f"10.{row}.3.7" for row in range(ROWS)]),
        ("P", "fingerprint", [f"{DRAW.getrandbits(64):x}" for _ in range(ROWS)]),
        ("Q", "photo", [f"/images/{row}.png" for row in range(ROWS)]),
        ("R", "row_code", [f"Z{DRAW.getrandbits(40)}" for _ in range(ROWS)]),
    ],
)
def test_each_is_found(letter: str, name: str, values: list[object]) -> None:
    element = elements_of(**{name: values})[letter]
    assert element.status == "found"  # type: ignore[attr-defined]
    assert element.columns == (name,)  # type: ignore[attr-defined]
    assert name in element.why  # type: ignore[attr-defined]


def test_three_digits_of_a_zip_code_need_a_census_table() -> None:
    assert status("B", zip=["021**", "606**", "100**"] * 20) == "needs a human"
    assert status("B", zip=["021", "606", "100"] * 20) == "needs a human"
    assert status("B", zip=["02134", "606", "100"] * 20) == "found"
    assert status("B", province=["north", "south"] * 30) == "needs a human"
    assert status("B", country=["Belgium", "France"] * 30) == "not found"


def test_ages_and_dates() -> None:
    assert status("C", age=[30 + row % 59 for row in range(ROWS)]) == "not found"
    assert "2 rows" in elements_of(age=[30] * 58 + [90, 91])["C"].why  # type: ignore[attr-defined]
    assert status("C", age=["30-39", "80+"] * 30) == "needs a human"
    assert status("C", birth_year=[1930 + row for row in range(ROWS)]) == "needs a human"
    assert status("C", country_of_birth=["BE", "US"] * 30) == "not found"
    assert status("C", birth_weight=[2500 + row for row in range(ROWS)]) == "not found"
    assert status("C", death=[0, 1] * 30) == "not found"
    assert status("C", admission_day=["Mon", "Tue"] * 30) == "found"


def test_measures_and_answers_are_no_identifiers() -> None:
    assert status("Q", picture_quality=[3, 4, 5] * 20) == "not found"
    assert status("O", ip_ratio=[0.1, 0.25, 0.31] * 20) == "not found"
    assert status("Q", photo=[0, 1] * 30) == "not found"
    assert status("C", age_months=[100, 200, 300] * 20) == "not found"
    assert status("C", age_months=[100, 200, 1100] * 20) == "found"


def test_one_value_in_all_rows_is_found_too() -> None:
    found = elements_of(
        name=["Jan Peeters"] * ROWS,
        phone=["0470/12.34.56"] * ROWS,
        address=["Kerkstraat 5"] * ROWS,
        ssn=["123-45-6789"] * ROWS,
        mrn=[1002345] * ROWS,
        email=["a@example.org"] * ROWS,
        date_of_death=["2020-04-05"] * ROWS,
    )
    assert {letter for letter, each in found.items() if each.status == "found"} == set("ABCDFGH")  # type: ignore[attr-defined]
    assert status("C", c1=["01/2020", "02/2020"] * 30) == "found"
    assert status("B", c1=["Leuven", "Antwerpen", "Brussel", "Gent"] * 15) == "found"


def test_fax_is_no_telephone_and_free_text_may_hold_anything() -> None:
    fax = elements_of(fax=[f"+1 212 555 {DRAW.randint(1000, 9999)}" for _ in range(ROWS)])
    assert fax["D"].status == "not found"  # type: ignore[attr-defined]
    notes = [
        f"The patient came on day {row} and said that she was tired of all of us here" for row in range(ROWS)
    ]
    found = elements_of(notes=notes, mail=[f"u{row}@example.org" for row in range(ROWS)])
    assert found["F"].status == "found"  # type: ignore[attr-defined]
    assert found["P"].status == "needs a human"  # type: ignore[attr-defined]
    assert found["P"].free_text_only  # type: ignore[attr-defined]


def test_what_stands_inside_notes_is_found_by_its_share_of_rows() -> None:
    note = "called 06-12345678 over IBAN NL91ABNA0417164300"
    found = elements_of(note=[note] * 45 + ["nothing came of it this week"] * 15)
    assert (found["D"].status, found["J"].status) == ("found", "found")  # type: ignore[attr-defined]
    assert "75% of its rows with a value" in found["D"].why  # type: ignore[attr-defined]
    assert (found["A"].status, found["F"].status) == ("needs a human", "needs a human")  # type: ignore[attr-defined]
    assert status("G", note=["patient with BSN 123456782 seen today"] * 60) == "found"
    mixed = elements_of(note=[f"called 020 624 1234, mail p{row}@example.org" for row in range(60)])
    assert (mixed["D"].status, mixed["F"].status) == ("found", "found")  # type: ignore[attr-defined]


def test_wards_of_a_hospital_are_no_places() -> None:
    assert status("B", ward=["heart", "lung", "knee"] * 20) == "not found"
    assert status("B", ward=["Utrecht", "Leiden", "Breda"] * 20) == "found"


def test_free_text_leaves_every_element_to_a_human() -> None:
    texts = ["the patient was in a good mood and went home early", "came back later with a small complaint"]
    found = elements_of(note=texts * 30)
    assert {element.status for element in found.values()} == {"needs a human"}  # type: ignore[attr-defined]
